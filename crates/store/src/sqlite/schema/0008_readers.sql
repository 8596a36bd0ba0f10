-- Named readers of the events: the number and mark of the last event that each has taken, when it said so last, and how many were
-- forgotten before it took them. Events that one has not taken are held for longer.

CREATE TABLE readers (
    name  TEXT    PRIMARY KEY,
    event INTEGER NOT NULL,
    mark  INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    lost  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
