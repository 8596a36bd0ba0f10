-- Events of updates said `revision` twice, and nobody could read them: that of the group, and that of the spec, which has a name of its
-- own by now.

UPDATE events
SET body = CAST(replace(CAST(body AS TEXT), '"type":"' || type || '","revision":', '"type":"' || type || '","spec_revision":') AS BLOB)
WHERE type IN ('rollout_failed', 'rollout_ended');
