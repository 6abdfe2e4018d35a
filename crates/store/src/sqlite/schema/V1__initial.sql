-- Instants are milliseconds since 1970 in UTC, speeds 0.01 km/h, distances 0.1 m, days the number
-- of local days since 1970. 64-bit unsigned values are kept as the signed number of equal bits.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Sources as small integers, so that keys of positions stay short.
CREATE TABLE sources (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE frames (
    id       INTEGER PRIMARY KEY,
    source   INTEGER NOT NULL,
    protocol INTEGER NOT NULL,
    received INTEGER NOT NULL,
    raw      BLOB    NOT NULL
) STRICT;

-- Every column of a record; the key is the filing key of the design.
CREATE TABLE positions (
    source     INTEGER NOT NULL,
    time       INTEGER NOT NULL,
    hash       INTEGER NOT NULL,
    received   INTEGER NOT NULL,
    verdict    INTEGER NOT NULL,
    frame      INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    lat        REAL,
    lon        REAL,
    valid      INTEGER NOT NULL,
    altitude   INTEGER,
    speed      INTEGER,
    course     INTEGER,
    satellites INTEGER,
    ignition   INTEGER,
    motion     INTEGER,
    door       INTEGER,
    odometer   INTEGER,
    said       INTEGER NOT NULL, -- 0 not said, 1 nobody, 2 card, 3 licence
    driver     TEXT,
    alarms     INTEGER NOT NULL,
    stored     INTEGER NOT NULL,
    voltage    INTEGER,
    fuel       INTEGER,
    engine     INTEGER,
    event      INTEGER,
    vin        TEXT,
    PRIMARY KEY (source, time, hash)
) STRICT, WITHOUT ROWID;

-- The last fix of a source that is not invalid; follows positions in the same transaction.
CREATE TABLE latest (
    source   INTEGER PRIMARY KEY,
    time     INTEGER NOT NULL,
    hash     INTEGER NOT NULL,
    received INTEGER NOT NULL,
    verdict  INTEGER NOT NULL,
    lat      REAL NOT NULL,
    lon      REAL NOT NULL,
    speed    INTEGER,
    course   INTEGER,
    ignition INTEGER,
    said     INTEGER NOT NULL,
    driver   TEXT
) STRICT;

-- Dated in the future at receipt, or older than the retention.
CREATE TABLE records_aside (
    source     INTEGER NOT NULL,
    time       INTEGER NOT NULL,
    hash       INTEGER NOT NULL,
    received   INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    kind       INTEGER NOT NULL,
    lat        REAL,
    lon        REAL,
    valid      INTEGER NOT NULL,
    altitude   INTEGER,
    speed      INTEGER,
    course     INTEGER,
    satellites INTEGER,
    ignition   INTEGER,
    motion     INTEGER,
    door       INTEGER,
    odometer   INTEGER,
    said       INTEGER NOT NULL,
    driver     TEXT,
    alarms     INTEGER NOT NULL,
    stored     INTEGER NOT NULL,
    voltage    INTEGER,
    fuel       INTEGER,
    engine     INTEGER,
    event      INTEGER,
    vin        TEXT,
    PRIMARY KEY (source, time, hash)
) STRICT, WITHOUT ROWID;

-- Messages of the log that could not be read.
CREATE TABLE poison (
    "partition" INTEGER NOT NULL,
    "offset"    INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    why         TEXT    NOT NULL,
    payload     BLOB    NOT NULL,
    PRIMARY KEY ("partition", "offset")
) STRICT;

CREATE TABLE partitions (
    "partition" INTEGER PRIMARY KEY,
    epoch       INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    worker      TEXT    NOT NULL,
    log         TEXT,
    registry    INTEGER NOT NULL,
    checkpoint  INTEGER NOT NULL,
    "read"      INTEGER NOT NULL DEFAULT 0,
    filed       INTEGER NOT NULL DEFAULT 0,
    repeated    INTEGER NOT NULL DEFAULT 0,
    aside       INTEGER NOT NULL DEFAULT 0,
    refused     INTEGER NOT NULL DEFAULT 0,
    late        INTEGER NOT NULL DEFAULT 0,
    updated     INTEGER
) STRICT;

CREATE TABLE states (
    source      INTEGER PRIMARY KEY,
    "partition" INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    engine      INTEGER NOT NULL,
    bytes       BLOB    NOT NULL
) STRICT;
CREATE INDEX states_by_partition ON states ("partition");

CREATE TABLE ticks (
    gateway TEXT PRIMARY KEY,
    since   INTEGER NOT NULL,
    now     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE periods (
    source   INTEGER NOT NULL,
    start    INTEGER NOT NULL,
    "end"    INTEGER NOT NULL,
    open     INTEGER NOT NULL,
    vehicle  TEXT,
    plate    TEXT,
    driver   TEXT,
    operator TEXT,
    break_ms INTEGER NOT NULL,
    distance INTEGER NOT NULL,
    registry INTEGER NOT NULL,
    subject  TEXT    NOT NULL,
    PRIMARY KEY (source, start)
) STRICT, WITHOUT ROWID;
CREATE INDEX periods_by_subject ON periods (subject, start);

-- Insert-only marks of the subject stage; `seq` gives their order, so that nobody starves.
CREATE TABLE dirty (
    seq     INTEGER PRIMARY KEY,
    subject TEXT    NOT NULL,
    "from"  INTEGER NOT NULL,
    UNIQUE (subject, "from")
) STRICT;

-- Sources to rebuild from an instant on; the smaller one stays.
CREATE TABLE marks (
    source      INTEGER PRIMARY KEY,
    "partition" INTEGER NOT NULL,
    "from"      INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    updated     INTEGER NOT NULL
) STRICT;

CREATE TABLE violations (
    id               BLOB    PRIMARY KEY,
    kind             TEXT    NOT NULL,
    rule             TEXT,
    subject          TEXT    NOT NULL,
    source           INTEGER, -- of sources.id, where the subject is a source
    vehicle          TEXT,
    plate            TEXT,
    driver           TEXT,
    operator         TEXT,
    start            INTEGER NOT NULL,
    "end"            INTEGER NOT NULL,
    open             INTEGER NOT NULL,
    band             TEXT,
    "limit"          INTEGER,
    limit_source     TEXT,
    max_excess       INTEGER,
    distance         INTEGER,
    duration_ms      INTEGER NOT NULL,
    limit_ms         INTEGER,
    profile          TEXT    NOT NULL,
    profile_version  INTEGER NOT NULL,
    registry         INTEGER NOT NULL,
    figures          TEXT    NOT NULL, -- JSON
    spans            TEXT    NOT NULL, -- JSON
    content          BLOB    NOT NULL, -- hash of all columns above
    status           TEXT    NOT NULL CHECK (status IN ('new', 'confirmed', 'dismissed', 'withdrawn')),
    evidence_changed INTEGER NOT NULL,
    revision         INTEGER NOT NULL,
    replaced_by      BLOB,
    created          INTEGER NOT NULL,
    updated          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX violations_by_start ON violations (start, id);
CREATE INDEX violations_by_subject ON violations (subject, start);
CREATE INDEX violations_by_status ON violations (status, start, id);
CREATE INDEX violations_by_vehicle ON violations (vehicle, start) WHERE vehicle IS NOT NULL;
CREATE INDEX violations_by_driver ON violations (driver, start) WHERE driver IS NOT NULL;

CREATE TABLE changes (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,
    violation BLOB    NOT NULL,
    revision  INTEGER NOT NULL,
    kind      TEXT    NOT NULL
        CHECK (kind IN ('created', 'amended', 'closed', 'withdrawn', 'decided'))
) STRICT;
CREATE INDEX changes_by_violation ON changes (violation, seq);

CREATE TABLE reviews (
    id        INTEGER PRIMARY KEY,
    violation BLOB    NOT NULL,
    revision  INTEGER NOT NULL,
    decision  TEXT    NOT NULL CHECK (decision IN ('confirmed', 'dismissed')),
    reason    TEXT    NOT NULL,
    token     TEXT    NOT NULL, -- name of the token that decided
    at        INTEGER NOT NULL
) STRICT;
CREATE INDEX reviews_by_violation ON reviews (violation, id);

-- Frozen with a revision; `sha256` is of the JSON before it was compressed (zstd).
CREATE TABLE evidence (
    violation BLOB    NOT NULL,
    revision  INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    sha256    BLOB    NOT NULL,
    body      BLOB    NOT NULL,
    PRIMARY KEY (violation, revision)
) STRICT;

CREATE TABLE day_rows (
    source     INTEGER NOT NULL,
    day        INTEGER NOT NULL,
    vehicle    TEXT,
    plate      TEXT,
    operator   TEXT,
    records    INTEGER NOT NULL,
    valid      INTEGER NOT NULL,
    invalid    TEXT    NOT NULL, -- JSON: counts by reason
    distance   INTEGER NOT NULL,
    stops      INTEGER NOT NULL,
    gaps       INTEGER NOT NULL,
    max_speed  INTEGER NOT NULL,
    PRIMARY KEY (source, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX day_rows_by_day ON day_rows (day, source);

CREATE TABLE driver_days (
    driver     TEXT    NOT NULL,
    day        INTEGER NOT NULL,
    driving_ms INTEGER NOT NULL,
    distance   INTEGER NOT NULL,
    periods    INTEGER NOT NULL,
    PRIMARY KEY (driver, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX driver_days_by_day ON driver_days (day, driver);

-- One register's content, shared by all versions in which it is the same.
CREATE TABLE register_blobs (
    hash   BLOB PRIMARY KEY,
    kind   TEXT    NOT NULL,
    format INTEGER NOT NULL,
    body   BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE registry_versions (
    version INTEGER PRIMARY KEY,
    created INTEGER NOT NULL,
    author  TEXT    NOT NULL,
    note    TEXT    NOT NULL
) STRICT;

CREATE TABLE registry_parts (
    version INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    hash    BLOB    NOT NULL,
    PRIMARY KEY (version, kind)
) STRICT, WITHOUT ROWID;

-- Versions that a partition of the log has yet to be told.
CREATE TABLE registry_outbox (
    version     INTEGER NOT NULL,
    "partition" INTEGER NOT NULL,
    PRIMARY KEY (version, "partition")
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id        INTEGER PRIMARY KEY,
    hash      BLOB    NOT NULL UNIQUE,
    name      TEXT    NOT NULL,
    role      TEXT    NOT NULL
        CHECK (role IN ('viewer', 'operator', 'agency', 'administrator')),
    created   INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    withdrawn INTEGER
) STRICT;
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE withdrawn IS NULL;

-- Who read personal data, and for what.
CREATE TABLE reads (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    token   TEXT    NOT NULL,
    what    TEXT    NOT NULL, -- driver, track, export, pull, evidence
    object  TEXT    NOT NULL,
    purpose TEXT    NOT NULL
) STRICT;
