-- What somebody on duty should look at now. It depends on what arrived when, so nothing is judged
-- by it; it is never withdrawn, only ended.
CREATE TABLE alerts (
    id          BLOB    PRIMARY KEY,
    "partition" INTEGER, -- that found it; none where it is of driving hours
    kind        TEXT    NOT NULL,
    ahead       TEXT, -- kind and rule of the violation that comes near
    rule        TEXT,
    subject     TEXT    NOT NULL,
    vehicle     TEXT,
    plate       TEXT,
    driver      TEXT,
    operator    TEXT,
    start       INTEGER NOT NULL,
    raised      INTEGER NOT NULL,
    ended       INTEGER,
    amount_ms   INTEGER,
    limit_ms    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_by_start ON alerts (start, id);
CREATE INDEX alerts_open ON alerts (subject) WHERE ended IS NULL;
-- What the partition had heard of the gateways at its checkpoint.
ALTER TABLE partitions ADD COLUMN listening BLOB;
