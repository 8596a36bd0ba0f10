-- What each namespace has given up, and how that changed, by numbers of its own.

CREATE TABLE degradations (
    id        INTEGER PRIMARY KEY,
    namespace TEXT    NOT NULL UNIQUE,
    body      BLOB    NOT NULL
) STRICT;

CREATE TABLE levels (
    id        INTEGER PRIMARY KEY,
    namespace TEXT    NOT NULL,
    sequence  INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    body      BLOB    NOT NULL,
    UNIQUE (namespace, sequence)
) STRICT;
