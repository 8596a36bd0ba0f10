//! Lives of single agents, told line by line; what came of each is kept beside as a transcript.

use crate::script::{play, play_in, stories};

stories! {
    one_that_is_frozen_stands_still_until_it_is_resumed_whatever_dies_meanwhile: r#"
        at 0s register web {"command":["serve"]}
        at 1s freeze web
        at 2s expect web phase=suspended incarnation=1
        at 3s freeze web
        at 4s crash daemon
        at 5s up
        at 6s resume web
        at 7s expect web phase=online incarnation=1
        at 8s freeze web
        at 9s stop web
        at 20s expect web phase=offline
        at 21s checkpoint web
    "#;

    an_agent_that_takes_word_of_pauses_writes_down_where_it_is_and_is_told_to_go_on: r#"
        at 0s register web {"command":["serve"],"lifecycle":{"port":8080}}
        at 5s checkpoint web
        at 6s expect web phase=suspended incarnation=1
        at 7s crash daemon
        at 8s up
        at 9s resume web
        at 10s expect web phase=online incarnation=1
        at 11s pause web
        at 12s exit web code=1
        at 13s resume web
        at 14s expect web phase=online incarnation=2
        at 15s freeze web
        at 16s resume web
    "#;

    an_agent_that_hibernates_ends_once_it_has_written_down_where_it_is: r#"
        at 0s register web {"command":["serve"],"lifecycle":{"port":8080}}
        at 5s hibernate web
        at 6s expect web phase=offline intent=paused restarts=0
        at 7s crash keeper
        at 8s up
        at 20s expect web phase=offline intent=paused
        at 21s resume web
        at 22s expect web phase=online incarnation=2 restarts=0
        at 23s hibernate web
        at 24s start web
        at 25s expect web phase=online incarnation=3
    "#;

    a_run_that_ends_before_it_heard_that_it_shall_go_on_leaves_that_to_the_next_one: r#"
        at 0s register web {"command":["serve"],"lifecycle":{"port":8080}}
        at 5s hibernate web
        at 6s expect web phase=offline
        at 7s resume web
        at 7s exit web code=1
        at 12s expect web phase=online incarnation=3
    "#;

    an_agent_is_told_to_go_on_where_it_listens_though_its_spec_says_so_no_more: r#"
        at 0s register web {"command":["serve"],"lifecycle":{"port":8080}}
        at 5s pause web
        at 6s respec web {"command":["serve"]}
        at 7s resume web
        at 8s expect web phase=online incarnation=1
    "#;

    a_pause_with_an_end_is_over_by_itself_however_often_the_daemon_dies: r#"
        at 0s register web {"command":["serve"]}
        at 1s pause-for web 1m
        at 2s why web
        at 30s crash daemon
        at 31s up
        at 50s expect web phase=suspended
        at 62s expect web phase=online
        at 63s freeze web 10s
        at 64s pause web
        at 80s expect web phase=suspended
        at 81s pause-for web 0s
    "#;

    a_paused_agent_that_ends_stays_down_until_somebody_wants_it: r#"
        at 0s register web {"command":["serve"]}
        at 1s freeze web
        at 2s exit web code=1
        at 60s expect web phase=offline intent=paused
        at 61s start web
        at 62s expect web phase=online
    "#;

    an_agent_is_deployed_started_and_in_time_counted_as_healthy: r#"
        at 0s register web {"command":["serve"]}
        at 1s expect web phase=online health=unknown ready=true incarnation=1
        at 11s expect web phase=online health=healthy conditions=unverified
        at 12s why web
    "#;

    a_crash_while_operational_is_answered_at_once: r#"
        at 0s register web {"command":["serve"]}
        at 20s exit web code=1
        at 21s expect web phase=online incarnation=2 restarts=1 health=recovering
        at 32s expect web health=healthy
    "#;

    a_crash_loop_climbs_the_ladder_and_ends_in_quarantine_until_somebody_starts_it: r#"
        at 0s register web {"command":["flash"],"restart":{"backoff":{"jitter":0}}}
        at 2s why web
        at 60s expect web phase=failed conditions=quarantined
        at 61s why web
        at 62s respec web {"command":["serve"]}
        at 63s expect web phase=online restarts=6 conditions=
    "#;

    one_in_quarantine_is_started_by_hand: r#"
        at 0s register web {"command":["crash"],"restart":{"backoff":{"jitter":0},"intensity":{"max":1,"period":"10m"}}}
        at 30s expect web phase=failed conditions=quarantined
        at 31s start web
        at 31s expect web phase=online conditions=
    "#;

    a_missing_program_holds_the_agent_until_it_is_started_by_hand: r#"
        at 0s register web {"command":["missing"]}
        at 1s expect web phase=failed conditions=held health=failed
        at 2s why web
        at 3s start web
        at 4s expect web phase=failed conditions=held
        at 5s reset web
        at 6s respec web {"command":["serve"]}
        at 7s expect web phase=online
    "#;

    a_shortage_is_waited_out: r#"
        at 0s declare web {"command":["serve"]}
        at 1s deploy web
        at 2s respec web {"command":["scarce"],"restart":{"backoff":{"jitter":0}}}
        at 3s start web
        at 9s expect web phase=failed conditions=
        at 10s respec web {"command":["serve"]}
        at 11s expect web phase=online
    "#;

    a_stop_asks_and_then_makes_it: r#"
        at 0s register web {"command":["stubborn"],"stop":{"grace":"5s"}}
        at 10s stop web
        at 12s why web
        at 12s expect web phase=stopping
        at 20s expect web phase=offline intent=stopped health=unknown
        at 21s stop web
    "#;

    a_stop_that_takes_too_long_is_an_error_on_the_way: r#"
        at 0s register web {"command":["slow"],"stop":{"grace":"20s"},"deadlines":{"stopping":"2s"}}
        at 10s stop web
        at 20s expect web phase=offline
    "#;

    a_state_that_is_named_has_a_deadline_of_its_own: r#"
        at 0s register web {"command":["slow"],"stop":{"grace":"20s"},"deadlines":{"stopping":"9s","states":{"stopping":"2s"}}}
        at 10s stop web
        at 20s expect web phase=offline
    "#;

    a_stop_without_grace_kills_at_once: r#"
        at 0s register web {"command":["stubborn"],"stop":{"grace":"0s"}}
        at 10s stop web
        at 10s expect web phase=offline
    "#;

    a_stop_while_starting_is_no_failure: r#"
        at 0s register web {"command":["serve"],"notify":true}
        at 5s stop web
        at 6s expect web phase=offline restarts=0 health=unknown
    "#;

    a_stop_taken_back_before_the_end_starts_it_anew: r#"
        at 0s register web {"command":["slow"]}
        at 5s stop web
        at 6s start web
        at 6s expect web phase=stopping intent=running
        at 20s expect web phase=online incarnation=2 restarts=0
    "#;

    one_that_is_paused_takes_no_work_and_resumes: r#"
        at 0s register web {"command":["serve"]}
        at 5s assign web t1
        at 6s pause web
        at 6s expect web phase=suspended ready=false tasks=1
        at 7s assign web t2
        at 8s resume web
        at 8s expect web phase=busy ready=true
        at 9s complete web t1
        at 9s expect web phase=idle
    "#;

    one_that_is_paused_and_stopped_stays_suspended_until_its_end: r#"
        at 0s register web {"command":["slow"]}
        at 5s pause web
        at 6s stop web
        at 7s expect web phase=suspended
        at 8s start web
        at 8s expect web phase=suspended
        at 20s expect web phase=online incarnation=2 restarts=0
    "#;

    a_fleet_that_goes_down_and_comes_back_is_as_it_was_wanted: r#"
        at 0s register web {"command":["serve"]}
        at 0s register paused {"command":["serve"]}
        at 0s register stopped {"command":["serve"]}
        at 5s pause paused
        at 5s stop stopped
        at 10s halt web
        at 10s halt paused
        at 10s halt stopped
        at 11s halt web
        at 12s why web
        at 12s expect web phase=offline intent=running
        at 12s expect paused phase=offline intent=paused
        at 20s lift web
        at 20s lift paused
        at 20s lift stopped
        at 25s expect web phase=online incarnation=2 restarts=0
        at 25s expect paused phase=offline intent=paused
        at 25s expect stopped phase=offline intent=stopped
        at 26s halt web
        at 27s start web
        at 30s expect web phase=online intent=running
    "#;

    a_crash_while_paused_leaves_it_offline: r#"
        at 0s register web {"command":["serve"]}
        at 5s pause web
        at 6s exit web code=1
        at 6s expect web phase=offline intent=paused
        at 7s why web
        at 8s resume web
        at 8s expect web phase=online
    "#;

    people_work_on_one_in_maintenance: r#"
        at 0s register web {"command":["serve"]}
        at 5s maintenance web
        at 5s expect web phase=maintenance
        at 6s pause web
        at 6s expect web phase=suspended
        at 7s maintenance web
        at 8s exit web signal=SIGKILL
        at 8s expect web phase=maintenance
        at 9s resume web
        at 9s expect web phase=online
    "#;

    one_that_is_terminated_comes_back_never: r#"
        at 0s register web {"command":["serve"]}
        at 5s terminate web
        at 6s expect web phase=terminated
        at 7s start web
        at 8s restart web
        at 9s delete web
        at 9s expect web nobody
    "#;

    a_deleted_name_may_be_taken_again: r#"
        at 0s register web {"command":["serve"]}
        at 5s delete web
        at 5s register web {"command":["serve"]}
        at 5.05s start web
        at 6s expect web nobody
        at 7s register web {"command":["serve"]}
        at 8s expect web phase=online incarnation=1
    "#;

    a_restart_by_hand_is_no_failure: r#"
        at 0s register web {"command":["serve"]}
        at 5s restart web
        at 6s expect web phase=online incarnation=2 restarts=0
        at 7s pause web
        at 8s restart web
        at 9s expect web phase=online incarnation=3 intent=running
    "#;

    one_is_deployed_without_being_started: r#"
        at 0s declare web {"command":["serve"]}
        at 0s expect web phase=registered
        at 1s deploy web
        at 1s expect web phase=deployed
        at 2s deploy web
        at 3s pause web
        at 4s start web
        at 4s deploy web
        at 5s expect web phase=online
    "#;

    one_that_notifies_is_ready_when_it_says_so_and_watched_from_then_on: r#"
        at 0s register web {"command":["serve"],"notify":true,"watchdog":"5s"}
        at 3s expect web phase=starting ready=false
        at 4s notify web status=loading
        at 5s notify web ready
        at 5s expect web phase=online health=healthy ready=true
        at 8s notify web watchdog
        at 9s notify web reloading
        at 12s notify web status=serving
        at 14s pause web
        at 20s resume web
        at 26s expect web incarnation=2
        at 27s notify web ready
        at 28s notify web trigger
        at 31s notify web ready
        at 31s expect web phase=online incarnation=3
        at 32s notify web stopping
        at 32s expect web ready=false
    "#;

    a_start_has_until_its_deadline_and_says_so: r#"
        at 0s register web {"command":["slow"],"notify":true,"deadlines":{"starting":"5s"}}
        at 2s why web
        at 6s why web
    "#;

    one_that_needs_longer_says_so: r#"
        at 0s register web {"command":["serve"],"notify":true,"deadlines":{"starting":"10s"}}
        at 8s notify web extend=20s
        at 20s expect web phase=starting
        at 26s notify web ready
        at 26s expect web phase=online
        at 30s stop web
        at 30.05s notify web extend=15s
    "#;

    one_that_is_never_ready_is_given_up_and_tried_again: r#"
        at 0s register web {"command":["serve"],"notify":true,"restart":{"backoff":{"jitter":0}}}
        at 61s expect web phase=starting incarnation=2
        at 62s why web
        at 120.5s expect web phase=timeout
        at 125s expect web phase=starting incarnation=3
    "#;

    probes_tell_when_it_is_up_when_it_takes_work_and_when_it_hangs: r#"
        at 0s register web {"command":["serve"],"probes":{"startup":{"tcp_socket":{"port":1}},"readiness":{"tcp_socket":{"port":1},"success_threshold":2},"liveness":{"tcp_socket":{"port":1}}}}
        at 1s probe web startup ok
        at 1s expect web phase=starting
        at 2s probe web readiness ok
        at 2s expect web phase=starting
        at 3s probe web readiness ok
        at 3s expect web phase=online health=healthy ready=true
        at 4s probe web readiness fail
        at 5s probe web readiness fail
        at 5s expect web ready=true
        at 6s probe web readiness fail
        at 6s expect web phase=online ready=false health=degraded
        at 6s probe web readiness fail
        at 6s why web
        at 7s pause web
        at 8s resume web
        at 8s expect web phase=online ready=false
        at 9s probe web readiness ok
        at 10s probe web readiness ok
        at 10s expect web ready=true health=healthy
        at 11s probe web liveness fail
        at 12s probe web liveness ok
        at 13s probe web liveness fail
        at 14s probe web liveness fail
        at 14s expect web phase=online
        at 15s probe web liveness fail
        at 15s expect web phase=starting incarnation=2
    "#;

    a_startup_probe_that_fails_is_a_failed_start: r#"
        at 0s register web {"command":["serve"],"restart":{"policy":"never"},"probes":{"startup":{"tcp_socket":{"port":1},"failure_threshold":1}}}
        at 1s probe web startup fail
        at 2s expect web phase=failed
        at 3s why web
    "#;

    one_that_notifies_is_not_up_by_its_probe_alone: r#"
        at 0s register web {"command":["serve"],"notify":true,"probes":{"readiness":{"tcp_socket":{"port":1}}}}
        at 1s probe web readiness ok
        at 1s expect web phase=starting
        at 2s notify web ready
        at 2s expect web phase=online
    "#;

    an_agent_waits_for_those_it_depends_on_however_late_they_come: r#"
        at 0s register web {"command":["serve"],"depends_on":{"db":"healthy","seed":"completed","bus":"started"}}
        at 1s expect web phase=deployed
        at 1s why web
        at 2s register db {"command":["serve"],"notify":true}
        at 3s register bus {"driver":"none","profile":"component"}
        at 4s register seed {"command":["job"],"restart":{"policy":"on-failure"}}
        at 5s report bus healthy
        at 7s expect seed phase=offline
        at 7s expect web phase=deployed
        at 8s notify db ready
        at 8s expect web phase=online
    "#;

    a_job_that_is_done_is_started_no_more: r#"
        at 0s register job {"command":["job"],"restart":{"policy":"on-failure"}}
        at 3s expect job phase=offline health=unknown conditions= incarnation=1
        at 4s why job
        at 5s start job
        at 8s expect job phase=offline incarnation=2
        at 9s restart job
        at 12s expect job phase=offline incarnation=3
    "#;

    a_job_that_ended_before_it_was_ready_is_done_too: r#"
        at 0s register job {"command":["job"],"notify":true,"restart":{"policy":"on-failure"}}
        at 3s expect job phase=offline health=unknown
    "#;

    exit_codes_listed_as_final_hold_it: r#"
        at 0s register web {"command":["serve"],"restart":{"final_exit_codes":[78]}}
        at 5s exit web code=78
        at 6s expect web phase=offline conditions=held health=failed
        at 7s why web
        at 8s start web
        at 8s expect web phase=online conditions=
    "#;

    one_that_is_never_restarted_stays_down: r#"
        at 0s register web {"command":["serve"],"restart":{"policy":"never"}}
        at 5s exit web oom
        at 6s expect web phase=offline health=failed
        at 7s why web
    "#;

    on_failure_answers_failures_alone: r#"
        at 0s register web {"command":["serve"],"restart":{"policy":"on-failure"}}
        at 5s exit web code=3
        at 6s expect web phase=online incarnation=2
        at 7s exit web code=0
        at 8s expect web phase=offline incarnation=2
    "#;

    counters_begin_anew_after_a_stable_period: r#"
        at 0s register web {"command":["serve"],"restart":{"stable":"1m","backoff":{"jitter":0}}}
        at 5s exit web code=1
        at 20s exit web code=1
        at 22s expect web phase=online incarnation=3
        at 2m exit web code=1
        at 2m expect web phase=online incarnation=4
    "#;

    one_that_nothing_runs_comes_by_its_reports_and_goes_by_its_silence: r#"
        at 0s register edge {"driver":"none","type":"api","health":{"adaptive_timeout":false}}
        at 1s expect edge phase=starting
        at 2s report edge healthy
        at 2s expect edge phase=online health=healthy
        at 10s report edge degraded
        at 10s expect edge health=degraded
        at 11s report edge degraded
        at 12s report edge healthy
        at 12s expect edge health=healthy
        at 36s expect edge phase=error health=failed
        at 37s why edge
        at 38s report edge healthy
        at 38s expect edge health=recovering
        at 39s report edge healthy
        at 39s expect edge phase=online
        at 40s pause edge
        at 41s report edge healthy
        at 45s resume edge
        at 45s expect edge phase=online
        at 46s pause edge
        at 70s expect edge phase=offline
        at 71s resume edge
        at 71s expect edge phase=starting
        at 72s report edge healthy
        at 72s expect edge phase=online
        at 73s stop edge
        at 73s expect edge phase=offline
        at 74s report edge healthy
        at 74s expect edge phase=offline
    "#;

    one_that_nothing_runs_may_come_very_late: r#"
        at 0s register edge {"driver":"none"}
        at 70s expect edge phase=timeout
        at 30m report edge healthy
        at 30m expect edge phase=online conditions=
    "#;

    tasks_make_it_busy_and_idle_and_twice_is_once: r#"
        at 0s register web {"command":["serve"]}
        at 1s assign web t1
        at 1s assign web t1
        at 2s assign web t2
        at 2s expect web phase=busy tasks=2
        at 3s complete web t1
        at 3s complete web t1
        at 4s complete web t2
        at 4s expect web phase=idle tasks=0
        at 5s assign web t3
        at 6s exit web code=1
        at 7s expect web phase=online tasks=0
        at 8s stop web
        at 9s assign web t4
        at 9s complete web t4
    "#;

    an_error_that_is_seen_heals_by_evidence_or_ends_in_a_restart: r#"
        at 0s register web {"command":["serve"],"probes":{"readiness":{"tcp_socket":{"port":1}}}}
        at 1s probe web readiness ok
        at 2s assign web t1
        at 3s error web it answers 500
        at 3s expect web phase=error health=critical
        at 3s why web
        at 4s probe web readiness ok
        at 4s expect web phase=busy health=healthy incarnation=1
        at 5s error web it answers 500
        at 34s expect web phase=error
        at 36s expect web phase=starting incarnation=2
        at 37s error web too early
        at 37s expect web phase=starting
    "#;

    a_claim_worsens_and_never_clears_what_was_seen: r#"
        at 0s register web {"command":["serve"],"probes":{"readiness":{"tcp_socket":{"port":1},"failure_threshold":1}}}
        at 1s probe web readiness ok
        at 2s report web critical
        at 2s expect web health=critical
        at 3s probe web readiness ok
        at 3s expect web health=critical
        at 4s report web healthy
        at 4s expect web health=healthy
        at 5s probe web readiness fail
        at 6s report web healthy
        at 6s expect web health=degraded
    "#;

    a_component_lives_its_own_life: r#"
        at 0s register db {"command":["serve"],"profile":"component"}
        at 1s expect db phase=ready
        at 2s assign db q1
        at 2s expect db phase=active
        at 3s complete db q1
        at 3s expect db phase=ready
        at 4s exit db code=1
        at 5s expect db phase=ready incarnation=2
        at 6s restart db
        at 7s expect db phase=ready incarnation=3
        at 8s pause db
        at 9s maintenance db
        at 10s terminate db
        at 11s stop db
        at 12s expect db phase=inactive
        at 13s start db
        at 14s delete db
        at 15s expect db nobody
    "#;

    one_that_nothing_runs_is_found_by_its_probes_and_lost_by_them: r#"
        at 0s register db {"driver":"none","profile":"component","probes":{"liveness":{"tcp_socket":{"port":1}}}}
        at 1s expect db phase=initializing
        at 1s why db
        at 2s probe db liveness ok
        at 2s expect db phase=ready health=healthy ready=true
        at 3s report db degraded
        at 3s expect db health=degraded
        at 4s report db healthy
        at 60s expect db phase=ready
        at 61s probe db liveness fail
        at 62s probe db liveness fail
        at 62s expect db phase=ready
        at 63s probe db liveness fail
        at 63s expect db phase=error health=failed
        at 64s report db healthy
        at 64s expect db phase=error
        at 64s why db
        at 65s probe db liveness ok
        at 65s expect db phase=ready health=healthy
        at 66s stop db
        at 67s probe db liveness ok
        at 67s expect db phase=inactive
        at 68s start db
        at 69s probe db liveness ok
        at 69s expect db phase=ready
    "#;

    one_that_nothing_runs_and_never_answers_comes_late_all_the_same: r#"
        at 0s register db {"driver":"none","probes":{"startup":{"tcp_socket":{"port":1},"failure_threshold":2},"readiness":{"tcp_socket":{"port":1}},"liveness":{"tcp_socket":{"port":1}}}}
        at 1s probe db startup fail
        at 2s probe db startup fail
        at 2s expect db phase=failed
        at 3s probe db startup ok
        at 4s probe db liveness ok
        at 4s expect db phase=failed
        at 5s probe db readiness ok
        at 5s expect db phase=online ready=true
        at 6s probe db readiness fail
        at 7s probe db readiness fail
        at 8s probe db readiness fail
        at 8s expect db phase=online ready=false health=degraded
        at 9s delete db
        at 9s expect db nobody
    "#;

    one_that_its_liveness_probe_has_lost_is_not_found_by_its_readiness: r#"
        at 0s register db {"driver":"none","probes":{"readiness":{"tcp_socket":{"port":1}},"liveness":{"tcp_socket":{"port":2},"failure_threshold":2}}}
        at 1s probe db readiness ok
        at 1s expect db phase=online
        at 2s probe db liveness fail
        at 3s probe db liveness fail
        at 4s probe db readiness ok
        at 4s expect db phase=error health=failed
        at 5s probe db liveness ok
        at 5s expect db phase=error
        at 6s probe db readiness ok
        at 6s expect db phase=online health=healthy ready=true
    "#;

    a_component_that_never_comes_up_is_failed_until_it_reports: r#"
        at 0s register llm {"driver":"none","profile":"component"}
        at 61s expect llm phase=failed
        at 65s report llm healthy
        at 65s expect llm phase=ready health=healthy
    "#;

    a_new_spec_is_in_force_at_the_next_start: r#"
        at 0s register web {"command":["serve"]}
        at 1s respec web {"command":["serve"]}
        at 2s respec web {"command":["slow"]}
        at 2s expect web spec_revision=2 restart_pending=true
        at 3s restart web
        at 9s expect web spec_revision=2 incarnation=2
        at 10s respec web {"driver":"none"}
        at 11s respec web {"command":["slow"],"profile":"component"}
    "#;

    requests_that_rest_on_an_old_revision_are_refused: r#"
        at 0s register web {"command":["serve"]}
        at 1s stop web if=1
        at 1s expect web phase=online
    "#;

    a_repeated_request_gets_its_answer_again: r#"
        at 0s register web {"command":["serve"]} key=k1:7
        at 1s register web {"command":["serve"]} key=k1:7
        at 2s stop web key=k1:8
        at 3s stop web key=k2:8
        at 4s start web
        at 5s stop web key=k2:8
        at 5s expect web phase=online
    "#;

    what_is_unknown_is_refused: r#"
        at 0s stop web
        at 1s register web {"command":["serve"],"profile":"robot"}
        at 2s stop agt_0000000000001
        at 3s declare web {"command":["serve"]}
        at 4s terminate web
        at 5s resume web
        at 6s complete web t1
        at 7s reset web
    "#;

    agents_live_on_while_the_daemon_is_dead: r#"
        at 0s register web {"command":["serve"]}
        at 0s register db {"command":["serve"],"notify":true,"watchdog":"30s"}
        at 0s register bad {"command":["serve"]}
        at 1s notify db ready
        at 12s crash daemon
        at 13s exit bad code=7
        at 2h up
        at 2h expect web phase=online incarnation=1 health=healthy
        at 2h expect db phase=online incarnation=1
        at 2h expect bad phase=online incarnation=2
        at 121m expect db phase=starting incarnation=2
    "#;

    a_start_that_was_written_and_not_begun_is_begun_after_all: r#"
        at 0s register web {"command":["serve"],"notify":true}
        at 5s crash daemon
        at 10m up
        at 10m notify web ready
        at 10m expect web phase=online incarnation=1
    "#;

    a_stop_goes_on_after_a_death: r#"
        at 0s register web {"command":["stubborn"]}
        at 5s stop web
        at 6s crash daemon
        at 30m up
        at 30m expect web phase=stopping
        at 31m expect web phase=offline restarts=0
    "#;

    what_ended_unseen_is_unknown_and_started_again: r#"
        at 0s register web {"command":["serve"]}
        at 5s crash keeper
        at 6s exit web code=7
        at 7s up
        at 8s expect web phase=online incarnation=2
    "#;

    after_a_power_cut_no_run_is_numbered_twice: r#"
        at 0s register web {"command":["serve"],"restart":{"backoff":{"jitter":0}}}
        at 5s exit web code=1
        at 6s exit web code=1
        at 10s crash power
        at 11s up
        at 15s expect web phase=online incarnation=65
    "#;

    a_waiting_restart_survives_a_death: r#"
        at 0s register web {"command":["serve"],"restart":{"backoff":{"initial":"60s","jitter":0}}}
        at 1s exit web code=1
        at 2s exit web code=1
        at 10s crash daemon
        at 20s up
        at 61s expect web phase=failed incarnation=2
        at 63s expect web phase=online incarnation=3
    "#;

    a_run_that_nobody_knows_is_ended_before_another_is_begun: r#"
        at 0s declare web {"command":["slow"]}
        at 1s crash daemon
        at 1s up
        at 1s plant web 3
        at 1s lose-keeper
        at 1s start web
        at 2s expect web phase=online incarnation=4
    "#;

    word_of_an_earlier_run_changes_nothing: r#"
        at 0s register web {"command":["serve"]}
        at 5s exit web code=1
        at 6s late-exit web
        at 6s late-notice web
        at 7s expect web phase=online incarnation=2
    "#;

    a_keeper_that_comes_back_finds_everything_as_it_was: r#"
        at 0s register web {"command":["serve"]}
        at 5s lose-keeper
        at 6s expect web phase=online incarnation=1
    "#;
}

#[test]
fn a_story_is_the_same_however_many_engines_tell_it() {
    let story = r#"
        at 0s register web {"command":["serve"],"depends_on":{"db":"healthy","seed":"completed"}}
        at 2s register db {"command":["serve"],"notify":true}
        at 4s register seed {"command":["job"],"restart":{"policy":"on-failure"}}
        at 8s notify db ready
        at 8s expect web phase=online
        at 9s crash daemon
        at 9s up
        at 10s delete seed
        at 11s exit web code=1
        at 11s expect web phase=failed
        at 12s register seed {"command":["job"],"restart":{"policy":"on-failure"}}
        at 15s expect web phase=online incarnation=2
    "#;
    assert_eq!(play(story), play_in(64, story));
}
