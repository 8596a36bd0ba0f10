//! What is asked of a group, under policies that bind its replicas: refused whole, or carried out whole.

use stead_engine::Input;
use stead_model::group::{GroupCommand, GroupRequest, GroupSpec};
use stead_model::{AccessRole, AgentRef, Namespace, Origin, Wanted};

use crate::fleet::Fleet;
use crate::policies::built;

const REPLICAS: [&str; 3] = ["web-1", "web-2", "web-3"];

fn spec(replicas: u32, command: &str) -> Box<GroupSpec> {
    let spec = r#"{"replicas":REPLICAS,"template":{"command":["COMMAND"],"stop":{"grace":"1s"}}}"#;
    let spec = spec
        .replace("REPLICAS", &replicas.to_string())
        .replace("COMMAND", command);
    Box::new(serde_json::from_str(&spec).unwrap())
}

fn ask(fleet: &mut Fleet, request: GroupRequest, reason: Option<&str>) {
    fleet.step(Input::Group(Box::new(GroupCommand {
        origin: Origin {
            actor: "ann".into(),
            role: AccessRole::Admin,
            correlation_id: "g".into(),
            trace_id: None,
        },
        namespace: Namespace::default(),
        group: AgentRef::Name("web".parse().unwrap()),
        expected: None,
        idempotency: None,
        reason: reason.map(Into::into),
        request,
    })));
    for _ in 0..30 {
        fleet.wait(1_000);
    }
}

/// Three replicas that are up, and of which none may stop unless somebody says why.
fn up() -> Fleet {
    let names: Vec<String> = REPLICAS
        .iter()
        .chain(&["web-4", "web"])
        .map(ToString::to_string)
        .collect();
    let mut fleet = Fleet::new(&names);
    let policy = r#"{"edges":["* -> stopping","* -> updating"],"require_reason":true}"#;
    fleet
        .engine
        .configure(Vec::new(), built(&[("say-why", policy)]))
        .unwrap();
    let create = GroupRequest::Create {
        spec: spec(3, "x"),
        wanted: Wanted::Running,
    };
    ask(&mut fleet, create, None);
    assert_eq!((fleet.starts.len(), fleet.refusals.len()), (3, 0));
    fleet
}

fn downs_of(fleet: &Fleet) -> usize {
    let down = |to: &str| to == "stopping" || to == "updating";
    fleet.history.iter().filter(|row| down(&row.to)).count()
}

/// What takes so many of three replicas down.
fn downs() -> [(GroupRequest, usize); 5] {
    [
        (GroupRequest::Scale { replicas: 1 }, 2),
        (GroupRequest::Respec { spec: spec(2, "x") }, 1),
        (GroupRequest::Respec { spec: spec(3, "y") }, 3),
        (GroupRequest::Restart, 3),
        (GroupRequest::Want(Wanted::Deleted), 3),
    ]
}

#[test]
fn what_a_policy_refuses_of_one_replica_is_refused_of_its_group_and_nothing_was_changed() {
    for (request, _) in downs() {
        let mut fleet = up();
        let positions = fleet.positions.clone();
        ask(&mut fleet, request.clone(), None);
        assert_eq!(fleet.refusals.len(), 1, "{request:?}");
        let refused = fleet.refusals[0].to_string();
        assert!(
            refused.starts_with("policy `say-why` forbids online -> ") && refused.ends_with("a reason must be given"),
            "{request:?}: {refused}"
        );
        assert_eq!((downs_of(&fleet), fleet.starts.len()), (0, 3), "{request:?}");
        assert_eq!(fleet.positions, positions, "nothing was written: {request:?}");
    }
}

#[test]
fn what_policies_permit_of_a_group_is_carried_out_to_its_last_replica() {
    for (request, down) in downs() {
        let mut fleet = up();
        ask(&mut fleet, request.clone(), Some("a look"));
        assert!(fleet.refusals.is_empty(), "{request:?}: {:?}", fleet.refusals);
        assert_eq!(downs_of(&fleet), down, "{request:?}");
    }
}

#[test]
fn what_takes_no_replica_down_asks_no_policy_of_that() {
    let mut fleet = up();
    ask(&mut fleet, GroupRequest::Scale { replicas: 4 }, None);
    assert!(fleet.refusals.is_empty(), "{:?}", fleet.refusals);
    ask(&mut fleet, GroupRequest::Respec { spec: spec(3, "x") }, None);
    assert_eq!(
        (fleet.refusals.len(), downs_of(&fleet)),
        (1, 0),
        "back to three, one of four goes"
    );
}
