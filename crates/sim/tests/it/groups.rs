//! Groups: replicas come and go, and a new spec reaches them one after the other, or is taken back.

use std::time::Duration;

use stead_model::Wanted;
use stead_model::group::{GroupRequest, RolloutState};
use stead_sim::{Crash, Turn, World};

use crate::script::{play, play_in};

/// A story is a test whose transcript is kept.
macro_rules! stories {
    ($($name:ident: $story:literal;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(play($story));
        }
    )*};
}

stories! {
    a_group_starts_its_replicas_and_counts_them_once_they_were_ready_for_long_enough: r#"
        at 0s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 1s expect web-1 phase=online group=web
        at 1s expect web-2 phase=online
        at 2s expect-group web phase=degraded ready=2 available=0
        at 12s expect-group web phase=online available=2
    "#;

    a_new_spec_reaches_one_replica_after_the_other: r#"
        at 0s create-group web {"replicas":3,"update":{"min_ready":"5s"},"template":{"command":["serve"]}}
        at 20s expect-group web phase=online available=3
        at 21s update-group web {"replicas":3,"update":{"min_ready":"5s"},"template":{"command":["serve","2"]}}
        at 22s expect-group web phase=updating updated=1 available=2
        at 28s expect-group web updated=2 available=2
        at 40s expect-group web phase=online available=3 updated=3 rollout=completed good_revision=2
    "#;

    a_revision_that_fails_is_taken_back_at_its_first_replica: r#"
        at 0s create-group web {"replicas":3,"template":{"command":["serve"]}}
        at 20s update-group web {"replicas":3,"template":{"command":["flash"]}}
        at 40s expect-group web phase=online available=3 updated=3 rollout=rolled_back good_revision=1 spec_revision=1
        at 41s expect web-2 restarts=0
    "#;

    a_replica_that_is_never_ready_ends_the_update_at_its_deadline: r#"
        at 0s create-group web {"replicas":2,"update":{"progress_deadline":"30s"},"template":{"command":["serve"]}}
        at 20s update-group web {"replicas":2,"update":{"progress_deadline":"30s"},"template":{"command":["serve"],"notify":true}}
        at 40s expect-group web phase=updating available=1
        at 80s expect-group web phase=online available=2 rollout=rolled_back
    "#;

    a_surge_starts_new_replicas_before_old_ones_end: r#"
        at 0s create-group web {"replicas":2,"update":{"max_unavailable":0,"max_surge":1},"template":{"command":["serve"]}}
        at 20s update-group web {"replicas":2,"update":{"max_unavailable":0,"max_surge":1},"template":{"command":["serve","2"]}}
        at 21s expect-group web present=3 available=2 updated=0
        at 31s expect-group web present=3 available=2
        at 60s expect-group web phase=online present=2 available=2 updated=2 rollout=completed
    "#;

    a_newer_update_takes_the_place_of_one_under_way: r#"
        at 0s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 20s update-group web {"replicas":2,"template":{"command":["serve","2"]}}
        at 25s update-group web {"replicas":2,"template":{"command":["serve","3"]}}
        at 80s expect-group web phase=online updated=2 spec_revision=3 good_revision=3 rollout=completed
        at 81s undo-group web
        at 140s expect-group web phase=online updated=2 spec_revision=4 good_revision=4
        at 141s undo-group web 9
    "#;

    a_group_grows_and_shrinks_from_its_end: r#"
        at 0s create-group web {"replicas":1,"template":{"command":["serve"]}}
        at 20s scale-group web 3
        at 40s expect-group web phase=online available=3
        at 41s scale-group web 3
        at 42s scale-group web 1
        at 60s expect-group web phase=online present=1
        at 61s expect web-3 nobody
        at 62s scale-group web 20000
    "#;

    a_group_is_stopped_started_and_deleted_with_all_its_replicas: r#"
        at 0s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 20s stop-group web
        at 30s expect-group web phase=resting ready=0
        at 31s start-group web
        at 50s expect-group web phase=online
        at 51s pause-group web
        at 52s expect web-1 phase=suspended
        at 53s delete-group web
        at 70s expect-group web nobody
        at 71s expect web-1 nobody
    "#;

    a_group_is_frozen_until_its_pause_is_over_or_somebody_ends_it: r#"
        at 0s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 20s freeze-group web 30s
        at 21s expect web-1 phase=suspended
        at 21s expect-group web phase=resting ready=0
        at 30s crash daemon
        at 31s up
        at 49s expect-group web phase=resting ready=0
        at 70s expect-group web phase=online available=2
        at 71s freeze-group web
        at 72s resume-group web
        at 90s expect-group web phase=online available=2
        at 91s freeze-group web 10s
        at 92s freeze-group web
        at 120s expect-group web phase=resting ready=0
    "#;

    a_name_that_somebody_has_is_waited_for_and_a_claimed_one_is_refused: r#"
        at 0s register web-2 {"command":["serve"]}
        at 1s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 20s expect-group web phase=scaling present=1
        at 21s register web-1 {"command":["serve"]}
        at 22s register web {"command":["serve"]}
        at 23s delete web-2
        at 40s expect-group web phase=online present=2 available=2
        at 41s create-group web {"replicas":2,"template":{"command":["serve"]}}
    "#;

    a_replica_is_restarted_alone_and_told_what_to_be_by_its_group_alone: r#"
        at 0s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 20s restart web-1
        at 21s respec web-1 {"command":["other"]}
        at 22s scale web-1 3
        at 23s delete web-1
        at 40s expect web-1 phase=online incarnation=1
        at 41s restart-group web
        # One by one: the second waits until the first has been available for a while.
        at 45s expect-group web phase=updating available=1 updated=1
        at 57s expect-group web phase=updating available=1 updated=2
        at 90s expect-group web phase=online rollout=completed spec_revision=2
    "#;

    one_that_depends_on_a_group_starts_once_enough_of_it_is_available: r#"
        at 0s register user {"command":["serve"],"depends_on":{"web":"healthy"}}
        at 1s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 5s expect user phase=deployed
        at 20s expect user phase=online
        at 21s register fan {"command":["serve"],"depends_on":{"web-2":"started"}}
        at 22s expect fan phase=online
    "#;

    an_update_of_one_agent_replaces_its_process_and_waits_for_its_tasks: r#"
        at 0s register web {"command":["serve"]}
        at 20s update web {"command":["serve","2"]}
        at 21s expect web phase=online incarnation=2 spec_revision=2 restarts=0
        at 22s assign web t1
        at 23s update web {"command":["serve","3"]}
        at 24s expect web phase=busy ready=false incarnation=2
        at 25s assign web t2
        at 26s complete web t1
        at 27s expect web phase=online incarnation=3 ready=true
        at 28s update web
        at 29s expect web incarnation=4
        at 30s scale web 2
        at 31s stop web
        at 40s update web {"command":["serve","4"]}
        at 41s expect web phase=offline spec_revision=4
        at 42s terminate web
        at 43s update web
    "#;

    one_that_nothing_runs_is_scaled_and_updated_by_its_own_report: r#"
        at 0s register far {"driver":"none"}
        at 1s report far healthy
        at 2s scale far 3
        at 3s expect far phase=scaling
        at 4s report far healthy
        at 5s expect far phase=online
        at 6s update far
        at 7s expect far phase=updating
        at 8s report far healthy
        at 9s expect far phase=online
    "#;

    one_that_is_drained_takes_no_task_and_stops_after_its_last: r#"
        at 0s register web {"command":["serve"]}
        at 1s assign web t1
        at 2s drain web 30s
        at 3s expect web phase=busy ready=false intent=stopped
        at 4s assign web t2
        at 5s drain web 5s
        at 6s why web
        at 7s complete web t1
        at 8s expect web phase=offline
        at 9s drain web 30s
        at 10s start web
        at 11s drain web 30s
        at 12s expect web phase=offline
    "#;

    a_drain_ends_with_its_time_by_another_word_and_with_its_fleet: r#"
        at 0s register web {"command":["serve"]}
        at 1s assign web t1
        at 2s drain web 10s
        at 11s expect web phase=busy
        at 13s expect web phase=offline
        at 14s start web
        at 15s expect web phase=online
        at 16s assign web t2
        at 17s drain web 60s
        at 18s start web
        at 19s expect web phase=busy ready=true intent=running
        at 20s drain web 60s
        at 21s stop web
        at 22s expect web phase=offline
        at 23s start web
        at 24s assign web t3
        at 25s drain web 60s
        at 26s halt web
        at 27s expect web phase=offline intent=stopped
    "#;

    a_drain_goes_on_where_it_was_when_the_daemon_is_back: r#"
        at 0s register web {"command":["serve"]}
        at 1s assign web t1
        at 2s drain web 20s
        at 5s crash daemon
        at 6s up
        at 7s expect web phase=busy ready=false
        at 23s expect web phase=offline
    "#;

    a_group_is_drained_resumed_and_forgiven_with_all_its_replicas: r#"
        at 0s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 20s assign web-1 t1
        at 21s drain-group web 30s
        at 22s expect web-1 phase=busy ready=false
        at 22s expect web-2 phase=offline
        at 23s resume-group web
        at 24s complete web-1 t1
        at 25s expect-group web phase=resting ready=0 intent=stopped
        at 26s start-group web
        at 40s pause-group web
        at 41s resume-group web
        at 42s expect-group web intent=running ready=2
        at 43s resume-group web
        at 44s reset-group web
    "#;

    an_update_of_a_paused_group_waits_until_it_is_resumed_and_replaces_every_process_then: r#"
        at 0s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 20s pause-group web
        at 21s update-group web {"replicas":2,"template":{"command":["serve","2"]}}
        # Longer than an update may take without getting on.
        at 1000s expect-group web phase=resting updated=0 good_revision=1 rollout=rolling
        at 1001s expect web-1 phase=suspended incarnation=1
        at 1002s resume-group web
        at 1003s expect-group web phase=updating updated=0
        at 1030s crash daemon
        at 1031s up
        at 1090s expect-group web phase=online available=2 updated=2 rollout=completed good_revision=2
        at 1091s expect web-1 incarnation=2
        at 1092s expect web-2 incarnation=2
    "#;

    a_bad_update_of_a_paused_group_is_taken_back_once_it_is_resumed: r#"
        at 0s create-group web {"replicas":3,"template":{"command":["serve"]}}
        at 20s pause-group web
        at 21s update-group web {"replicas":3,"template":{"command":["flash"]}}
        at 60s expect-group web phase=resting good_revision=1 rollout=rolling
        at 61s resume-group web
        at 120s expect-group web phase=online available=3 updated=3 rollout=rolled_back good_revision=1
        at 121s expect web-2 incarnation=1
    "#;

    a_pause_in_the_middle_of_an_update_proves_nothing: r#"
        at 0s create-group web {"replicas":3,"template":{"command":["serve"]}}
        at 20s update-group web {"replicas":3,"template":{"command":["serve","2"]}}
        at 25s expect-group web phase=updating updated=1
        at 26s pause-group web
        at 500s expect-group web phase=resting updated=1 good_revision=1 rollout=rolling
        at 501s resume-group web
        at 600s expect-group web phase=online available=3 updated=3 rollout=completed good_revision=2
        at 601s expect web-3 incarnation=2
    "#;

    an_update_beside_waits_for_a_frozen_group_too: r#"
        at 0s create-group web {"replicas":2,"update":{"max_unavailable":0,"max_surge":1},"template":{"command":["serve"]}}
        at 20s freeze-group web 30s
        at 21s update-group web {"replicas":2,"update":{"max_unavailable":0,"max_surge":1},"template":{"command":["serve","2"]}}
        at 40s expect-group web phase=resting present=2 updated=0
        at 120s expect-group web phase=online present=2 available=2 updated=2 rollout=completed good_revision=2
    "#;

    an_update_of_a_stopped_group_is_what_it_starts_with_and_has_to_prove_itself: r#"
        at 0s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 20s stop-group web
        at 30s update-group web {"replicas":2,"template":{"command":["flash"]}}
        at 40s expect-group web phase=resting updated=2 good_revision=1 rollout=rolling
        at 41s start-group web
        at 100s expect-group web phase=online available=2 rollout=rolled_back spec_revision=1 good_revision=1
        at 101s stop-group web
        at 110s update-group web {"replicas":2,"template":{"command":["serve","2"]}}
        at 111s start-group web
        at 160s expect-group web phase=online available=2 rollout=completed good_revision=3
    "#;

    a_replica_that_rests_alone_takes_up_its_update_when_it_is_resumed: r#"
        at 0s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 20s pause web-1
        at 21s update-group web {"replicas":2,"template":{"command":["serve","2"]}}
        at 60s expect-group web updated=2 rollout=completed good_revision=2
        at 61s expect web-1 phase=suspended incarnation=1 restart_pending=true
        at 62s resume web-1
        at 90s expect web-1 phase=online incarnation=2
        at 91s expect-group web phase=online available=2
    "#;

    an_update_of_replicas_that_all_rest_alone_waits_for_one_of_them: r#"
        at 0s create-group web {"replicas":2,"template":{"command":["serve"]}}
        at 20s pause web-1
        at 20s pause web-2
        at 21s update-group web {"replicas":2,"template":{"command":["serve","2"]}}
        at 500s expect-group web phase=updating updated=0 good_revision=1 rollout=rolling
        at 501s resume web-2
        at 560s expect-group web rollout=completed good_revision=2
        at 561s expect web-2 incarnation=2
    "#;

    a_fleet_that_goes_down_in_the_middle_of_an_update_goes_on_with_it_when_it_is_back: r#"
        at 0s create-group web {"replicas":3,"template":{"command":["serve"]}}
        at 20s update-group web {"replicas":3,"template":{"command":["serve","2"]}}
        at 25s crash daemon
        at 26s up
        at 27s expect-group web phase=updating
        at 40s crash power
        at 41s up
        at 120s expect-group web phase=online available=3 updated=3 rollout=completed good_revision=2
    "#;
}

#[test]
fn a_group_comes_to_the_same_with_one_engine_and_with_many() {
    let story = r#"
        at 0s register user {"command":["serve"],"depends_on":{"web-2":"healthy"}}
        at 1s create-group web {"replicas":4,"update":{"max_unavailable":"50%"},"template":{"command":["serve"]}}
        at 20s update-group web {"replicas":4,"update":{"max_unavailable":"50%"},"template":{"command":["serve","2"]}}
        at 90s expect-group web phase=online available=4 updated=4 good_revision=2
        at 91s expect user phase=online
        at 92s scale-group web 2
        at 110s expect-group web phase=online present=2
    "#;
    for engines in [1, 7, 64] {
        play_in(engines, story);
    }
}

/// One replica after the other.
const ONE_BY_ONE: &str = r#"{"min_ready":"2s"}"#;
/// A new replica before an old one goes.
const BESIDE: &str = r#"{"min_ready":"2s","max_unavailable":0,"max_surge":1}"#;

/// A group of three that was available for a while and is told to be something else; and the number of that request.
fn updating(command: &str, update: &str) -> (World, u64) {
    let mut world = World::new(1, &["web", "web-1", "web-2", "web-3", "web-4"]);
    let spec = |command: &str| {
        let json = format!(r#"{{"replicas":3,"update":{update},"template":{{"command":["{command}","{command}"]}}}}"#);
        Box::new(serde_json::from_str(&json).unwrap())
    };
    world.request_of_group(
        "web",
        GroupRequest::Create {
            spec: spec("serve"),
            wanted: Wanted::Running,
        },
    );
    world.run_until(Duration::from_secs(20));
    let request = world.request_of_group("web", GroupRequest::Respec { spec: spec(command) });
    (world, request)
}

/// The next small turn of a calm world; when nothing is to be done, time goes on to what comes next.
fn turn(world: &mut World) {
    match Turn::ALL.into_iter().find(|turn| world.can(*turn)) {
        Some(turn) => world.turn(turn),
        None => {
            let next = world.next().expect("something is due while an update is under way");
            world.pass(next.saturating_sub(world.elapsed() + Duration::from_secs(3600)));
        }
    }
}

fn under_way(world: &World) -> bool {
    world.group("web").is_none_or(|group| {
        group
            .rollout
            .as_ref()
            .is_none_or(|rollout| matches!(rollout.state, RolloutState::Rolling | RolloutState::RollingBack))
    })
}

/// Lets the daemon's side end at every turn of an update, and the update go on where it was.
fn survives(command: &str, update: &str, crash: Crash, ends: RolloutState) {
    for at in 0.. {
        let (mut world, request) = updating(command, update);
        let mut turns = 0;
        while turns < at && under_way(&world) {
            turn(&mut world);
            turns += 1;
        }
        if !under_way(&world) {
            assert!(at > 20, "an update takes some turns, not {at}");
            return;
        }
        let answered = world.group_answer(request).is_some();
        world.crash(crash);
        world.pass(Duration::from_millis(300));
        world.start();
        world.run_until(world.elapsed() + Duration::from_secs(120));
        let group = world.group("web").expect("a group").clone();
        let told = format!("crash at turn {at}\n{}", world.transcript());
        assert_eq!((group.available, group.updated, group.present), (3, 3, 3), "{told}");
        let rollout = group.rollout.as_ref().map(|rollout| rollout.state);
        let now = if ends == RolloutState::Completed { 2 } else { 1 };
        match rollout {
            Some(state) => assert_eq!(
                (state, group.spec_revision, group.good_revision),
                (ends, now, now),
                "{told}"
            ),
            // The request itself may not have been written yet, and is forgotten then; but not once it was answered.
            None => assert!(!answered && group.spec_revision == 1, "{told}"),
        }
        world.check_history().unwrap();
    }
}

#[test]
fn an_update_survives_the_end_of_the_daemon_at_every_turn() {
    survives("other", ONE_BY_ONE, Crash::Daemon, RolloutState::Completed);
}

#[test]
fn an_update_survives_the_end_of_daemon_and_keeper_at_every_turn() {
    survives("other", ONE_BY_ONE, Crash::DaemonAndKeeper, RolloutState::Completed);
}

#[test]
fn an_update_survives_a_power_cut_at_every_turn() {
    survives("other", ONE_BY_ONE, Crash::Power { keep: 0 }, RolloutState::Completed);
}

#[test]
fn a_roll_back_survives_the_end_of_the_daemon_at_every_turn() {
    survives("flash", ONE_BY_ONE, Crash::Daemon, RolloutState::RolledBack);
}

#[test]
fn a_roll_back_survives_the_end_of_daemon_and_keeper_at_every_turn() {
    survives("flash", ONE_BY_ONE, Crash::DaemonAndKeeper, RolloutState::RolledBack);
}

#[test]
fn a_roll_back_survives_a_power_cut_at_every_turn() {
    survives("flash", ONE_BY_ONE, Crash::Power { keep: 0 }, RolloutState::RolledBack);
}

#[test]
fn an_update_with_a_surge_survives_each_kind_of_end_at_every_turn() {
    for crash in [Crash::Daemon, Crash::DaemonAndKeeper, Crash::Power { keep: 0 }] {
        survives("other", BESIDE, crash, RolloutState::Completed);
        survives("flash", BESIDE, crash, RolloutState::RolledBack);
    }
}

#[test]
fn of_many_bad_updates_ten_revisions_are_kept_and_the_good_one_before_them_is_gone_back_to() {
    let mut world = World::new(1, &["web", "web-1"]);
    let spec = |command: &str, number: u32| {
        let json = format!(
            r#"{{"replicas":1,"update":{{"min_ready":"1s"}},"template":{{"command":["{command}","{number}"]}}}}"#
        );
        Box::new(serde_json::from_str(&json).unwrap())
    };
    let tell = |world: &mut World, request| {
        world.request_of_group("web", request);
        world.run_until(world.elapsed() + Duration::from_secs(100));
        let group = world.group("web").unwrap();
        let state = group.rollout.as_ref().map(|rollout| rollout.state);
        (state, group.spec_revision, group.good_revision, group.available)
    };
    let kept = |world: &World| {
        let revisions = world.rollout("web").unwrap().revisions;
        let mut kept: Vec<_> = revisions
            .iter()
            .map(|revision| (revision.number, revision.failed))
            .collect();
        kept.sort_unstable();
        kept
    };
    let create = GroupRequest::Create {
        spec: spec("serve", 1),
        wanted: Wanted::Running,
    };
    assert_eq!(tell(&mut world, create), (None, 1, 1, 1));
    for number in 2..=13 {
        let bad = GroupRequest::Respec {
            spec: spec("flash", number),
        };
        assert_eq!(
            tell(&mut world, bad),
            (Some(RolloutState::RolledBack), 1, 1, 1),
            "revision {number}\n{}",
            world.transcript()
        );
    }
    let expected: Vec<_> = std::iter::once((1, false))
        .chain((5..=13).map(|number| (number, true)))
        .collect();
    assert_eq!(kept(&world), expected);
    world.crash(Crash::Power { keep: 0 });
    world.start();
    world.run_until(world.elapsed() + Duration::from_secs(100));
    assert_eq!(kept(&world), expected);

    let good = GroupRequest::Respec {
        spec: spec("serve", 14),
    };
    assert_eq!(tell(&mut world, good), (Some(RolloutState::Completed), 14, 14, 1));
    let back = GroupRequest::Undo { to: Some(1) };
    assert_eq!(tell(&mut world, back).0, Some(RolloutState::Completed));
    let gone = GroupRequest::Undo { to: Some(4) };
    let request = world.request_of_group("web", gone);
    world.settle();
    assert!(world.group_answer(request).unwrap().is_err());
}

#[test]
fn an_update_never_takes_more_replicas_down_than_it_may() {
    let (mut world, _request) = updating("other", ONE_BY_ONE);
    while under_way(&world) {
        turn(&mut world);
        if let Some(group) = world.group("web") {
            assert!(group.ready >= 2, "{}", world.transcript());
        }
    }
}
