//! Whatever is done to them, the store in memory and the one on disk give the same answers.

use std::time::Duration;

use proptest::prelude::*;
use stead_model::journal::{Append, Change, Durability};
use stead_model::{AgentId, Epoch, Sequence, Slot};
use stead_store::{AuditQuery, EventCursor, EventFilter, Lease, Retention, Taken, TransitionQuery};

use crate::conformance::Bench;
use crate::sample::{agent, answer, at, audit, empty, event, node, row, slot, spec, transition};

#[derive(Clone, Debug)]
enum Op {
    Take {
        slots: Vec<u16>,
        owner: u8,
        now: i64,
        lasts: i64,
    },
    Renew {
        slot: u16,
        epoch: u64,
        until: i64,
    },
    Release {
        slot: u16,
        epoch: u64,
    },
    Write(Write),
    Load {
        slot: u16,
    },
    History {
        agent: Option<u64>,
        to: Option<bool>,
        from: Option<i64>,
        limit: usize,
    },
    Events {
        behind: usize,
        agent: Option<u64>,
        kind: bool,
        limit: usize,
    },
    Graves {
        name: u8,
    },
    Prune {
        now: i64,
        event_rows: u64,
    },
    Taken {
        name: u8,
        behind: Option<usize>,
    },
    RemoveReader {
        name: u8,
    },
}

/// An append, mostly the next one, with a few parts.
#[derive(Clone, Debug)]
struct Write {
    slot: u16,
    /// How far its epoch and position are off; mostly not at all.
    epoch_off: u64,
    position_off: u64,
    flushed: bool,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Agent {
        number: u64,
        name: u8,
        removed: bool,
        elsewhere: bool,
    },
    Spec {
        number: u64,
        revision: u32,
    },
    Answer {
        number: u64,
        key: u8,
    },
    Transition {
        number: u64,
        sequence: u64,
    },
    Event {
        number: u64,
    },
}

fn mostly_zero() -> impl Strategy<Value = u64> {
    prop_oneof![9 => Just(0), 1 => 1_u64..3]
}

fn part() -> impl Strategy<Value = Part> {
    let number = 1_u64..4;
    prop_oneof![
        (
            number.clone(),
            0_u8..6,
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.03)
        )
            .prop_map(|(number, name, removed, elsewhere)| Part::Agent {
                number,
                name,
                removed,
                elsewhere
            }),
        (number.clone(), 1_u32..3).prop_map(|(number, revision)| Part::Spec { number, revision }),
        (number.clone(), 0_u8..5).prop_map(|(number, key)| Part::Answer { number, key }),
        (number.clone(), 1_u64..40).prop_map(|(number, sequence)| Part::Transition { number, sequence }),
        number.prop_map(|number| Part::Event { number }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let slot = 0_u16..3;
    let write = (
        slot.clone(),
        mostly_zero(),
        mostly_zero(),
        any::<bool>(),
        prop::collection::vec(part(), 0..5),
    )
        .prop_map(|(slot, epoch_off, position_off, flushed, parts)| {
            Op::Write(Write {
                slot,
                epoch_off,
                position_off,
                flushed,
                parts,
            })
        });
    let agent = || prop::option::of(1_u64..4);
    prop_oneof![
        2 => (prop::collection::vec(slot.clone(), 1..3), 0_u8..2, 0_i64..20, 0_i64..10)
            .prop_map(|(slots, owner, now, lasts)| Op::Take { slots, owner, now, lasts }),
        1 => (slot.clone(), 0_u64..4, 0_i64..30).prop_map(|(slot, epoch, until)| Op::Renew { slot, epoch, until }),
        1 => (slot.clone(), 0_u64..4).prop_map(|(slot, epoch)| Op::Release { slot, epoch }),
        20 => write,
        4 => slot.prop_map(|slot| Op::Load { slot }),
        3 => (agent(), prop::option::of(any::<bool>()), prop::option::of(0_i64..400), 1_usize..8)
            .prop_map(|(agent, to, from, limit)| Op::History { agent, to, from, limit }),
        3 => (0_usize..12, agent(), any::<bool>(), 1_usize..8)
            .prop_map(|(behind, agent, kind, limit)| Op::Events { behind, agent, kind, limit }),
        1 => (0_u8..6).prop_map(|name| Op::Graves { name }),
        1 => (0_i64..400, 1_u64..20).prop_map(|(now, event_rows)| Op::Prune { now, event_rows }),
        2 => (0_u8..3, prop::option::weighted(0.8, 0_usize..12)).prop_map(|(name, behind)| Op::Taken { name, behind }),
        1 => (0_u8..3).prop_map(|name| Op::RemoveReader { name }),
    ]
}

/// What this test knows of a store from its answers alone.
#[derive(Default)]
struct Known {
    cursors: Vec<String>,
}

impl Known {
    /// A cursor that an earlier answer gave, counted from the last.
    fn cursor(&self, behind: usize) -> Option<EventCursor> {
        let text = self.cursors.iter().rev().nth(behind);
        text.map(|text| text.parse().unwrap())
    }
}

fn bounds(event_rows: u64) -> Retention {
    Retention {
        transitions: Duration::from_millis(100),
        events: Duration::from_secs(1),
        event_rows,
        held_rows: event_rows * 2,
        answers: Duration::from_millis(200),
        answer_rows: event_rows % 4,
        ..Retention::default()
    }
}

/// Does it and tells all that came back, as text: the two stores must tell the same.
fn answer_of(bench: &Bench, known: &mut Known, op: &Op) -> String {
    match op {
        Op::Take {
            slots,
            owner,
            now,
            lasts,
        } => {
            let slots: Vec<Slot> = slots.iter().map(|number| slot(*number)).collect();
            let lease = Lease {
                now: at(*now),
                until: at(now + lasts),
            };
            format!("{:?}", bench.store.take(&slots, &node(&format!("node-{owner}")), lease))
        }
        Op::Renew {
            slot: number,
            epoch,
            until,
        } => {
            let lease = Lease {
                now: at(0),
                until: at(*until),
            };
            format!("{:?}", bench.store.renew(&[(slot(*number), Epoch(*epoch))], lease))
        }
        Op::Release { slot: number, epoch } => format!("{:?}", bench.store.release(&[(slot(*number), Epoch(*epoch))])),
        Op::Write(write) => {
            let first = append(bench, write);
            // The next one follows without a look at what became of the first.
            let next = empty(first.slot, first.epoch, first.position.0 + 1, first.durability);
            let first = bench.write(first);
            format!("{first:?} {:?}", bench.write(next))
        }
        Op::Load { slot: number } => format!("{:?}", bench.store.load(slot(*number))),
        Op::History {
            agent: number,
            to,
            from,
            limit,
        } => {
            let mut query = TransitionQuery {
                agent: number.map(|number| agent(slot(0), number)),
                to: to.map(|online| if online { "online" } else { "starting" }.to_owned()),
                from: from.map(at),
                limit: *limit,
                ..TransitionQuery::default()
            };
            // Cursors are opaque; what they lead to is compared.
            let first = bench.store.transitions(&query).unwrap();
            query.cursor = first.next;
            let second = bench.store.transitions(&query).unwrap();
            format!(
                "{:?} {} {:?} {}",
                first.items,
                first.next.is_some(),
                second.items,
                second.next.is_some()
            )
        }
        Op::Events {
            behind,
            agent: number,
            kind,
            limit,
        } => {
            let filter = EventFilter {
                agent: number.map(|number| agent(slot(0), number)),
                types: if *kind { vec!["gap".to_owned()] } else { Vec::new() },
                ..EventFilter::default()
            };
            let after = known.cursor(*behind);
            let page = bench.store.events(after, &filter, *limit);
            if let Ok(page) = &page {
                known
                    .cursors
                    .extend(page.items.iter().map(|(cursor, _)| cursor.to_string()));
            }
            format!("{page:?} {:?}", bench.store.last_event())
        }
        Op::Graves { name } => {
            let sample = row(agent(slot(0), 1), &format!("web-{name}"));
            let graves = bench.store.removed(&sample.namespace, &sample.name);
            let one = bench.store.agent_tombstone(sample.id);
            let answer = bench.store.answer(&sample.namespace, &format!("key-{name}"));
            format!("{graves:?} {one:?} {:?} {answer:?}", bench.store.specs(sample.id, 3))
        }
        Op::Prune { now, event_rows } => {
            let pruned = bench.store.prune(&bounds(*event_rows), at(*now));
            format!("{pruned:?} {:?}", bench.store.readers())
        }
        Op::Taken { name, behind } => taken(bench, known, *name, *behind),
        Op::RemoveReader { name } => {
            let name = format!("reader-{name}").parse().unwrap();
            let removed = bench.store.remove_reader(&name, audit(2, "delete"));
            format!("{removed:?} {:?}", bench.store.audit(&AuditQuery::default()))
        }
    }
}

/// Has a reader say how far it came, and tells how all of them are.
fn taken(bench: &Bench, known: &Known, name: u8, behind: Option<usize>) -> String {
    let taken = Taken {
        name: format!("reader-{name}").parse().unwrap(),
        position: behind.and_then(|behind| known.cursor(behind)),
        at: at(i64::from(name)),
    };
    let answer = bench.store.acknowledge(taken, audit(1, "register"));
    format!("{answer:?} {:?}", bench.store.readers())
}

fn append(bench: &Bench, write: &Write) -> Append {
    let home = slot(write.slot);
    let state = bench.store.load(home).unwrap();
    let durability = if write.flushed {
        Durability::Flushed
    } else {
        Durability::Written
    };
    let epoch = Epoch(state.epoch.0.saturating_sub(write.epoch_off));
    let mut append = empty(home, epoch, state.position.0 + 1 + write.position_off, durability);
    for part in &write.parts {
        match *part {
            Part::Agent {
                number,
                name,
                removed,
                elsewhere,
            } => {
                let home = if elsewhere { slot(write.slot + 1) } else { home };
                let mut row = row(agent(home, number), &format!("web-{name}"));
                row.removed = removed;
                row.spec_revision = 1 + u32::from(name % 2);
                append.changes.push(Change::Agent(Box::new(row)));
            }
            Part::Spec { number, revision } => {
                append
                    .changes
                    .push(Change::Spec(Box::new(spec(agent(home, number), revision))));
            }
            Part::Answer { number, key } => {
                let mut row = answer(agent(home, number), &format!("key-{key}"));
                row.at = at(i64::from(key) / 2 * 100);
                append.changes.push(Change::Answer(row));
            }
            Part::Transition { number, sequence } => {
                append
                    .transitions
                    .push(transition(agent(home, number), "web", Sequence(sequence)));
            }
            Part::Event { number } => append.events.push(gap(agent(home, number))),
        }
    }
    append
}

fn gap(id: AgentId) -> stead_model::Event {
    let detail = "nobody looked".to_owned();
    event(id, stead_model::Happening::Gap { detail })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_give_the_same_answers(ops in prop::collection::vec(op(), 1..80)) {
        let (memory, sqlite) = (Bench::memory(), Bench::sqlite());
        let (mut of_memory, mut of_sqlite) = (Known::default(), Known::default());
        for op in &ops {
            let (one, other) = (answer_of(&memory, &mut of_memory, op), answer_of(&sqlite, &mut of_sqlite, op));
            prop_assert_eq!(one, other, "{:?}", op);
        }
    }
}
