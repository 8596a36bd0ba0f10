-- Groups: one spec with N replicas. `oldest` is the first revision of the spec that is kept; their specs lie with those of agents.

CREATE TABLE groups (
    id        INTEGER PRIMARY KEY,
    namespace TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    revision  INTEGER NOT NULL,
    oldest    INTEGER NOT NULL,
    removed   INTEGER NOT NULL,
    body      BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX groups_by_live_name ON groups (namespace, name) WHERE removed = 0;
