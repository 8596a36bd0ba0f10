-- What was applied as configuration: the newest hundred revisions. `facts` is JSON of what the daemon keeps beside the text.

CREATE TABLE configs (
    revision INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    actor    TEXT    NOT NULL,
    reason   TEXT,
    file     TEXT    NOT NULL,
    hash     TEXT    NOT NULL,
    text     TEXT    NOT NULL,
    facts    TEXT    NOT NULL
) STRICT;
