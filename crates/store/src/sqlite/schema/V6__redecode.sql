-- What the device said of its zone at its log-in, in seconds east of UTC, for decoding it again.
ALTER TABLE frames ADD COLUMN told_offset INTEGER;
-- The frame it came in; 0: it was not kept.
ALTER TABLE records_aside ADD COLUMN frame INTEGER NOT NULL DEFAULT 0;

-- Records that their frame, decoded again, does not hold: the partition's owner removes them.
CREATE TABLE unsaid (
    source INTEGER NOT NULL,
    time   INTEGER NOT NULL,
    hash   INTEGER NOT NULL,
    frame  INTEGER NOT NULL,
    PRIMARY KEY (source, time, hash)
) STRICT, WITHOUT ROWID;

-- Event time of the earliest record that was removed: from there on all is known, though there may
-- be no record.
ALTER TABLE marks ADD COLUMN removed INTEGER;
