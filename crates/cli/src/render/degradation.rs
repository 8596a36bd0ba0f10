//! What a namespace has given up, and how that changed.

use owo_colors::Style;
use stead_model::{AgentName, ComponentStanding, DegradationLevel, DegradationView, FeatureView, LevelChange, Wall};

use super::age::{age, relative};
use super::paint::Cell;
use super::table::{facts, table};

/// The level, why it is so, and all features with what they need.
pub(crate) fn degradation(view: &DegradationView, now: Wall) -> String {
    let since = view
        .since
        .map_or_else(String::new, |since| format!(" for {}", age(now, since)));
    let mut rows = vec![
        ("Level", vec![format!("{}{since}", level(view.level).painted(0))]),
        ("Cause", vec![view.cause.clone()]),
    ];
    if let Some(rule) = &view.rule {
        rows.push(("Rule", vec![rule.clone()]));
    }
    if !view.modes.is_empty() {
        let modes: Vec<&str> = view.modes.iter().map(|mode| mode.as_str()).collect();
        rows.push(("Mode", vec![modes.join(", ")]));
    }
    if let Some(held) = &view.held {
        let until = held.until.map_or_else(
            || "until it is released".to_owned(),
            |until| format!("ends {}", relative(now, until)),
        );
        let mut lines = vec![format!(
            "{}, by {} {}, {until}",
            held.level,
            held.actor,
            relative(now, held.since)
        )];
        lines.extend(held.reason.iter().map(|reason| format!("“{reason}”")));
        rows.push(("Held", lines));
    }
    let impact = format!(
        "{:.0} % of features are off, {:.0} % of what users get",
        view.features_off * 100.0,
        view.impact * 100.0
    );
    rows.push(("Impact", vec![impact]));
    let mut shown = facts(&rows);
    if !view.features.is_empty() {
        shown.push('\n');
        shown += &features(&view.features);
    }
    if !view.components.is_empty() {
        shown.push('\n');
        let needed = view.components.iter().map(|one| {
            let standing = match one.standing {
                ComponentStanding::Up => Cell::new("up", Style::new().green()),
                ComponentStanding::Down => Cell::new("down", Style::new().red()),
                ComponentStanding::Unknown => Cell::dim("unknown"),
            };
            let criticality = Cell::plain(one.criticality.as_str());
            vec![Cell::plain(one.name.as_str()), criticality, standing]
        });
        shown += &table(&["NEEDED", "CRITICALITY", "STANDING"], &needed.collect::<Vec<_>>());
    }
    shown
}

fn features(features: &[FeatureView]) -> String {
    let rows = features.iter().map(|feature| {
        let state = match (&feature.off_because, &feature.serving) {
            (None, _) => Cell::new("on", Style::new().green()),
            (Some(_), None) => Cell::new("off", Style::new().red()),
            (Some(_), Some(instead)) => Cell::new(format!("off, {instead} instead"), Style::new().yellow()),
        };
        vec![
            Cell::plain(feature.name.as_str()),
            state,
            Cell::plain(feature.importance.as_str()),
            Cell::plain(names(&feature.requires)),
            Cell::plain(feature.off_because.as_deref().unwrap_or("-")),
        ]
    });
    table(
        &["FEATURE", "STATE", "IMPORTANCE", "NEEDS", "WHY OFF"],
        &rows.collect::<Vec<_>>(),
    )
}

/// A table of changes.
pub(crate) fn levels(found: &[LevelChange], now: Wall) -> String {
    let rows = found.iter().map(|change| {
        vec![
            Cell::dim(relative(now, change.at)),
            level(change.from),
            level(change.to),
            Cell::plain(change.cause.as_str()),
            Cell::plain(names(&change.went_off)),
            Cell::plain(names(&change.came_back)),
            Cell::plain(format!("{:.0} %", change.impact * 100.0)),
            Cell::dim(change.actor.as_str()),
        ]
    });
    table(
        &["WHEN", "FROM", "TO", "CAUSE", "OFF", "BACK", "IMPACT", "BY"],
        &rows.collect::<Vec<_>>(),
    )
}

/// A line for each feature of an agent that is off.
pub(super) fn off(features: &[FeatureView]) -> Vec<String> {
    let line = |feature: &FeatureView| {
        let why = feature.off_because.as_deref().unwrap_or_default();
        match &feature.serving {
            Some(instead) => format!("{} is off: {why}; {instead} does instead", feature.name),
            None => format!("{} is off: {why}", feature.name),
        }
    };
    features.iter().map(line).collect()
}

fn names(names: &[AgentName]) -> String {
    match names {
        [] => "-".to_owned(),
        names => names.iter().map(AgentName::as_str).collect::<Vec<_>>().join(" "),
    }
}

fn level(level: DegradationLevel) -> Cell {
    let style = match level {
        DegradationLevel::Full => Style::new().green(),
        DegradationLevel::Minor | DegradationLevel::Moderate => Style::new().yellow(),
        DegradationLevel::Severe | DegradationLevel::Minimal | DegradationLevel::Emergency => Style::new().red(),
    };
    Cell::new(level.as_str(), style)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::super::fixture::{NOW, ago};
    use super::*;

    fn shown(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_level_says_why_it_is_so_and_what_does_instead_of_what_is_off() {
        let view = json!({
            "namespace": "default", "level": "moderate", "cause": "search is down", "rule": "important_down",
            "modes": ["offline"], "since": ago(90), "features_off": 0.5, "impact": 0.2, "revision": 3,
            "override": { "level": "moderate", "actor": "ann", "reason": "a drill", "since": ago(30) },
            "features": [
                { "name": "chat", "importance": "essential", "weight": 8, "requires": ["llm"], "serving": "chat" },
                { "name": "web_search", "importance": "important", "weight": 2, "requires": ["search", "llm"],
                  "off_because": "it needs search, which is down", "serving": "history" },
                { "name": "avatars", "importance": "optional", "weight": 1, "requires": [],
                  "off_because": "level moderate gives up what is of its importance" },
            ],
            "components": [
                { "name": "llm", "criticality": "essential", "standing": "up" },
                { "name": "search", "criticality": "important", "standing": "down" },
                { "name": "queue", "criticality": "optional", "standing": "unknown" },
            ],
        });
        let view: DegradationView = serde_json::from_value(view).unwrap();
        assert_snapshot!(shown(&degradation(&view, NOW)));
    }

    #[test]
    fn each_change_is_a_line_with_what_went_and_what_came_back() {
        let change = |sequence: u32, from: &str, to: &str, off: &[&str], back: &[&str]| {
            json!({
                "sequence": sequence, "namespace": "default", "at": ago(sequence.into()), "from": from, "to": to,
                "cause": "search is down", "went_off": off, "came_back": back, "impact": 0.2, "actor": "stead",
                "correlation_id": "c",
            })
        };
        let changes = [
            change(2, "moderate", "full", &[], &["web_search", "avatars"]),
            change(1, "full", "moderate", &["web_search", "avatars"], &[]),
        ];
        let changes: Vec<LevelChange> = serde_json::from_value(json!(changes)).unwrap();
        assert_snapshot!(shown(&levels(&changes, NOW)));
    }
}
