//! Orders to start: made ready while they are written down, given out by who wrote them, once.

use super::*;

fn died(rig: &Rig, instance: InstanceId) {
    rig.see(Observation::Exited {
        instance,
        exit: killed(),
        swept: 0,
    });
}

#[tokio::test(start_paused = true)]
async fn a_start_is_made_ready_before_it_is_written_down_and_given_out_by_who_wrote_it() {
    let rig = Rig::start();
    let instance = rig.online("web").await;
    rig.foreseen.lock().unwrap().clear();
    died(&rig, instance);
    rig.turn().await;
    let next = InstanceId {
        incarnation: instance.incarnation.next(),
        ..instance
    };
    assert_eq!(*rig.foreseen.lock().unwrap(), [next]);
    assert!(rig.orders().is_empty(), "nothing begins before the write");

    rig.store.pump();
    assert_eq!(spawned(&rig.orders()), Some(next), "the pump has not even heard of it");
    rig.settle().await;
    assert_eq!(spawned(&rig.orders()), None, "it is given out once");
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_write_failed_is_given_out_by_the_pump_once() {
    let rig = Rig::start();
    let instance = rig.online("web").await;
    rig.store.inject(Fault::Fail(StoreError::Full));
    died(&rig, instance);
    rig.turn().await;
    rig.store.pump();
    assert!(rig.orders().is_empty(), "nobody but the pump knows what may go then");
    rig.settle().await;
    assert!(spawned(&rig.orders()).is_some(), "care goes on");
    rig.back().await;
    assert_eq!(spawned(&rig.orders()), None, "it is given out once");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_given_out_after_the_pump_has_stopped() {
    let rig = Rig::start();
    let instance = rig.online("web").await;
    died(&rig, instance);
    rig.turn().await;
    rig.incoming.send(Incoming::Stop { dismiss: false }).unwrap();
    rig.turn().await;
    rig.store.pump();
    assert!(rig.orders().is_empty());
}
