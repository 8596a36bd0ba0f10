//! Whatever table a profile has, the engine goes along its edges alone and comes to rest.

use std::time::Duration;

use proptest::prelude::*;
use stead_model::profile::StateRow;
use stead_model::{Action, AgentRef, Namespace, Profile, Role};

use crate::rig::{Event, Rig, event, happen, name};

#[derive(Clone, Debug)]
struct Table {
    roles: Vec<Role>,
    /// For each state but the first, an earlier one that leads to it.
    parents: Vec<usize>,
    more: Vec<(usize, usize)>,
    deadlines: Vec<Option<(u64, usize)>>,
}

impl Table {
    fn profile(&self) -> Profile {
        let count = self.roles.len();
        let mut next = vec![Vec::new(); count];
        for (child, parent) in self.parents.iter().take(count - 1).enumerate() {
            next[parent % (child + 1)].push(child + 1);
        }
        for (from, to) in &self.more {
            next[from % count].push(to % count);
        }
        let words: Vec<String> = next
            .iter()
            .map(|ways| ways.iter().map(|to| format!("s{to} ")).collect())
            .collect();
        let goals: Vec<Option<(Duration, String)>> = (0..count)
            .map(|place| {
                let (secs, way) = self.deadlines[place]?;
                let ways = &next[place];
                (!ways.is_empty()).then(|| (Duration::from_secs(secs), format!("s{}", ways[way % ways.len()])))
            })
            .collect();
        let rows: Vec<StateRow<'_>> = (0..count)
            .map(|place| StateRow {
                name: format!("s{place}").into(),
                role: self.roles[place],
                classes: &[],
                next: &words[place],
                deadline: goals[place].as_ref().map(|(after, to)| (*after, to.as_str())),
            })
            .collect();
        Profile::new("own".into(), 1, "s0", &rows).unwrap()
    }
}

fn table() -> impl Strategy<Value = Table> {
    (2..14_usize).prop_flat_map(|count| {
        (
            proptest::collection::vec(proptest::sample::select(Role::ALL), count),
            proptest::collection::vec(0..count, count),
            proptest::collection::vec((0..count, 0..count), 0..30),
            proptest::collection::vec(proptest::option::of((1..100_u64, 0..count)), count),
        )
            .prop_map(|(roles, parents, more, deadlines)| Table {
                roles,
                parents,
                more,
                deadlines,
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_step_leaves_the_edges_of_any_table(
        table in table(),
        events in proptest::collection::vec(event("own"), 1..60),
    ) {
        let profile = table.profile();
        let mut rig = Rig::new(vec![profile.clone()]);
        let mut standing = Vec::new();
        for event in &events {
            let before = rig.history.len();
            happen(&mut rig, &mut standing, event);
            let new = &rig.history[before..];
            if !matches!(event, Event::Wait(_)) {
                prop_assert!(new.len() <= 40, "{} rows at once", new.len());
            }
            for row in new {
                let ends = profile.phase(&row.from).zip(profile.phase(&row.to)).unwrap();
                prop_assert!(profile.has_edge(ends.0, ends.1), "{} -> {}", row.from, row.to);
            }
        }
        for pair in rig.history.windows(2).filter(|pair| pair[0].agent == pair[1].agent) {
            prop_assert_eq!(pair[0].sequence.0 + 1, pair[1].sequence.0);
            prop_assert_eq!(&pair[0].to, &pair[1].from);
        }
    }
    #[test]
    fn whatever_happened_it_comes_to_rest_as_it_is_wanted_or_held_with_a_reason(
        table in table(),
        events in proptest::collection::vec(event("own"), 1..60),
    ) {
        // Deadlines may be laid in a circle; such a table is to have no rest.
        let table = Table { deadlines: vec![None; table.roles.len()], ..table };
        let profile = table.profile();
        let mut rig = Rig::new(vec![profile.clone()]);
        let mut standing = Vec::new();
        for event in &events {
            happen(&mut rig, &mut standing, event);
        }
        for _ in 0..HOURS {
            an_hour(&mut rig, &mut standing);
        }
        let (before, row) = (rig.history.len(), rig.row().cloned());
        an_hour(&mut rig, &mut standing);
        prop_assert_eq!(&rig.history[before..], []);
        prop_assert_eq!(rig.row(), row.as_ref());
        prop_assert_eq!(rig.engine.next_deadline(), None, "nothing is waited for in time");
        let seen = rig.engine.explain(rig.now, &Namespace::default(), &AgentRef::Name(name()));
        if let Ok(seen) = seen {
            let verdict = &seen.verdict;
            prop_assert!(!verdict.contains("the next step is under way"), "nothing is under way: {}", verdict);
            prop_assert!(!verdict.contains("is being ended"), "nothing is being ended: {}", verdict);
        }
    }
}

/// An hour in which the keeper does at once, and well, whatever it is told.
fn an_hour(rig: &mut Rig, standing: &mut Vec<Action>) {
    let end = rig.now.moment.after(Duration::from_secs(3_600));
    loop {
        while !standing.is_empty() {
            happen(rig, standing, &Event::Obey(0, true));
        }
        let due = rig.engine.next_deadline().map_or(end, |due| due.min(end));
        // Waits are in whole milliseconds.
        let millis = due.since(rig.now.moment).as_micros().div_ceil(1_000);
        happen(rig, standing, &Event::Wait(u64::try_from(millis).unwrap()));
        if standing.is_empty() && rig.now.moment >= end {
            return;
        }
    }
}

/// Long enough for every backoff, budget and time of stability that the specs have.
const HOURS: usize = 8;
