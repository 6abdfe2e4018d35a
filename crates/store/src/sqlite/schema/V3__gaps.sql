-- Hash of the message below the position: tells a log that was made anew from the one that was read.
ALTER TABLE partitions ADD COLUMN tail INTEGER;
-- What of the log was given up, on purpose.
CREATE TABLE gaps (
    seq         INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    "partition" INTEGER NOT NULL,
    log_before  TEXT,
    log_after   TEXT    NOT NULL,
    "from"      INTEGER NOT NULL, -- position on file before
    "to"        INTEGER NOT NULL  -- position from which was gone on
) STRICT;
