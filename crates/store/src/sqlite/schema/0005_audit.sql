-- Who changed what, in the order of commit. Few enough to be looked through: it has no index beside its own.

CREATE TABLE audit (
    id             INTEGER PRIMARY KEY,
    at             INTEGER NOT NULL,
    namespace      TEXT    NOT NULL,
    subject        INTEGER,
    name           TEXT    NOT NULL,
    actor          TEXT    NOT NULL,
    verb           TEXT    NOT NULL,
    correlation_id TEXT    NOT NULL,
    body           BLOB    NOT NULL
) STRICT;
