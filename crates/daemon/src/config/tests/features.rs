//! Features and what they need, as they are written.

use stead_policy::degrade::{Degrader, Level, Name, Signal, Standing};

use super::*;

const FEATURES: &str = "[features.chat]\nrequires = ['llm', 'queue']\nimportance = 'essential'\n\
    [features.web_search]\nrequires = ['search']\nfallback = 'chat'\nweight = 3\n\
    [degradation]\ncalm = '5s'\ncomponents = { queue = 'critical' }\n\
    [[degradation.rules]]\nname = 'no_search'\ndown = ['search']\nlevel = 'minimal'\ndisable = ['chat']\npriority = 2\n\
    [agents.llm]\ncommand = ['x']\ncriticality = 'essential'\n\
    [components.search]\ndriver = 'none'\n";

fn down(plan: Degrader, name: &str) -> Degrader {
    let mut degrader = plan;
    degrader.hear(
        std::time::Duration::ZERO,
        Signal::Component(Name::from(name), Standing::Down),
    );
    degrader
}

#[test]
fn what_is_written_is_what_is_gone_by() {
    let plan = parse(FEATURES).unwrap().degrading.plan();
    let weighed: Vec<_> = plan
        .plan()
        .components
        .iter()
        .map(|(name, of)| (&**name, of.weight()))
        .collect();
    assert_eq!(weighed, [("llm", 8), ("queue", 4), ("search", 2)]);
    assert_eq!(plan.plan().calm.components, std::time::Duration::from_secs(5));
    assert_eq!(down(plan.clone(), "queue").state().level, Level::Severe);
    let off = down(plan, "search");
    assert_eq!((off.state().level, off.state().off.len()), (Level::Minimal, 2));
}

#[test]
fn a_file_that_says_nothing_of_it_gives_nothing_up_and_rules_can_be_left_out() {
    let none = parse("[agents.llm]\ncommand = ['x']\n").unwrap().degrading.plan();
    assert!(none.plan().components.is_empty() && none.plan().rules.is_empty());
    let own = parse(&FEATURES.replace("calm = '5s'", "defaults = false"))
        .unwrap()
        .degrading
        .plan();
    assert_eq!(own.plan().rules.len(), 1);
    assert_eq!(down(own, "llm").state().level, Level::Full);
}

#[test]
fn every_mistake_is_told_where_it_stands() {
    let shown = problems(
        "[features.chat]\nrequires = ['llm', 'serach']\nimportance = 'vital'\n\
         [features.search]\nweight = 0\nfallback = 'serach'\nneeds = []\n\
         [degradation]\ncomponents = { llm = 'critical' }\ndefault = false\n\
         [agents.llm]\ncommand = ['x']\ncriticality = 'high'\n",
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn what_does_not_fit_together_is_told_where_it_stands() {
    let shown = problems(
        "[features.chat]\nrequires = ['lmm']\nfallback = 'search'\n\
         [features.search]\nfallback = 'chat'\nweight = 2000\n\
         [degradation.components]\nllm = 'critical'\n\
         [[degradation.rules]]\nname = 'one'\nlevel = 'minor'\n\
         [[degradation.rules]]\nname = 'one'\nlevel = 'minor'\nany_down = true\ncpu_over = 0.5\n\
         [[degradation.rules]]\nname = 'two'\nlevel = 'minor'\ndown = ['llm', 'serch']\ncount = 2\ndisable = ['chta']\n\
         [defaults]\ncriticality = 'critical'\n\
         [agents.llm]\ncommand = ['x']\n",
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn the_hash_changes_with_a_feature_and_with_a_criticality() {
    let hash = |text: &str| parse(text).unwrap().hash;
    assert_ne!(hash(FEATURES), hash(&FEATURES.replace("weight = 3", "weight = 4")));
    assert_ne!(
        hash(FEATURES),
        hash(&FEATURES.replace("criticality = 'essential'", "criticality = 'critical'"))
    );
}
