-- What a source's state was before its first record of a local day: where judging late data begins.
CREATE TABLE day_states (
    source INTEGER NOT NULL,
    day    INTEGER NOT NULL,
    month  INTEGER NOT NULL, -- the first of its month
    engine INTEGER NOT NULL,
    bytes  BLOB    NOT NULL,
    PRIMARY KEY (source, day)
) STRICT, WITHOUT ROWID;
-- The latest instant that a mark is about; the default stands for all behind it.
ALTER TABLE marks ADD COLUMN upto INTEGER NOT NULL DEFAULT 9223372036854775807;
CREATE INDEX marks_by_partition ON marks ("partition", updated);
