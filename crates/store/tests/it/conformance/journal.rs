//! Writing: positions, order, refusals, and what is loaded afterwards.

use std::sync::Arc;

use stead_model::journal::{AgentRow, Append, Change, Durability, SlotState, SpecRow};
use stead_model::{AgentSpec, Epoch, Position, Sequence};
use stead_store::{Completion, Loader, StoreError};

use super::for_every_store;
use crate::sample::{agent, answer, empty, group, moving, node, registering, row, slot, spec, transition, unending};

/// Puts slots together again from what a loader is handed.
#[derive(Default)]
struct Gathers {
    begun: Option<SlotState>,
    ended: Vec<SlotState>,
}

impl Loader for Gathers {
    fn begin(&mut self, slot: SlotState) {
        assert!(self.begun.replace(slot).is_none());
    }

    fn agent(&mut self, agent: AgentRow, told: Option<Arc<AgentSpec>>) {
        let slot = self.begun.as_mut().unwrap();
        // Who told it when is not handed over; that of a sample is known. Those of agents stand before those of groups.
        let row = told.map(|told| SpecRow {
            spec: AgentSpec::clone(&told),
            ..spec(agent.id, agent.spec_revision)
        });
        slot.specs.splice(slot.agents.len()..slot.agents.len(), row);
        slot.agents.push(agent);
    }

    fn end(&mut self) {
        self.ended.extend(self.begun.take());
    }
}

for_every_store! {
    fn a_slot_in_which_nothing_happened_is_empty(bench) {
        assert_eq!(bench.store.load(slot(9)).unwrap(), SlotState::empty(slot(9), Epoch(0)));
        let epoch = bench.own(slot(9));
        assert_eq!(bench.store.load(slot(9)).unwrap(), SlotState::empty(slot(9), epoch));
    }

    fn what_was_committed_is_loaded(bench) {
        let (home, epoch) = (slot(700), bench.own(slot(700)));
        let receipt = bench.write(registering(home, epoch, 1, "web")).unwrap();
        assert_eq!((receipt.slot(), receipt.epoch(), receipt.position()), (home, epoch, Position(1)));
        assert_eq!(receipt.durability(), Durability::Flushed);
        let id = agent(home, 1);
        let state = bench.store.load(home).unwrap();
        assert_eq!(state, SlotState {
            slot: home,
            epoch,
            position: Position(1),
            agents: vec![row(id, "web")],
            specs: vec![spec(id, 1)],
            groups: vec![],
            answers: vec![answer(id, "key-web")],
            degradations: vec![],
        });
        assert_eq!(state.receipt().durability(), Durability::Flushed);
    }

    fn a_group_is_loaded_with_every_kept_revision_of_its_spec_until_it_is_removed(bench) {
        let (home, epoch) = (slot(701), bench.own(slot(701)));
        let id = agent(home, 1);
        let mut row = group(id, "web");
        let mut append = empty(home, epoch, 1, Durability::Flushed);
        append.changes = vec![
            Change::Group(Box::new(row.clone())),
            Change::Spec(Box::new(spec(id, 1))),
            Change::Spec(Box::new(spec(id, 2))),
            Change::Spec(Box::new(spec(id, 3))),
        ];
        let _written = bench.write(append).unwrap();
        let state = bench.store.load(home).unwrap();
        assert_eq!(state.groups, vec![row.clone()]);
        assert_eq!(state.specs, vec![spec(id, 2), spec(id, 3)], "the oldest kept one is 2");
        row.removed = true;
        let mut append = empty(home, epoch, 2, Durability::Flushed);
        append.changes = vec![Change::Group(Box::new(row))];
        let _written = bench.write(append).unwrap();
        let state = bench.store.load(home).unwrap();
        assert!(state.groups.is_empty() && state.specs.is_empty());
    }

    fn a_load_sees_what_was_submitted_before_it(bench) {
        let epoch = bench.own(slot(1));
        bench.store.submit(registering(slot(1), epoch, 1, "web"));
        bench.store.submit(empty(slot(1), epoch, 2, Durability::Written));
        assert_eq!(bench.store.load(slot(1)).unwrap().position, Position(2));
        assert!(matches!(bench.completion(), Completion::Committed(receipt) if receipt.position() == Position(1)));
        assert!(matches!(bench.completion(), Completion::Committed(receipt) if receipt.position() == Position(2)));
    }

    fn the_current_spec_is_loaded_and_all_are_remembered(bench) {
        let (epoch, id) = (bench.own(slot(1)), agent(slot(1), 1));
        bench.commit(registering(slot(1), epoch, 1, "web"));
        let mut state = row(id, "web");
        state.spec_revision = 2;
        let mut append = empty(slot(1), epoch, 2, Durability::Flushed);
        append.changes = vec![Change::Spec(Box::new(spec(id, 2))), Change::Agent(Box::new(state))];
        bench.commit(append);
        assert_eq!(bench.store.load(slot(1)).unwrap().specs, vec![spec(id, 2)]);
        assert_eq!(bench.store.specs(id, 10).unwrap(), vec![spec(id, 2), spec(id, 1)]);
        assert_eq!(bench.store.specs(id, 1).unwrap(), vec![spec(id, 2)]);
    }

    fn slots_hold_their_own_agents_alone_up_to_the_last(bench) {
        for number in [0, 511, 512, 1023] {
            let epoch = bench.own(slot(number));
            bench.commit(registering(slot(number), epoch, 1, &format!("web-{number}")));
        }
        let mut found = Vec::new();
        let wanted = [slot(1023), slot(0), slot(511), slot(512), slot(3)];
        bench.store.load_all(&wanted, &mut |state| {
            found.push((state.slot, state.agents.iter().map(|row| row.name.to_string()).collect::<Vec<_>>()));
        }).unwrap();
        let name = |number: u16| vec![format!("web-{number}")];
        assert_eq!(found, vec![
            (slot(1023), name(1023)), (slot(0), name(0)), (slot(511), name(511)), (slot(512), name(512)), (slot(3), vec![]),
        ]);
    }

    fn slots_are_loaded_agent_by_agent_as_they_are_whole(bench) {
        let (id, epoch) = (agent(slot(1), 1), bench.own(slot(1)));
        bench.commit(Append {
            changes: vec![Change::Group(Box::new(group(id, "many"))), Change::Spec(Box::new(spec(id, 3)))],
            ..empty(slot(1), epoch, 1, Durability::Flushed)
        });
        let slots = [slot(1), slot(2), slot(3)];
        for place in [2, 3] {
            let epoch = bench.own(slot(place));
            bench.commit(registering(slot(place), epoch, 1, &format!("web-{place}")));
            bench.commit(registering(slot(place), epoch, 2, &format!("db-{place}")));
        }
        let mut whole = Vec::new();
        bench.store.load_all(&slots, &mut |state| whole.push(state)).unwrap();
        let mut found = [Gathers::default(), Gathers::default()];
        let [one, other] = &mut found;
        bench.store.load_into(&slots, &mut [one, other]).unwrap();
        let mut found: Vec<_> = found.into_iter().flat_map(|gathers| gathers.ended).collect();
        found.sort_unstable_by_key(|state| state.slot);
        assert_eq!(found, whole);
        assert!(whole.iter().all(|state| !state.specs.is_empty()));
    }

    fn an_append_that_is_not_the_next_is_refused_and_gives_itself_back(bench) {
        let epoch = bench.own(slot(1));
        for position in [0, 2] {
            bench.store.submit(empty(slot(1), epoch, position, Durability::Flushed));
            let Completion::Failed { append, error } = bench.completion() else { panic!("it was committed") };
            assert_eq!(error, StoreError::OutOfOrder { slot: slot(1), expected: Position(1) });
            assert_eq!(append, empty(slot(1), epoch, position, Durability::Flushed));
            bench.store.load(slot(1)).unwrap();
        }
    }

    fn an_append_that_stands_for_several_moves_the_slot_on_by_all_of_them(bench) {
        let epoch = bench.own(slot(1));
        let several = |first, position| Append { first: Position(first), ..empty(slot(1), epoch, position, Durability::Flushed) };
        assert!(bench.write(several(1, 5)).is_ok());
        assert_eq!(bench.store.load(slot(1)).unwrap().position, Position(5));
        for wrong in [several(5, 6), several(7, 8), several(6, 5)] {
            assert!(matches!(bench.write(wrong), Err(StoreError::OutOfOrder { expected: Position(6), .. })));
            bench.store.load(slot(1)).unwrap();
        }
        assert!(bench.write(several(6, 6)).is_ok());
    }

    fn after_a_failed_append_all_later_ones_of_the_slot_fail_until_it_is_loaded(bench) {
        let (one, two) = (bench.own(slot(1)), bench.own(slot(2)));
        assert!(bench.write(empty(slot(1), one, 7, Durability::Written)).is_err());
        let next = || empty(slot(1), one, 1, Durability::Written);
        assert_eq!(bench.write(next()), Err(StoreError::Broken { slot: slot(1) }));
        assert!(bench.write(empty(slot(2), two, 1, Durability::Written)).is_ok());
        bench.store.load(slot(1)).unwrap();
        assert!(bench.write(next()).is_ok());
    }

    fn a_lower_epoch_is_fenced_and_told_who_holds_the_slot(bench) {
        let old = bench.own(slot(1));
        let new = bench.own(slot(1));
        assert_eq!(bench.write(empty(slot(1), old, 1, Durability::Flushed)), Err(StoreError::Fenced {
            slot: slot(1), epoch: new, owner: Some(node("me")),
        }));
    }

    fn a_slot_that_nobody_took_is_fenced(bench) {
        assert_eq!(bench.write(empty(slot(1), Epoch(0), 1, Durability::Flushed)), Err(StoreError::Fenced {
            slot: slot(1), epoch: Epoch(0), owner: None,
        }));
    }

    fn a_live_name_is_refused_a_second_time_and_nothing_of_the_append_stays(bench) {
        let (one, two) = (bench.own(slot(1)), bench.own(slot(2)));
        bench.commit(registering(slot(1), one, 1, "web"));
        let mut second = registering(slot(2), two, 1, "web");
        second.changes.insert(0, Change::Agent(Box::new(row(agent(slot(2), 9), "other"))));
        second.transitions.push(transition(agent(slot(2), 9), "other", Sequence(1)));
        assert!(matches!(bench.write(second), Err(StoreError::Refused { slot: there, .. }) if there == slot(2)));
        assert_eq!(bench.store.load(slot(2)).unwrap(), SlotState::empty(slot(2), two));
        let all = bench.store.events(None, &stead_store::EventFilter::default(), 100).unwrap();
        assert_eq!(all.items.len(), 1);
    }

    fn a_refusal_takes_down_no_other_append_that_waits_with_it(bench) {
        let epochs: Vec<_> = (1..=3).map(|number| bench.own(slot(number))).collect();
        bench.store.submit(registering(slot(1), epochs[0], 1, "a"));
        bench.store.submit(registering(slot(2), epochs[1], 1, "a"));
        bench.store.submit(registering(slot(2), epochs[1], 2, "b"));
        bench.store.submit(registering(slot(3), epochs[2], 1, "c"));
        assert!(matches!(bench.completion(), Completion::Committed(receipt) if receipt.slot() == slot(1)));
        assert!(matches!(bench.completion(), Completion::Failed { error: StoreError::Refused { .. }, .. }));
        assert!(matches!(bench.completion(), Completion::Failed { error: StoreError::Broken { .. }, .. }));
        assert!(matches!(bench.completion(), Completion::Committed(receipt) if receipt.slot() == slot(3)));
    }

    fn a_transition_is_written_once(bench) {
        let (epoch, id) = (bench.own(slot(1)), agent(slot(1), 1));
        bench.commit(moving(id, "web", epoch, 1, Durability::Written));
        let mut again = moving(id, "web", epoch, 1, Durability::Written);
        (again.first, again.position) = (Position(2), Position(2));
        assert!(matches!(bench.write(again), Err(StoreError::Refused { .. })));
    }

    fn a_row_of_another_slot_is_refused(bench) {
        let epoch = bench.own(slot(1));
        let mut append = empty(slot(1), epoch, 1, Durability::Flushed);
        append.changes = vec![Change::Agent(Box::new(row(agent(slot(2), 1), "web")))];
        assert!(matches!(bench.write(append), Err(StoreError::Refused { .. })));
    }

    fn a_removed_agent_leaves_a_tombstone_and_frees_its_name(bench) {
        let (epoch, id) = (bench.own(slot(600)), agent(slot(600), 1));
        bench.commit(registering(slot(600), epoch, 1, "web"));
        assert_eq!(bench.store.agent_tombstone(id), Ok(None));
        let mut grave = row(id, "web");
        grave.removed = true;
        let mut append = empty(slot(600), epoch, 2, Durability::Flushed);
        append.changes = vec![Change::Agent(Box::new(grave.clone()))];
        bench.commit(append);
        bench.commit(registering(slot(600), epoch, 3, "web"));
        assert_eq!(bench.store.agent_tombstone(id), Ok(Some(grave.clone())));
        assert_eq!(bench.store.removed(&grave.namespace, &grave.name), Ok(vec![grave]));
        let live = bench.store.load(slot(600)).unwrap();
        assert_eq!(live.agents.iter().map(|row| row.id).collect::<Vec<_>>(), vec![agent(slot(600), 3)]);
    }

    fn a_well_store_says_that_it_is_well(bench) {
        assert_eq!(bench.store.probe(), Ok(()));
        let epoch = bench.store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
        bench.commit(empty(slot(1), epoch, 1, Durability::Flushed));
        assert_eq!(bench.store.probe(), Ok(()));
    }
}
