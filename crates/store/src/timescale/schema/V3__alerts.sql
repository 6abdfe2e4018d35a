-- What somebody on duty should look at now. It depends on what arrived when, so nothing is judged
-- by it; it is never withdrawn, only ended.
CREATE TABLE alerts (
    id          BYTEA  NOT NULL PRIMARY KEY,
    "partition" BIGINT, -- that found it; none where it is of driving hours
    kind        TEXT COLLATE "C" NOT NULL,
    ahead       TEXT, -- kind and rule of the violation that comes near
    rule        TEXT,
    subject     TEXT COLLATE "C" NOT NULL,
    vehicle     TEXT COLLATE "C",
    plate       TEXT COLLATE "C",
    driver      TEXT COLLATE "C",
    operator    TEXT COLLATE "C",
    start       BIGINT NOT NULL,
    raised      BIGINT NOT NULL,
    ended       BIGINT,
    amount_ms   BIGINT,
    limit_ms    BIGINT
);
CREATE INDEX alerts_by_start ON alerts (start, id);
CREATE INDEX alerts_open ON alerts (subject) WHERE ended IS NULL;
-- What the partition had heard of the gateways at its checkpoint.
ALTER TABLE partitions ADD COLUMN listening BYTEA;
