-- Which group an agent was a replica of when a row was written: replicas come and go, and history is asked for by group. Rows of
-- others are not in the index; those of replicas from before say nothing of their group.

ALTER TABLE transitions ADD COLUMN group_name TEXT;
CREATE INDEX transitions_by_group ON transitions (group_name, namespace) WHERE group_name IS NOT NULL;
