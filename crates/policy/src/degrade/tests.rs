use core::time::Duration;

use proptest::prelude::*;

use super::{
    Calm, Cause, Change, Degrader, Feature, Level, Load, Mode, Name, OffBecause, Plan, PlanRefused, Rule, Signal,
    Standing, When,
};
use crate::Criticality::{self, Critical, Essential, Important, Optional};

const SECOND: Duration = Duration::from_secs(1);

/// An agent with a component of each criticality, two of them critical, and a feature on each; `clock` needs nothing.
fn plan() -> Plan {
    Plan::default()
        .component("llm", Essential)
        .component("database", Critical)
        .component("queue", Critical)
        .component("search", Important)
        .component("avatars", Optional)
        .feature("chat", Feature::of(Essential).requiring("llm"))
        .feature("history", Feature::of(Critical).requiring("database"))
        .feature(
            "batch_jobs",
            Feature::of(Important).requiring("queue").requiring("database"),
        )
        .feature("web_search", Feature::of(Important).requiring("search"))
        .feature("pictures", Feature::of(Optional).requiring("avatars"))
        .feature("clock", Feature::of(Optional))
}

fn degrader() -> Degrader {
    Degrader::new(plan()).unwrap()
}

fn sees(degrader: &mut Degrader, now: Duration, component: &str, standing: Standing) -> Option<Change> {
    degrader.hear(now, Signal::Component(component.into(), standing))
}

fn load(degrader: &mut Degrader, now: Duration, cpu: f64, memory: f64) -> Option<Change> {
    degrader.hear(now, Signal::Load(Load { cpu, memory }))
}

fn off(degrader: &Degrader) -> Vec<&str> {
    degrader.state().off.iter().map(|(name, _)| &**name).collect()
}

#[test]
fn all_is_on_until_something_is_wrong() {
    let degrader = degrader();
    let state = degrader.state();
    assert_eq!(
        (state.level, &state.cause, state.mode()),
        (Level::Full, &Cause::Calm, None)
    );
    assert!(state.off.is_empty() && state.impact.abs() < f64::EPSILON);
    assert_eq!(degrader.next_deadline(), None);
}

#[test]
fn a_component_takes_its_features_down_and_gives_them_back_at_once() {
    let mut degrader = degrader();
    let change = sees(&mut degrader, SECOND, "search", Standing::Down).unwrap();
    assert_eq!((change.from, change.to), (Level::Full, Level::Moderate));
    assert_eq!(change.cause, Cause::Rule("important_down".into()));
    // The search by need, the optional ones because the level gives them up.
    assert_eq!(off(&degrader), ["clock", "pictures", "web_search"]);
    assert_eq!(
        degrader.state().why_off("web_search"),
        Some(&OffBecause::Needs("search".into()))
    );
    assert_eq!(
        degrader.state().why_off("clock"),
        Some(&OffBecause::Shed(Level::Moderate))
    );
    assert_eq!(degrader.state().mode(), Some(Mode::Offline));
    let change = sees(&mut degrader, 2 * SECOND, "search", Standing::Up).unwrap();
    assert_eq!(change.came_back.len(), 3);
    assert_eq!(degrader.state().level, Level::Full);
}

#[test]
fn the_level_follows_from_what_is_down_as_the_default_rules_say() {
    for (down, level) in [
        (&["avatars"][..], Level::Minor),
        (&["search"], Level::Moderate),
        (&["database"], Level::Severe),
        (&["database", "queue"], Level::Minimal),
        (&["llm"], Level::Emergency),
        (&["llm", "database", "queue", "search", "avatars"], Level::Emergency),
    ] {
        let mut degrader = degrader();
        for component in down {
            sees(&mut degrader, SECOND, component, Standing::Down);
        }
        assert_eq!(degrader.state().level, level, "{down:?}");
    }
}

#[test]
fn the_least_important_features_go_first() {
    let mut last = 0;
    for level in Level::ALL {
        let mut degrader = degrader();
        let wanted = Signal::Override {
            level,
            by: "ann".into(),
            why: "drill".into(),
        };
        degrader.hear(SECOND, wanted);
        let state = degrader.state();
        let importances = state.off.iter().map(|(name, _)| plan().features[name].importance);
        assert_eq!(importances.max(), level.sheds(), "{level:?}");
        assert!(state.off.len() >= last);
        last = state.off.len();
    }
    assert_eq!(last, 5, "what is essential stays on");
}

#[test]
fn impact_weighs_features_by_their_importance_unless_told_otherwise() {
    let mut degrader = degrader();
    sees(&mut degrader, SECOND, "avatars", Standing::Down);
    let state = degrader.state();
    assert!((state.features_off - 1.0 / 6.0).abs() < 1e-12);
    assert!((state.impact - 1.0 / 18.0).abs() < 1e-12, "8 + 4 + 2 + 2 + 1 + 1");
    let heavy = Feature {
        weight: Some(82),
        ..Feature::of(Optional).requiring("avatars")
    };
    let mut degrader = Degrader::new(plan().feature("pictures", heavy)).unwrap();
    sees(&mut degrader, SECOND, "avatars", Standing::Down);
    assert!((degrader.state().impact - 82.0 / 99.0).abs() < 1e-12);
}

#[test]
fn load_changes_how_work_is_done_the_most_pressing_way_first() {
    let mut degrader = degrader();
    assert_eq!(
        load(&mut degrader, SECOND, 0.90, 0.85),
        None,
        "at the threshold is not over it"
    );
    load(&mut degrader, SECOND, 0.5, 0.86);
    assert_eq!(
        (degrader.state().level, degrader.state().mode()),
        (Level::Minor, Some(Mode::Batch))
    );
    load(&mut degrader, SECOND, 0.91, 0.86);
    assert_eq!(degrader.state().modes, [Mode::Simplified, Mode::Batch]);
    sees(&mut degrader, SECOND, "avatars", Standing::Down);
    assert_eq!(degrader.state().modes, [Mode::Simplified, Mode::Batch, Mode::Offline]);
    assert_eq!(off(&degrader), ["pictures"]);
}

#[test]
fn load_counts_as_over_once_it_has_been_well_below_for_half_a_minute() {
    let mut degrader = degrader();
    load(&mut degrader, SECOND, 0.95, 0.0);
    // Between the threshold and its margin nothing switches, however long.
    assert_eq!(load(&mut degrader, 100 * SECOND, 0.87, 0.0), None);
    assert_eq!(degrader.next_deadline(), None);
    assert_eq!(load(&mut degrader, 101 * SECOND, 0.84, 0.0), None);
    assert_eq!(degrader.next_deadline(), Some(131 * SECOND));
    // A relapse into the margin starts the wait anew.
    load(&mut degrader, 120 * SECOND, 0.86, 0.0);
    load(&mut degrader, 121 * SECOND, 0.5, 0.0);
    assert_eq!(degrader.hear(150 * SECOND, Signal::Tick), None);
    let change = degrader.hear(151 * SECOND, Signal::Tick).unwrap();
    assert_eq!((change.to, change.cause), (Level::Full, Cause::Calm));
    assert_eq!(degrader.next_deadline(), None);
}

#[test]
fn a_component_may_be_asked_to_stay_up_for_a_while_first() {
    let calm = Calm {
        components: 10 * SECOND,
        ..Calm::default()
    };
    let mut degrader = Degrader::new(Plan { calm, ..plan() }).unwrap();
    sees(&mut degrader, SECOND, "search", Standing::Down);
    for second in 2..60 {
        let standing = if second % 5 == 0 { Standing::Down } else { Standing::Up };
        assert_eq!(sees(&mut degrader, second * SECOND, "search", standing), None);
    }
    assert_eq!(degrader.next_deadline(), Some(66 * SECOND));
    assert_eq!(degrader.hear(66 * SECOND, Signal::Tick).unwrap().to, Level::Full);
}

#[test]
fn an_override_holds_until_it_is_released_and_mends_nothing() {
    let mut degrader = degrader();
    let wanted = Signal::Override {
        level: Level::Full,
        by: "ann".into(),
        why: "a false alarm".into(),
    };
    sees(&mut degrader, SECOND, "database", Standing::Down);
    degrader.hear(2 * SECOND, wanted);
    assert_eq!(degrader.state().level, Level::Full);
    assert_eq!(off(&degrader), ["batch_jobs", "history"], "they cannot work");
    let by_ann = Cause::Override {
        by: "ann".into(),
        why: "a false alarm".into(),
    };
    assert_eq!(degrader.state().cause, by_ann);
    sees(&mut degrader, 3 * SECOND, "llm", Standing::Down);
    assert_eq!(degrader.state().level, Level::Full);
    let change = degrader.hear(4 * SECOND, Signal::Release).unwrap();
    assert_eq!(
        (change.to, change.cause),
        (Level::Emergency, Cause::Rule("essential_down".into()))
    );
}

#[test]
fn the_highest_priority_decides_then_the_most_severe_then_the_first() {
    let down = |names: &[&str]| When::AllDown(names.iter().map(|name| Name::from(*name)).collect());
    let replica = Rule {
        priority: 1,
        disable: vec!["pictures".into()],
        ..Rule::new("on_the_replica", down(&["database"]), Level::Minor)
    };
    let other = Rule {
        priority: 1,
        ..Rule::new("same", down(&["database"]), Level::Minor)
    };
    let worse = Rule {
        priority: 1,
        ..Rule::new("both", down(&["database", "queue"]), Level::Severe)
    };
    let mut degrader = Degrader::new(plan().rule(replica).rule(other).rule(worse)).unwrap();
    sees(&mut degrader, SECOND, "database", Standing::Down);
    assert_eq!(degrader.state().cause, Cause::Rule("on_the_replica".into()));
    assert_eq!(
        degrader.state().why_off("pictures"),
        Some(&OffBecause::Rule("on_the_replica".into()))
    );
    sees(&mut degrader, SECOND, "queue", Standing::Down);
    assert_eq!(degrader.state().cause, Cause::Rule("both".into()));
    sees(&mut degrader, SECOND, "llm", Standing::Down);
    assert_eq!(degrader.state().level, Level::Severe, "an emergency of lower priority");
}

#[test]
fn what_is_not_in_the_plan_or_no_number_changes_nothing() {
    let mut degrader = degrader();
    assert_eq!(sees(&mut degrader, SECOND, "typo", Standing::Down), None);
    assert_eq!(load(&mut degrader, SECOND, f64::NAN, f64::NAN), None);
    assert_eq!(degrader.state().down, Vec::<Name>::new());
    assert_eq!(degrader.plan(), &plan());
}

#[test]
fn a_plan_that_makes_no_sense_is_refused_and_says_why() {
    let refusal = |plan| Degrader::new(plan).unwrap_err().to_string();
    let rule = |when| plan().rule(Rule::new("r", when, Level::Minor));
    let mut disables = Rule::new("r", When::AnyDown, Level::Minor);
    disables.disable.push("typo".into());
    let lame = plan().feature("x", Feature::of(Optional).requiring("typo"));
    assert!(refusal(lame).contains(r#"feature "x" requires component "typo""#));
    assert!(refusal(plan().rule(disables)).contains(r#"disables feature "typo""#));
    assert!(refusal(rule(When::AllDown(vec!["typo".into()]))).contains(r#"is about component "typo""#));
    assert_eq!(
        Degrader::new(rule(When::AllDown(vec![]))),
        Err(PlanRefused::Always("r".into()))
    );
    assert!(
        refusal(rule(When::Down {
            criticality: Critical,
            count: 0
        }))
        .contains("always apply")
    );
    for share in [0.0, 1.0, 90.0, f64::NAN] {
        assert!(refusal(rule(When::CpuOver(share))).contains("is not a share"));
        assert!(refusal(rule(When::MemoryOver(share))).contains("is not a share"));
    }
    let calm = Calm {
        margin: f64::NAN,
        ..Calm::default()
    };
    assert!(refusal(Plan { calm, ..plan() }).contains("margin"));
}

#[test]
fn what_is_off_has_the_first_of_its_fallbacks_that_is_on() {
    let plan = plan()
        .feature(
            "web_search",
            Feature::of(Important).requiring("search").or("history_search"),
        )
        .feature(
            "history_search",
            Feature::of(Critical).requiring("database").or("titles"),
        )
        .feature("titles", Feature::of(Essential));
    let mut degrader = Degrader::new(plan).unwrap();
    let serving = |degrader: &Degrader| degrader.serving("web_search").map(ToString::to_string);
    assert_eq!(serving(&degrader).as_deref(), Some("web_search"));
    sees(&mut degrader, SECOND, "search", Standing::Down);
    assert_eq!(serving(&degrader).as_deref(), Some("history_search"));
    sees(&mut degrader, SECOND, "database", Standing::Down);
    assert_eq!(serving(&degrader).as_deref(), Some("titles"));
    assert_eq!(degrader.serving("history"), None, "it has none");
    assert_eq!(degrader.serving("typo"), None);
}

#[test]
fn fallbacks_that_are_not_there_or_go_in_a_circle_are_refused() {
    let refused = |first: Feature, second: Feature| {
        let plan = plan().feature("first", first).feature("second", second);
        Degrader::new(plan).unwrap_err().to_string()
    };
    let plain = || Feature::of(Optional);
    assert!(refused(plain().or("typo"), plain()).contains("does not have"));
    assert!(refused(plain().or("first"), plain()).contains("in a circle"));
    assert!(refused(plain().or("second"), plain().or("first")).contains("in a circle"));
}

#[test]
fn levels_are_written_as_their_names() {
    for level in Level::ALL {
        assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
    }
}

#[derive(Clone, Debug)]
enum Op {
    See(usize, Standing),
    Load(f64, f64),
    Override(usize),
    Release,
    Wait(u32),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0_usize..5, prop::sample::select(vec![Standing::Up, Standing::Down])).prop_map(|(c, s)| Op::See(c, s)),
        4 => (0.0..1.0, 0.0..1.0).prop_map(|(cpu, memory)| Op::Load(cpu, memory)),
        1 => (0_usize..6).prop_map(Op::Override),
        1 => Just(Op::Release),
        3 => (0_u32..60).prop_map(Op::Wait),
    ];
    prop::collection::vec(op, 0..120)
}

proptest! {
    /// Whatever happens: what needs something that is down is off, what is off has a reason, deadlines lie ahead, the same
    /// signal twice changes nothing, and once all is well for a minute everything is on again.
    #[test]
    fn everything_comes_back_and_nothing_is_on_that_cannot_work(ops in ops()) {
        let plan = plan();
        let names: Vec<Name> = plan.components.keys().cloned().collect();
        let mut degrader = degrader();
        let mut now = Duration::ZERO;
        for op in ops {
            let signal = match op {
                Op::See(component, standing) => Signal::Component(names[component].clone(), standing),
                Op::Load(cpu, memory) => Signal::Load(Load { cpu, memory }),
                Op::Override(level) => Signal::Override { level: Level::ALL[level], by: "a".into(), why: "b".into() },
                Op::Release => Signal::Release,
                Op::Wait(seconds) => { now += seconds * SECOND; Signal::Tick }
            };
            let before = degrader.state().clone();
            let change = degrader.hear(now, signal.clone());
            prop_assert_eq!(change.is_some(), &before != degrader.state());
            prop_assert_eq!(degrader.hear(now, signal), None);
            prop_assert!(degrader.next_deadline().is_none_or(|at| at > now));
            let state = degrader.state();
            for (name, feature) in &plan.features {
                let lame = feature.requires.iter().any(|component| state.down.contains(component));
                let shed = state.level.sheds().is_some_and(|up_to| feature.importance <= up_to);
                prop_assert_eq!(state.why_off(name).is_some(), lame || shed);
            }
            prop_assert!((0.0..=1.0).contains(&state.impact) && (0.0..=1.0).contains(&state.features_off));
        }
        for name in names {
            degrader.hear(now, Signal::Component(name, Standing::Up));
        }
        degrader.hear(now, Signal::Release);
        degrader.hear(now, Signal::Load(Load::default()));
        while let Some(at) = degrader.next_deadline() {
            now = at;
            degrader.hear(now, Signal::Tick);
        }
        prop_assert_eq!(degrader.state().level, Level::Full);
        prop_assert!(degrader.state().off.is_empty() && degrader.state().modes.is_empty());
    }

    /// More that is down never makes the default rules' level better.
    #[test]
    fn worse_is_never_better(down in prop::collection::btree_set(0_usize..5, 0..5), more in 0_usize..5) {
        let names: Vec<Name> = plan().components.keys().cloned().collect();
        let level = |down: &std::collections::BTreeSet<usize>| {
            let mut degrader = degrader();
            for component in down {
                sees(&mut degrader, SECOND, &names[*component], Standing::Down);
            }
            degrader.state().level
        };
        let mut worse = down.clone();
        worse.insert(more);
        prop_assert!(level(&worse) >= level(&down));
    }
}

#[test]
fn every_criticality_has_a_default_rule() {
    for criticality in Criticality::ALL {
        let rules = Rule::defaults();
        let one = When::Down { criticality, count: 1 };
        assert_eq!(rules.iter().filter(|rule| rule.when == one).count(), 1);
    }
}
