//! Lives of agents that speak for themselves: what becomes of those that fall silent or say that trouble comes.

use crate::script::{play, stories};

stories! {
    one_that_hangs_is_found_by_its_silence_ended_and_started_again: r#"
        at 0s register web {"command":["serve","hangs"]}
        at 59s expect web phase=online incarnation=1 health=healthy
        at 80s expect web incarnation=2 phase=online
        at 80s why web
    "#;

    one_that_says_nothing_while_it_is_frozen_has_not_failed: r#"
        at 0s register web {"command":["serve","beats"]}
        at 20s freeze web
        at 10m expect web phase=suspended incarnation=1
        at 10m resume web
        at 11m expect web phase=online incarnation=1 health=healthy
    "#;

    a_daemon_that_was_stopped_for_a_minute_or_died_convicts_nobody_on_its_return: r#"
        at 0s register web {"command":["serve","beats"]}
        at 0s register db {"command":["serve","beats"]}
        at 60s stop-daemon-for 60s
        at 130s expect web phase=online incarnation=1 health=healthy
        at 140s crash daemon
        at 200s up
        at 4m expect web phase=online incarnation=1 health=healthy
        at 4m expect db phase=online incarnation=1 health=healthy
    "#;

    one_that_hung_while_the_daemon_was_dead_is_found_by_the_next: r#"
        at 0s register web {"command":["serve","hangs"]}
        at 30s crash daemon
        at 2m up
        at 200s expect web phase=online incarnation=2
    "#;

    one_whose_memory_grows_is_drained_before_it_is_full: r#"
        at 0s register web {"command":["serve","leaks"],"health":{"on_warning":"drain"}}
        at 1h why web
    "#;
}
