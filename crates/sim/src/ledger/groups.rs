//! Groups as the world remembers them: what was decided, written and acknowledged of each.

use std::collections::BTreeMap;

use stead_model::group::GroupAnswer;
use stead_model::journal::GroupRow;
use stead_model::{AgentId, Outcome, Revision, Slot};

use super::After;

/// Every group, by its id.
type Rows = BTreeMap<AgentId, GroupRow>;

#[derive(Debug, Default)]
pub(super) struct Groups {
    decided: Rows,
    committed: Rows,
    flushed: Rows,
    acknowledged: BTreeMap<AgentId, Revision>,
}

impl Groups {
    /// Notes what a step decided. Revisions rise, and only a command changes what is wanted, unless a pause is over.
    pub(super) fn decide(&mut self, row: &GroupRow, by_command: bool) -> Result<(), String> {
        let name = &row.name;
        if let Some(before) = self.decided.get(&row.id) {
            // One step may change it more than once, and writes what came of that.
            if row.revision <= before.revision {
                return Err(format!(
                    "group {name} went from revision {} to {}",
                    before.revision, row.revision
                ));
            }
            let over = before.intent.pause.as_ref().is_some_and(|pause| pause.until.is_some());
            if before.intent != row.intent && !by_command && !over {
                return Err(format!("what is wanted of group {name} was changed by nobody"));
            }
            if before.removed {
                return Err(format!("group {name} came back from its end"));
            }
        }
        let kept = |number: u32| row.revisions.iter().any(|revision| revision.number == number);
        if !kept(row.target) || (row.good != 0 && !kept(row.good)) {
            return Err(format!("group {name} forgot revision {} or {}", row.target, row.good));
        }
        self.decided.insert(row.id, row.clone());
        Ok(())
    }

    pub(super) fn commit(&mut self, row: &GroupRow) {
        self.committed.insert(row.id, row.clone());
    }

    pub(super) fn flush(&mut self) {
        self.flushed = self.committed.clone();
    }

    /// Notes an answer that somebody got: from now on it must not be forgotten.
    pub(super) fn acknowledge(&mut self, answer: &GroupAnswer) {
        match answer.outcome {
            Outcome::Created | Outcome::Accepted => {
                let known = self.acknowledged.entry(answer.group.id).or_default();
                *known = answer.group.revision.max(*known);
            }
            Outcome::Already => {}
        }
    }

    /// Compares the groups of a slot as they were loaded with what was written, acknowledged and decided before. Then what was not
    /// written did not happen.
    pub(super) fn reload(&mut self, slot: Slot, found: &[GroupRow], after: After) -> Result<(), String> {
        let safe = match after {
            After::Death => &self.committed,
            After::PowerCut => &self.flushed,
        };
        let of_slot = self.decided.values().filter(|row| row.id.slot() == slot);
        for decided in of_slot {
            let name = &decided.name;
            let written = safe.get(&decided.id);
            let least = written.map_or(Revision(0), |row| row.revision);
            let least = least.max(self.acknowledged.get(&decided.id).copied().unwrap_or_default());
            match found.iter().find(|row| row.id == decided.id) {
                Some(row) if row.revision < least => {
                    return Err(format!("group {name} is at {}, but {least} was written", row.revision));
                }
                Some(row) if row.revision > decided.revision => {
                    return Err(format!("group {name} is at {}, which nobody decided", row.revision));
                }
                Some(_) if written.is_some_and(|row| row.removed) => {
                    return Err(format!("group {name} came back from its end"));
                }
                None if least > Revision(0) && !decided.removed => return Err(format!("group {name} was lost")),
                Some(_) | None => {}
            }
        }
        if let Some(row) = found.iter().find(|row| !self.decided.contains_key(&row.id)) {
            return Err(format!("group {} was invented", row.name));
        }
        for rows in [&mut self.decided, &mut self.committed, &mut self.flushed] {
            rows.retain(|id, _| id.slot() != slot);
            rows.extend(found.iter().map(|row| (row.id, row.clone())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(revision: u64) -> GroupRow {
        serde_json::from_str(&format!(
            r#"{{"id":"agt_03g0000000001","namespace":"default","name":"web","revision":{revision},
            "intent":{{"wanted":"running","actor":"ann","at":"2026-01-01T00:00:00Z","correlation_id":"r-1"}},"replicas":1,"update":{{}},
            "target":1,"good":1,"revisions":[{{"number":1,"actor":"ann","at":"2026-01-01T00:00:00Z"}}],"correlation_id":"r-1"}}"#
        ))
        .unwrap()
    }

    /// A world in which revision 1 and 2 were decided and the first was written.
    fn known() -> Groups {
        let mut groups = Groups::default();
        groups.decide(&row(1), true).unwrap();
        groups.commit(&row(1));
        groups.flush();
        groups.decide(&row(2), true).unwrap();
        groups
    }

    #[test]
    fn a_group_that_was_written_and_is_not_there_was_lost() {
        let slot = row(1).id.slot();
        assert!(
            known()
                .reload(slot, &[], After::PowerCut)
                .unwrap_err()
                .contains("was lost")
        );
        known().reload(slot, &[row(1)], After::PowerCut).unwrap();
        known().reload(slot, &[row(2)], After::Death).unwrap();
        assert!(
            Groups::default()
                .reload(slot, &[row(1)], After::Death)
                .unwrap_err()
                .contains("invented")
        );
        assert!(
            known()
                .reload(slot, &[row(3)], After::Death)
                .unwrap_err()
                .contains("nobody decided")
        );
    }

    #[test]
    fn a_revision_that_somebody_was_told_of_must_not_be_forgotten() {
        let slot = row(1).id.slot();
        let mut groups = known();
        groups.acknowledged.insert(row(1).id, Revision(2));
        assert!(
            groups
                .reload(slot, &[row(1)], After::PowerCut)
                .unwrap_err()
                .contains("2 was written")
        );
        groups.reload(slot, &[row(2)], After::PowerCut).unwrap();
    }

    #[test]
    fn a_row_out_of_order_or_without_the_revision_it_goes_back_to_is_told() {
        assert!(known().decide(&row(2), true).unwrap_err().contains("from revision"));
        let forgetful = GroupRow { good: 9, ..row(3) };
        assert!(known().decide(&forgetful, true).unwrap_err().contains("forgot"));
    }
}
