//! Executions that have ended, the latest of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Execution, ExecutionId};

/// Ended executions, bounded by number and by the size of their results.
#[derive(Debug)]
pub(super) struct History {
    order: VecDeque<ExecutionId>,
    kept: BTreeMap<ExecutionId, Arc<Execution>>,
    bytes: usize,
    max: usize,
    max_bytes: usize,
}

impl History {
    pub(super) const fn new(max: usize, max_bytes: usize) -> Self {
        Self {
            order: VecDeque::new(),
            kept: BTreeMap::new(),
            bytes: 0,
            max,
            max_bytes,
        }
    }

    /// Keeps one more; the oldest go while there are too many or they are too large: those are returned. The newest always stays.
    pub(super) fn push(&mut self, execution: Execution) -> Vec<ExecutionId> {
        let mut evicted = Vec::new();
        self.bytes += size(&execution);
        self.order.push_back(execution.id);
        self.kept.insert(execution.id, Arc::new(execution));
        while self.order.len() > 1 && (self.order.len() > self.max || self.bytes > self.max_bytes) {
            let gone = self.order.pop_front().and_then(|id| self.kept.remove(&id));
            self.bytes -= gone.as_ref().map_or(0, |gone| size(gone));
            evicted.extend(gone.map(|gone| gone.id));
        }
        evicted
    }

    pub(super) fn get(&self, id: ExecutionId) -> Option<Arc<Execution>> {
        self.kept.get(&id).cloned()
    }
}

fn size(execution: &Execution) -> usize {
    let result = execution.result.as_ref().map_or(0, |result| result.get().len());
    result + execution.error.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;
    use stead_model::Wall;

    use super::super::ExecutionStatus;
    use super::super::id::Numbers;
    use super::*;
    use crate::StreamId;

    fn ended(id: ExecutionId, result: &str) -> Execution {
        Execution {
            id,
            stream: StreamId::of(id),
            entry_point: "e".into(),
            status: ExecutionStatus::Succeeded,
            attempt: 1,
            started_at: Wall::default(),
            ended_at: Some(Wall::default()),
            result: Some(to_raw_value(result).unwrap().into()),
            error: None,
        }
    }

    #[test]
    fn the_oldest_go_first_by_number_and_by_size() {
        let mut numbers = Numbers::new();
        let ids: Vec<_> = (0..6).map(|_| numbers.execution()).collect();
        let mut history = History::new(3, 100);
        for id in &ids[..4] {
            let _evicted = history.push(ended(*id, "x"));
        }
        assert!(history.get(ids[0]).is_none() && history.get(ids[1]).is_some());
        assert_eq!(history.push(ended(ids[4], &"y".repeat(95))), ids[1..3]);
        assert!(history.get(ids[2]).is_none() && history.get(ids[3]).is_some());
        assert_eq!(history.push(ended(ids[5], &"z".repeat(500))), ids[3..5]);
        assert!(history.get(ids[4]).is_none() && history.get(ids[5]).is_some());
        assert_eq!((history.order.len(), history.kept.len(), history.bytes), (1, 1, 502));
    }
}
