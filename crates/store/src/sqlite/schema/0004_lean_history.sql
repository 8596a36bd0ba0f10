-- Each index of history is another page of every commit. Rows are numbered in the order of time, so that their numbers find them too.

DROP INDEX transitions_by_time;
DROP INDEX transitions_by_state;
