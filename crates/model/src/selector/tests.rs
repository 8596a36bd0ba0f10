use alloc::string::ToString;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

#[test]
fn a_selector_takes_what_kubernetes_would_take() {
    let web = labels(&[("team", "a"), ("tier", "front"), ("gpu", "")]);
    for (text, takes) in [
        ("", true),
        ("  ", true),
        ("team=a", true),
        ("team == a", true),
        ("team=b", false),
        ("team!=b", true),
        ("team!=a", false),
        ("zone!=x", true),
        ("team in (b, a)", true),
        ("team in (b)", false),
        ("zone in (x)", false),
        ("team notin (b)", true),
        ("team notin (a,b)", false),
        ("zone notin (x)", true),
        ("gpu", true),
        ("zone", false),
        ("!zone", true),
        ("! gpu", false),
        ("gpu=", true),
        ("team=", false),
        ("gpu in (x,)", true),
        ("team=a,tier=front,!spot", true),
        ("team=a,tier=back", false),
    ] {
        assert_eq!(text.parse::<Selector>().unwrap().matches(&web), takes, "{text}");
    }
}

#[test]
fn labels_may_be_called_like_operators_and_be_any_word() {
    let odd = labels(&[("in", "notin"), ("größe", "50%"), ("a.b/c", "x:y")]);
    for text in ["in=notin", "in in (notin)", "in", "größe=50%", "a.b/c=x:y"] {
        assert!(text.parse::<Selector>().unwrap().matches(&odd), "{text}");
    }
}

#[test]
fn what_is_no_selector_is_refused_with_the_place() {
    for (text, wanted, column) in [
        (",", "a label", 1),
        ("a,", "a label", 3),
        ("=a", "a label", 1),
        ("a b", "`=`, `!=`, `in`, `notin`, `,` or the end", 3),
        ("a in x", "`(`", 6),
        ("a in (x", "`,` or `)`", 8),
        ("a in (x y)", "`,` or `)`", 9),
        ("a=b c", "`,` or the end", 5),
        ("a>1", "`=`, `!=`, `in`, `notin`, `,` or the end", 2),
        ("!a=b", "`,` or the end", 3),
        ("ö=b)", "`,` or the end", 4),
    ] {
        let refused = text.parse::<Selector>().unwrap_err();
        assert_eq!((refused.wanted, refused.column), (wanted, column), "{text}");
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-cin]{1,3}"
}

fn requirement() -> impl Strategy<Value = String> {
    let set = prop::collection::vec("[a-c]{0,1}", 1..3).prop_map(|values| values.join(","));
    prop_oneof![
        word(),
        word().prop_map(|key| alloc::format!("!{key}")),
        (word(), "==?|!=", "[a-c]{0,1}").prop_map(|(key, operator, value)| alloc::format!("{key} {operator} {value}")),
        (word(), "in|notin", set).prop_map(|(key, operator, set)| alloc::format!("{key} {operator} ( {set} )")),
    ]
}

/// What each requirement says, read in another way than the parser's.
fn holds(requirement: &str, labels: &BTreeMap<String, String>) -> bool {
    let parts: Vec<&str> = requirement.splitn(3, ' ').collect();
    let value = labels.get(parts[0].trim_start_matches('!'));
    let set: Vec<&str> = parts.get(2).map_or(Vec::new(), |set| {
        set.trim_matches(|letter| "( )".contains(letter)).split(',').collect()
    });
    let among = value.is_some_and(|value| set.contains(&value.as_str()));
    match parts.get(1) {
        None if requirement.starts_with('!') => value.is_none(),
        None => value.is_some(),
        Some(&("=" | "==" | "in")) => among,
        Some(_) => !among,
    }
}

proptest! {
    #[test]
    fn every_text_is_read_or_refused(text in "[ab=!(),<> öin]{0,12}") {
        if let Ok(selector) = text.parse::<Selector>() {
            prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
        }
    }

    #[test]
    fn a_selector_takes_what_each_of_its_requirements_takes(
        requirements in prop::collection::vec(requirement(), 0..4),
        labels in prop::collection::btree_map(word(), "[a-c]{0,1}", 0..5),
    ) {
        let selector: Selector = requirements.join(",").parse().unwrap();
        prop_assert_eq!(selector.matches(&labels), requirements.iter().all(|one| holds(one, &labels)));
    }
}
