-- Ids of agents are 64 bits whose upper ten are the slot; they are stored as the signed number of the same bits, so that the agents
-- of one slot lie side by side. Times are milliseconds since 1970. Bodies begin with the tag of their form (record/v1).

CREATE TABLE slots (
    slot       INTEGER PRIMARY KEY,
    epoch      INTEGER NOT NULL,
    owner      TEXT,
    expires_at INTEGER NOT NULL,
    position   INTEGER NOT NULL
) STRICT;

CREATE TABLE agents (
    id            INTEGER PRIMARY KEY,
    namespace     TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    phase         TEXT    NOT NULL,
    intent        TEXT    NOT NULL,
    revision      INTEGER NOT NULL,
    spec_revision INTEGER NOT NULL,
    removed       INTEGER NOT NULL,
    body          BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX agents_by_live_name ON agents (namespace, name) WHERE removed = 0;
CREATE INDEX agents_by_removed_name ON agents (namespace, name) WHERE removed = 1;

CREATE TABLE specs (
    agent    INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    actor    TEXT    NOT NULL,
    body     BLOB    NOT NULL,
    PRIMARY KEY (agent, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE transitions (
    id             INTEGER PRIMARY KEY,
    agent          INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    namespace      TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    incarnation    INTEGER NOT NULL,
    from_phase     TEXT    NOT NULL,
    to_phase       TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    reason         TEXT    NOT NULL,
    description    TEXT    NOT NULL,
    triggered_by   TEXT    NOT NULL,
    via            INTEGER NOT NULL,
    correlation_id TEXT    NOT NULL,
    trace_id       TEXT,
    metadata       TEXT
) STRICT;

CREATE UNIQUE INDEX transitions_by_agent ON transitions (agent, sequence);
CREATE INDEX transitions_by_time ON transitions (at);
CREATE INDEX transitions_by_state ON transitions (namespace, to_phase);

-- The outbox, in the order of commit. Its newest row is never deleted, so that no number is given twice.
CREATE TABLE events (
    id        INTEGER PRIMARY KEY,
    slot      INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    namespace TEXT    NOT NULL,
    agent     INTEGER NOT NULL,
    type      TEXT    NOT NULL,
    body      BLOB    NOT NULL
) STRICT;

CREATE TABLE answers (
    namespace TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    slot      INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    body      BLOB    NOT NULL,
    PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX answers_by_slot ON answers (slot);
CREATE INDEX answers_by_time ON answers (at);

-- What the file is: version of the slot hash, when it was made. `probe` is overwritten to find out whether there is space.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta VALUES ('store_format', 1), ('slot_hash', 1), ('slots', 1024);
