-- Instants are milliseconds since 1970 in UTC, speeds 0.01 km/h, distances 0.1 m, days the number
-- of local days since 1970. 64-bit unsigned values are kept as the signed number of equal bits.
-- Texts that are keys are compared byte by byte, so that pages have the order of every backend.

-- Sources as small integers, so that keys of positions stay short.
CREATE TABLE sources (
    id   INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE
);

-- Frames are numbered in blocks, one of 1,048,576 numbers for each step of the sequence.
CREATE SEQUENCE frame_blocks;
CREATE TABLE frames (
    id       BIGINT   NOT NULL PRIMARY KEY,
    received BIGINT   NOT NULL,
    source   INTEGER  NOT NULL,
    protocol SMALLINT NOT NULL,
    raw      BYTEA    NOT NULL
);

-- Every column of a record; the key is the filing key of the design. A hypertable by `time`, its
-- chunks cut at whole multiples of their length since 1970: in UTC, whatever a server's zone is.
CREATE TABLE positions (
    source     INTEGER  NOT NULL,
    time       BIGINT   NOT NULL,
    hash       BIGINT   NOT NULL,
    received   BIGINT   NOT NULL,
    frame      BIGINT   NOT NULL,
    verdict    SMALLINT NOT NULL,
    kind       SMALLINT NOT NULL,
    lat        DOUBLE PRECISION,
    lon        DOUBLE PRECISION,
    valid      BOOLEAN  NOT NULL,
    altitude   INTEGER,
    speed      INTEGER,
    course     INTEGER,
    satellites SMALLINT,
    ignition   BOOLEAN,
    motion     BOOLEAN,
    door       BOOLEAN,
    odometer   BIGINT,
    said       SMALLINT NOT NULL, -- 0 not said, 1 nobody, 2 card, 3 licence
    driver     TEXT,
    alarms     BIGINT   NOT NULL,
    stored     BOOLEAN  NOT NULL,
    voltage    BIGINT,
    fuel       INTEGER,
    engine     BIGINT,
    event      BIGINT,
    vin        TEXT,
    PRIMARY KEY (source, time, hash)
);

-- The last fix of a source that is not invalid; follows positions in the same transaction.
CREATE TABLE latest (
    source   INTEGER  NOT NULL PRIMARY KEY,
    time     BIGINT   NOT NULL,
    hash     BIGINT   NOT NULL,
    received BIGINT   NOT NULL,
    verdict  SMALLINT NOT NULL,
    lat      DOUBLE PRECISION NOT NULL,
    lon      DOUBLE PRECISION NOT NULL,
    speed    INTEGER,
    course   INTEGER,
    ignition BOOLEAN,
    said     SMALLINT NOT NULL,
    driver   TEXT
) WITH (fillfactor = 50);

-- Dated in the future at receipt, or older than the retention.
CREATE TABLE records_aside (
    source     INTEGER  NOT NULL,
    time       BIGINT   NOT NULL,
    hash       BIGINT   NOT NULL,
    received   BIGINT   NOT NULL,
    reason     TEXT     NOT NULL,
    kind       SMALLINT NOT NULL,
    lat        DOUBLE PRECISION,
    lon        DOUBLE PRECISION,
    valid      BOOLEAN  NOT NULL,
    altitude   INTEGER,
    speed      INTEGER,
    course     INTEGER,
    satellites SMALLINT,
    ignition   BOOLEAN,
    motion     BOOLEAN,
    door       BOOLEAN,
    odometer   BIGINT,
    said       SMALLINT NOT NULL,
    driver     TEXT,
    alarms     BIGINT   NOT NULL,
    stored     BOOLEAN  NOT NULL,
    voltage    BIGINT,
    fuel       INTEGER,
    engine     BIGINT,
    event      BIGINT,
    vin        TEXT,
    PRIMARY KEY (source, time, hash)
);

-- Messages of the log that could not be read.
CREATE TABLE poison (
    "partition" BIGINT NOT NULL,
    "offset"    BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    why         TEXT   NOT NULL,
    payload     BYTEA  NOT NULL,
    PRIMARY KEY ("partition", "offset")
);

-- `pid` and `started` tell the owner's session, which a successor ends.
CREATE TABLE partitions (
    "partition" BIGINT NOT NULL PRIMARY KEY,
    epoch       BIGINT NOT NULL,
    position    BIGINT NOT NULL,
    worker      TEXT   NOT NULL,
    log         TEXT,
    registry    BIGINT NOT NULL,
    checkpoint  BIGINT NOT NULL,
    "read"      BIGINT NOT NULL DEFAULT 0,
    filed       BIGINT NOT NULL DEFAULT 0,
    repeated    BIGINT NOT NULL DEFAULT 0,
    aside       BIGINT NOT NULL DEFAULT 0,
    refused     BIGINT NOT NULL DEFAULT 0,
    late        BIGINT NOT NULL DEFAULT 0,
    updated     BIGINT,
    pid         INTEGER,
    started     TIMESTAMPTZ
) WITH (fillfactor = 20);

CREATE TABLE states (
    source      INTEGER NOT NULL PRIMARY KEY,
    "partition" BIGINT  NOT NULL,
    position    BIGINT  NOT NULL,
    engine      BIGINT  NOT NULL,
    bytes       BYTEA   NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX states_by_partition ON states ("partition");

-- What a source's state was before its first record of a local day: where judging late data begins.
CREATE TABLE day_states (
    source INTEGER NOT NULL,
    day    INTEGER NOT NULL,
    month  BOOLEAN NOT NULL, -- the first of its month
    engine BIGINT  NOT NULL,
    bytes  BYTEA   NOT NULL,
    PRIMARY KEY (source, day)
);

CREATE TABLE ticks (
    gateway TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    since   BIGINT NOT NULL,
    now     BIGINT NOT NULL
);

CREATE TABLE periods (
    source   INTEGER NOT NULL,
    start    BIGINT  NOT NULL,
    "end"    BIGINT  NOT NULL,
    open     BOOLEAN NOT NULL,
    vehicle  TEXT COLLATE "C",
    plate    TEXT COLLATE "C",
    driver   TEXT COLLATE "C",
    operator TEXT COLLATE "C",
    break_ms BIGINT  NOT NULL,
    distance BIGINT  NOT NULL,
    registry BIGINT  NOT NULL,
    subject  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (source, start)
);
CREATE INDEX periods_by_subject ON periods (subject, start);
CREATE INDEX periods_by_vehicle ON periods (vehicle, start) WHERE vehicle IS NOT NULL;

-- Insert-only marks of the subject stage; `seq` gives their order, so that nobody starves. They are
-- not unique: an insert that finds an equal mark, and leaves it at that, is lost where the stage
-- deletes that mark at the same time.
CREATE TABLE dirty (
    seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject TEXT COLLATE "C" NOT NULL,
    "from"  BIGINT NOT NULL
);
CREATE INDEX dirty_by_subject ON dirty (subject);

-- Sources to rebuild from an instant on; the smaller one stays.
CREATE TABLE marks (
    source      INTEGER NOT NULL PRIMARY KEY,
    "partition" BIGINT  NOT NULL,
    "from"      BIGINT  NOT NULL,
    upto        BIGINT  NOT NULL,
    created     BIGINT  NOT NULL,
    updated     BIGINT  NOT NULL
);
CREATE INDEX marks_by_partition ON marks ("partition", updated);

CREATE TABLE violations (
    id               BYTEA   NOT NULL PRIMARY KEY,
    kind             TEXT COLLATE "C" NOT NULL,
    rule             TEXT,
    subject          TEXT COLLATE "C" NOT NULL,
    vehicle          TEXT COLLATE "C",
    plate            TEXT COLLATE "C",
    driver           TEXT COLLATE "C",
    operator         TEXT COLLATE "C",
    start            BIGINT  NOT NULL,
    "end"            BIGINT  NOT NULL,
    open             BOOLEAN NOT NULL,
    band             TEXT,
    "limit"          INTEGER,
    limit_source     TEXT,
    max_excess       INTEGER,
    distance         BIGINT,
    duration_ms      BIGINT  NOT NULL,
    limit_ms         BIGINT,
    profile          TEXT    NOT NULL,
    profile_version  BIGINT  NOT NULL,
    registry         BIGINT  NOT NULL,
    figures          TEXT    NOT NULL, -- JSON; a text, since it comes back bit for bit
    spans            TEXT    NOT NULL, -- JSON
    content          BYTEA   NOT NULL, -- hash of all columns above
    status           TEXT COLLATE "C" NOT NULL
        CHECK (status IN ('new', 'confirmed', 'dismissed', 'withdrawn')),
    evidence_changed BOOLEAN NOT NULL,
    revision         BIGINT  NOT NULL,
    replaced_by      BYTEA,
    created          BIGINT  NOT NULL,
    updated          BIGINT  NOT NULL,
    sources          INTEGER[] NOT NULL -- that it rests on: its subject's and its spans'
);
CREATE INDEX violations_by_start ON violations (start, id);
CREATE INDEX violations_by_subject ON violations (subject, start);
CREATE INDEX violations_by_status ON violations (status, start, id);
CREATE INDEX violations_by_vehicle ON violations (vehicle, start) WHERE vehicle IS NOT NULL;
CREATE INDEX violations_by_plate ON violations (plate, start) WHERE plate IS NOT NULL;
CREATE INDEX violations_by_driver ON violations (driver, start) WHERE driver IS NOT NULL;

-- `seq` is the number of the transaction that wrote the change, and behind it the change's place
-- in that transaction (16 bits): whoever has read up to the oldest running transaction has read
-- everything below it. `change_base` is added to the numbers of transactions; it is raised when a
-- copy of the database goes on where those begin anew.
CREATE TABLE change_base (
    base BIGINT NOT NULL
);
INSERT INTO change_base VALUES (0);
CREATE TABLE changes (
    seq       BIGINT NOT NULL PRIMARY KEY,
    at        BIGINT NOT NULL,
    violation BYTEA  NOT NULL,
    revision  BIGINT NOT NULL,
    kind      TEXT   NOT NULL
        CHECK (kind IN ('created', 'amended', 'closed', 'withdrawn', 'decided'))
);
CREATE INDEX changes_by_violation ON changes (violation, seq);

CREATE TABLE reviews (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    violation BYTEA  NOT NULL,
    revision  BIGINT NOT NULL,
    decision  TEXT   NOT NULL CHECK (decision IN ('confirmed', 'dismissed')),
    reason    TEXT   NOT NULL,
    token     TEXT   NOT NULL, -- name of the token that decided
    at        BIGINT NOT NULL
);
CREATE INDEX reviews_by_violation ON reviews (violation, id);

-- Frozen with a revision; `sha256` is of the JSON before it was compressed (zstd).
CREATE TABLE evidence (
    violation BYTEA  NOT NULL,
    revision  BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    sha256    BYTEA  NOT NULL,
    body      BYTEA  NOT NULL,
    PRIMARY KEY (violation, revision)
);
ALTER TABLE evidence ALTER COLUMN body SET STORAGE EXTERNAL; -- it is compressed
ALTER TABLE frames ALTER COLUMN raw SET STORAGE EXTERNAL;

CREATE TABLE day_rows (
    source     INTEGER NOT NULL,
    day        INTEGER NOT NULL,
    vehicle    TEXT COLLATE "C",
    plate      TEXT COLLATE "C",
    operator   TEXT COLLATE "C",
    records    BIGINT  NOT NULL,
    valid      BIGINT  NOT NULL,
    invalid    TEXT    NOT NULL, -- JSON: counts by reason
    distance   BIGINT  NOT NULL,
    stops      BIGINT  NOT NULL,
    gaps       BIGINT  NOT NULL,
    max_speed  INTEGER NOT NULL,
    PRIMARY KEY (source, day)
);
CREATE INDEX day_rows_by_day ON day_rows (day, source);

CREATE TABLE driver_days (
    driver     TEXT COLLATE "C" NOT NULL,
    day        INTEGER NOT NULL,
    driving_ms BIGINT  NOT NULL,
    distance   BIGINT  NOT NULL,
    periods    BIGINT  NOT NULL,
    PRIMARY KEY (driver, day)
);
CREATE INDEX driver_days_by_day ON driver_days (day, driver);

-- One register's content, shared by all versions in which it is the same.
CREATE TABLE register_blobs (
    hash   BYTEA  NOT NULL PRIMARY KEY,
    kind   TEXT   NOT NULL,
    format BIGINT NOT NULL,
    body   BYTEA  NOT NULL
);

CREATE TABLE registry_versions (
    version BIGINT NOT NULL PRIMARY KEY,
    created BIGINT NOT NULL,
    author  TEXT   NOT NULL,
    note    TEXT   NOT NULL
);

CREATE TABLE registry_parts (
    version BIGINT NOT NULL,
    kind    TEXT   NOT NULL,
    hash    BYTEA  NOT NULL,
    PRIMARY KEY (version, kind)
);

-- Versions that a partition of the log has yet to be told.
CREATE TABLE registry_outbox (
    version     BIGINT NOT NULL,
    "partition" BIGINT NOT NULL,
    PRIMARY KEY (version, "partition")
);

CREATE TABLE tokens (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash      BYTEA  NOT NULL UNIQUE,
    name      TEXT COLLATE "C" NOT NULL,
    role      TEXT   NOT NULL
        CHECK (role IN ('viewer', 'operator', 'agency', 'administrator')),
    created   BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    withdrawn BIGINT
);
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE withdrawn IS NULL;

-- Who read personal data, and for what.
CREATE TABLE reads (
    seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    token   TEXT   NOT NULL,
    what    TEXT   NOT NULL, -- driver, track, export, pull, evidence
    object  TEXT   NOT NULL,
    purpose TEXT   NOT NULL
);

-- The clock of the policies on positions.
CREATE FUNCTION now_millis() RETURNS BIGINT LANGUAGE SQL STABLE AS
    $$ SELECT (extract(epoch FROM now()) * 1000)::bigint $$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        PERFORM create_hypertable('positions', by_range('time', 86400000),
                                  create_default_indexes => false);
    END IF;
END
$$;
