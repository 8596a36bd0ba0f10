use super::*;

#[cfg(loom)]
mod looms;

#[cfg(not(loom))]
mod lines {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        TryTake,
        StandInLine,
        GiveBack,
        /// Drops the place at this index, whether it stands or sits.
        Leave(usize),
        /// Sees which places have become seats.
        Look,
        SetLimit(u32),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            3 => Just(Op::TryTake),
            4 => Just(Op::StandInLine),
            4 => Just(Op::GiveBack),
            2 => (0_usize..8).prop_map(Op::Leave),
            2 => Just(Op::Look),
            1 => (1_u32..5).prop_map(Op::SetLimit),
        ];
        prop::collection::vec(op, 1..200)
    }

    /// What a child would draw: who sits, and who stands in which order.
    struct Drawn {
        limit: usize,
        taken: usize,
        line: VecDeque<u64>,
        order: Order,
        total: u64,
    }

    impl Drawn {
        fn try_take(&mut self) -> bool {
            let free = self.line.is_empty() && self.taken < self.limit;
            if free {
                self.take();
            }
            free
        }

        fn take(&mut self) {
            self.taken += 1;
            self.total += 1;
        }

        /// Who got a seat.
        fn serve(&mut self) -> Vec<u64> {
            let mut served = Vec::new();
            while self.taken < self.limit {
                let next = match self.order {
                    Order::Fifo => self.line.pop_front(),
                    Order::Lifo => self.line.pop_back(),
                };
                let Some(next) = next else { break };
                self.take();
                served.push(next);
            }
            served
        }
    }

    const LONGEST: u32 = 3;

    fn play(order: Order, ops: Vec<Op>) -> Result<(), TestCaseError> {
        let seats = Seats::new(2, order);
        let mut drawn = Drawn {
            limit: 2,
            taken: 0,
            line: VecDeque::new(),
            order,
            total: 0,
        };
        let context = Context::from_waker(Waker::noop());
        // Places by name, and whether the drawing says that they sit.
        let mut places: Vec<(u64, Place<'_>, bool)> = Vec::new();
        let (mut names, mut held) = (0, 0);
        for op in ops {
            let mut served = Vec::new();
            match op {
                Op::TryTake => {
                    let taken = seats.try_take();
                    prop_assert_eq!(taken, drawn.try_take());
                    held += usize::from(taken);
                }
                Op::StandInLine => match seats.stand_in_line(LONGEST) {
                    Ok(place) => {
                        names += 1;
                        let sits = drawn.try_take();
                        if !sits {
                            drawn.line.push_back(names);
                        }
                        places.push((names, place, sits));
                    }
                    Err(Full) => prop_assert_eq!(drawn.line.len(), 3),
                },
                Op::GiveBack if held > 0 => {
                    held -= 1;
                    seats.give_back();
                    drawn.taken -= 1;
                    served = drawn.serve();
                }
                Op::Leave(index) if index < places.len() => {
                    let (name, place, sits) = places.remove(index);
                    drop(place);
                    if sits {
                        drawn.taken -= 1;
                        served = drawn.serve();
                    } else {
                        drawn.line.retain(|stands| *stands != name);
                    }
                }
                Op::GiveBack | Op::Leave(_) => {}
                Op::Look => {
                    for (_, place, sits) in &mut places {
                        prop_assert_eq!(place.poll(&context).is_ready(), *sits);
                    }
                }
                Op::SetLimit(limit) => {
                    seats.set_limit(limit);
                    drawn.limit = usize::try_from(limit).unwrap();
                    served = drawn.serve();
                }
            }
            for (name, _, sits) in &mut places {
                *sits |= served.contains(name);
            }
            prop_assert_eq!(usize::try_from(seats.taken()).unwrap(), drawn.taken);
            prop_assert_eq!(seats.waiting(), drawn.line.len());
            prop_assert_eq!(seats.total(), drawn.total);
            prop_assert_eq!(seats.is_busy(), drawn.taken + drawn.line.len() > 0);
        }
        drop(places);
        for _ in 0..held {
            seats.give_back();
        }
        prop_assert_eq!((seats.taken(), seats.waiting()), (0, 0));
        prop_assert!(
            seats.try_take(),
            "whatever happened, there is a seat for who comes next"
        );
        Ok(())
    }

    proptest! {
        #[test]
        fn seats_and_line_are_as_drawn_whatever_happens(ops in ops(), lifo: bool) {
            play(if lifo { Order::Lifo } else { Order::Fifo }, ops)?;
        }
    }

    #[test]
    fn the_count_of_seats_taken_wraps_without_touching_those_taken_now() {
        let seats = Seats::new(3, Order::Fifo);
        seats.word.store(Word::MAX << TOTAL, Relaxed);
        assert!(seats.try_take());
        assert!(seats.try_take());
        assert_eq!((seats.taken(), seats.total()), (2, 1));
    }
}
