-- Hash of the message below the position: tells a log that was made anew from the one that was read.
ALTER TABLE partitions ADD COLUMN tail BIGINT;
-- What of the log was given up, on purpose.
CREATE TABLE gaps (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          BIGINT NOT NULL,
    "partition" BIGINT NOT NULL,
    log_before  TEXT,
    log_after   TEXT   NOT NULL,
    "from"      BIGINT NOT NULL, -- position on file before
    "to"        BIGINT NOT NULL  -- position from which was gone on
);
