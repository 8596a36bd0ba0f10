-- Attempts to bring an agent back, in the order in which they began. Few enough to be looked through.

CREATE TABLE recoveries (
    id        INTEGER PRIMARY KEY,
    agent     INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    began     INTEGER NOT NULL,
    namespace TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    strategy  TEXT    NOT NULL,
    failure   TEXT    NOT NULL,
    state     TEXT    NOT NULL,
    body      BLOB    NOT NULL,
    UNIQUE (agent, number)
) STRICT;
