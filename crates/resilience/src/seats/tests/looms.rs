//! Every interleaving of those who come, wait, leave and get up.

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::thread;

use core::future::poll_fn;

use super::*;

async fn sit(seats: &Seats) {
    let mut place = seats.stand_in_line(8).ok().unwrap();
    poll_fn(|context| place.poll(context)).await;
    place.keep();
}

#[test]
fn loom_two_callers_never_share_the_last_seat() {
    loom::model(|| {
        let seats = Arc::new(Seats::new(1, Order::Fifo));
        let inside = Arc::new(AtomicU32::new(0));
        let caller = |seats: Arc<Seats>, inside: Arc<AtomicU32>| {
            move || {
                if seats.try_take() {
                    assert_eq!(inside.fetch_add(1, Relaxed), 0);
                    inside.fetch_sub(1, Relaxed);
                    seats.give_back();
                }
            }
        };
        let other = thread::spawn(caller(Arc::clone(&seats), Arc::clone(&inside)));
        caller(Arc::clone(&seats), inside)();
        other.join().unwrap();
        assert_eq!((seats.taken(), seats.waiting()), (0, 0));
    });
}

#[test]
fn loom_nobody_waits_beside_a_free_seat() {
    loom::model(|| {
        let seats = Arc::new(Seats::new(1, Order::Fifo));
        assert!(seats.try_take());
        let waiter = thread::spawn({
            let seats = Arc::clone(&seats);
            move || {
                block_on(sit(&seats));
                seats.give_back();
            }
        });
        seats.give_back();
        waiter.join().unwrap();
        assert_eq!((seats.taken(), seats.waiting(), seats.total()), (0, 0, 2));
    });
}

#[test]
fn loom_a_waiter_that_leaves_while_it_is_served_passes_the_seat_on() {
    loom::model(|| {
        let seats = Arc::new(Seats::new(1, Order::Lifo));
        assert!(seats.try_take());
        let mut waits = seats.stand_in_line(8).ok().unwrap();
        // Last in, first out: the one that leaves is the one to be served.
        let leaver = thread::spawn({
            let seats = Arc::clone(&seats);
            move || drop(seats.stand_in_line(8))
        });
        seats.give_back();
        leaver.join().unwrap();
        assert!(waits.poll(&Context::from_waker(Waker::noop())).is_ready());
        assert_eq!((seats.taken(), seats.waiting()), (1, 0));
    });
}

#[test]
fn loom_a_larger_limit_seats_who_waits() {
    loom::model(|| {
        let seats = Arc::new(Seats::new(1, Order::Fifo));
        assert!(seats.try_take());
        let waiter = thread::spawn({
            let seats = Arc::clone(&seats);
            move || block_on(sit(&seats))
        });
        seats.set_limit(2);
        waiter.join().unwrap();
        assert_eq!((seats.taken(), seats.waiting()), (2, 0));
    });
}

#[test]
fn loom_what_was_done_in_a_seat_is_seen_by_who_takes_it_next() {
    loom::model(|| {
        let seats = Arc::new(Seats::new(1, Order::Fifo));
        let written = Arc::new(loom::cell::UnsafeCell::new(0));
        let writer = |seats: Arc<Seats>, written: Arc<loom::cell::UnsafeCell<u32>>| {
            move || {
                if seats.try_take() {
                    // Loom refuses two accesses that nothing orders.
                    written.with_mut(|_| ());
                    seats.give_back();
                }
            }
        };
        let other = thread::spawn(writer(Arc::clone(&seats), Arc::clone(&written)));
        writer(seats, written)();
        other.join().unwrap();
    });
}
