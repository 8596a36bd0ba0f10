use std::sync::{Arc, Mutex};
use std::time::Duration;

use stead_model::{MAX_METADATA, Reason};

use super::{AgentState, Cause, LifecycleManager, LifecycleService, NotMoved, When};

fn cause() -> Cause {
    Cause::request("ada", "for a test")
}

async fn fine() -> Result<(), String> {
    Ok(())
}

async fn online(service: &LifecycleService, agent: &str) -> LifecycleManager {
    let manager = service.register(agent).unwrap();
    service.deploy(agent, cause(), fine()).await.unwrap();
    service.start(agent, cause(), fine()).await.unwrap();
    manager
}

#[tokio::test(start_paused = true)]
async fn a_life_is_walked_and_kept() {
    let service = LifecycleService::new();
    let agent = online(&service, "indexer").await;
    service.assign_task("indexer", "t1").await.unwrap();
    service.assign_task("indexer", "t1").await.unwrap();
    service.assign_task("indexer", "t2").await.unwrap();
    service.complete_task("indexer", "t1").await.unwrap();
    assert_eq!(
        (agent.state(), agent.current_state_info().tasks),
        (AgentState::Busy, vec!["t2".to_owned()])
    );
    assert!(!agent.is_available_for_tasks() && agent.is_operational());
    assert!(matches!(
        service.complete_task("indexer", "t9").await,
        Err(NotMoved::NoTask { .. })
    ));
    service.complete_task("indexer", "t2").await.unwrap();
    service.complete_task("indexer", "t2").await.unwrap();
    service.stop("indexer", cause(), fine()).await.unwrap();
    service.terminate("indexer", cause()).await.unwrap();
    let history = agent.history();
    let states: Vec<_> = history.iter().map(|row| row.to.as_str()).collect();
    assert_eq!(
        states,
        [
            "deploying",
            "deployed",
            "starting",
            "online",
            "busy",
            "idle",
            "stopping",
            "offline",
            "terminated"
        ]
    );
    assert!(
        history
            .iter()
            .enumerate()
            .all(|(place, row)| row.sequence == place as u64 + 1)
    );
    assert_eq!(
        (history[0].triggered_by.as_str(), history[0].reason),
        ("ada", Reason::Request)
    );
    service.delete("indexer", cause()).await.unwrap();
    assert_eq!(
        service.manager("indexer").unwrap_err(),
        NotMoved::Unknown("indexer".to_owned())
    );
    assert!(service.all_statuses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refused_transition_changes_nothing_and_says_what_is_possible() {
    let agent = LifecycleManager::new("indexer");
    let refused = agent.transition_to(AgentState::Online, cause()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "indexer cannot go from registered to online; possible from here: deploying, deleted"
    );
    let large = cause().with("text", "x".repeat(MAX_METADATA));
    let refused = agent.transition_to(AgentState::Deploying, large).await.unwrap_err();
    assert!(matches!(refused, NotMoved::TooMuch(_)));
    assert_eq!((agent.state(), agent.history().len()), (AgentState::Registered, 0));
    agent.transition_to(AgentState::Deleted, cause()).await.unwrap();
    let refused = agent.transition_to(AgentState::Deploying, cause()).await.unwrap_err();
    assert!(refused.to_string().ends_with("nowhere"));
}

#[tokio::test(start_paused = true)]
async fn of_transitions_that_exclude_each_other_exactly_one_wins() {
    let service = LifecycleService::new();
    let agent = online(&service, "indexer").await;
    agent.on(When::Pre, async |_| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok::<_, String>(())
    });
    let ways = (0..10).map(|_| agent.transition_to(AgentState::Stopping, cause()));
    let moved = futures_util::future::join_all(ways).await;
    assert_eq!(moved.iter().filter(|moved| moved.is_ok()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn handlers_are_awaited_before_and_after_and_those_that_fail_panic_or_hang_stand_in_no_way() {
    let agent = LifecycleManager::new("indexer");
    let heard = Arc::new(Mutex::new(Vec::new()));
    for when in [When::Pre, When::Post] {
        let (heard, seen) = (Arc::clone(&heard), agent.clone());
        agent.on(when, move |change| {
            let (heard, state) = (Arc::clone(&heard), seen.state());
            async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                heard.lock().unwrap().push((when, change.from, change.to, state));
                Ok::<_, String>(())
            }
        });
    }
    agent.on_sync(When::Pre, |_| Err::<(), _>("no"));
    agent.on(When::Pre, async |_| -> Result<(), String> { panic!("never") });
    agent.on(When::Post, async |_| std::future::pending::<Result<(), String>>().await);
    agent.transition_to(AgentState::Deploying, cause()).await.unwrap();
    let (from, to) = (AgentState::Registered, AgentState::Deploying);
    assert_eq!(
        *heard.lock().unwrap(),
        [(When::Pre, from, to, from), (When::Post, from, to, to)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_moves_its_own_agent_is_refused_instead_of_waiting_for_itself() {
    let agent = LifecycleManager::new("indexer");
    let (other, refusals) = (agent.clone(), Arc::new(Mutex::new(Vec::new())));
    let told = Arc::clone(&refusals);
    agent.on(When::Post, move |_| {
        let (other, told) = (other.clone(), Arc::clone(&told));
        async move {
            let refused = other.transition_to(AgentState::Deployed, cause()).await.unwrap_err();
            told.lock().unwrap().push(refused);
            Ok::<_, String>(())
        }
    });
    agent.transition_to(AgentState::Deploying, cause()).await.unwrap();
    assert!(matches!(refusals.lock().unwrap()[..], [NotMoved::FromHandler(_)]));
}

#[tokio::test(start_paused = true)]
async fn a_guard_refuses_by_its_name_and_nobody_is_told() {
    let agent = LifecycleManager::new("indexer");
    let told = Arc::new(Mutex::new(0));
    let count = Arc::clone(&told);
    agent.on_sync(When::Pre, move |_| {
        *count.lock().unwrap() += 1;
        Ok::<_, String>(())
    });
    agent.guard("office-hours", |change| match change.to {
        AgentState::Deploying => Err("nobody is here to help".to_owned()),
        _ => Ok(()),
    });
    let refused = agent.transition_to(AgentState::Deploying, cause()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the guard `office-hours` stands against registered to deploying: nobody is here to help"
    );
    assert_eq!((agent.state(), *told.lock().unwrap()), (AgentState::Registered, 0));
    agent.transition_to(AgentState::Deleted, cause()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_state_that_lasts_too_long_moves_on_by_the_table() {
    let service = LifecycleService::new();
    let agent = service.register("indexer").unwrap();
    service.deploy("indexer", cause(), fine()).await.unwrap();
    let slow = async {
        tokio::time::sleep(Duration::from_secs(90)).await;
        Ok::<_, String>(())
    };
    let refused = service.start("indexer", cause(), slow).await.unwrap_err();
    assert!(matches!(
        refused,
        NotMoved::NoEdge {
            from: AgentState::Timeout,
            ..
        }
    ));
    assert_eq!(
        (agent.state(), agent.history().last().unwrap().reason),
        (AgentState::Timeout, Reason::DeadlineExceeded)
    );
    // Work that fails is told with its words; a deadline of a state that was left does nothing any more.
    service
        .start("indexer", cause(), async { Err("no key") })
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let last = agent.history().last().cloned().unwrap();
    assert_eq!((last.to, last.description.as_str()), (AgentState::Failed, "no key"));
}

#[tokio::test(start_paused = true)]
async fn all_agents_are_counted_by_where_they_are() {
    let service = LifecycleService::new();
    for agent in ["a", "b", "c", "d"] {
        online(&service, agent).await;
    }
    service.register("e").unwrap();
    assert_eq!(service.register("e").unwrap_err(), NotMoved::Twice("e".to_owned()));
    service.assign_task("b", "t").await.unwrap();
    service.handle_error("c", "network timeout").await.unwrap();
    service.put_in_maintenance("d", cause()).await.unwrap();
    let summary = serde_json::to_value(service.summary()).unwrap();
    assert_eq!(
        summary,
        serde_json::json!({
            "total_agents": 5, "operational_agents": 2, "available_agents": 1, "error_agents": 1, "maintenance_agents": 1,
            "state_distribution": { "registered": 1, "online": 1, "busy": 1, "error": 1, "maintenance": 1 },
        })
    );
    assert_eq!(service.agents_in_error(), ["c".into()]);
    assert_eq!(service.agents_in_maintenance(), ["d".into()]);
    assert_eq!(service.available_agents(), ["a".into()]);
    service.resume_from_maintenance("d", cause()).await.unwrap();
    assert_eq!(service.operational_agents().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn history_is_bounded() {
    let agent = LifecycleManager::with_history("indexer", 2);
    for to in [AgentState::Deploying, AgentState::Deployed, AgentState::Starting] {
        agent.transition_to(to, cause()).await.unwrap();
    }
    let kept: Vec<_> = agent.history().iter().map(|row| row.sequence).collect();
    assert_eq!(kept, [2, 3]);
}

/// An agent that is busy with one task, and whose way to idle takes a second.
async fn slow_to_be_idle() -> LifecycleManager {
    let service = LifecycleService::new();
    let agent = online(&service, "indexer").await;
    agent.assign("first").await.unwrap();
    agent.on(When::Pre, async |change| {
        if change.to == AgentState::Idle {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok::<_, String>(())
    });
    agent
}

#[tokio::test(start_paused = true)]
async fn a_task_that_comes_while_the_last_is_completed_is_had_by_one_that_is_busy() {
    let agent = slow_to_be_idle().await;
    let this = agent.clone();
    let completing = tokio::spawn(async move { this.complete("first").await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    agent.assign("second").await.unwrap();
    completing.await.unwrap().unwrap();
    let info = agent.current_state_info();
    assert_eq!(
        (info.current_state, info.tasks),
        (AgentState::Busy, vec!["second".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_completion_is_refused_is_still_had() {
    let agent = slow_to_be_idle().await;
    agent.guard("never idle", |change| match change.to {
        AgentState::Idle => Err("there is always work".to_owned()),
        _ => Ok(()),
    });
    assert!(matches!(agent.complete("first").await, Err(NotMoved::Guarded { .. })));
    assert_eq!(agent.current_state_info().tasks, ["first"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_gives_its_own_agent_a_task_is_refused_instead_of_waited_for() {
    let agent = slow_to_be_idle().await;
    let (this, seen) = (agent.clone(), Arc::new(Mutex::new(Vec::new())));
    let heard = Arc::clone(&seen);
    agent.on(When::Post, move |_| {
        let (this, heard) = (this.clone(), Arc::clone(&heard));
        async move {
            let refused = this.assign("more").await;
            heard
                .lock()
                .unwrap()
                .push(matches!(refused, Err(NotMoved::FromHandler(_))));
            Ok::<_, String>(())
        }
    });
    agent.complete("first").await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [true]);
}
