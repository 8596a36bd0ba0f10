//! The published schema and the guide: both say what the code says.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::*;

fn docs(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file)
}

/// Every key that a fleet file may have, at any depth.
fn keys(schema: &Json, found: &mut BTreeSet<String>) {
    match schema {
        Json::Object(members) => {
            if let Some(Json::Object(properties)) = members.get("properties") {
                found.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| keys(member, found));
        }
        Json::Array(items) => items.iter().for_each(|item| keys(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn the_published_schema_is_what_the_code_says() {
    let file = docs("fleet.schema.json");
    let fresh = format!("{:#}\n", fleet_schema());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&file, &fresh).unwrap();
    }
    let published = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        published == fresh,
        "docs/fleet.schema.json is not fresh: run this test with UPDATE_SCHEMA=1"
    );
}

#[test]
fn the_schema_has_every_top_key_and_no_command_among_the_defaults() {
    let schema = fleet_schema();
    let top: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let mut known = form::TOP.to_vec();
    known.sort_unstable();
    assert_eq!(top, known);
    assert_eq!(schema["properties"]["defaults"]["$ref"], "#/$defs/Defaults");
    let defaults = schema["$defs"]["Defaults"]["properties"].as_object().unwrap();
    let port = &schema["$defs"]["TcpSocketAction"]["properties"]["port"];
    assert_eq!(
        port["type"],
        serde_json::json!(["integer", "string"]),
        "a reference may stand for a number"
    );
    assert!(defaults.contains_key("restart") && form::OWN.iter().all(|own| !defaults.contains_key(*own)));
}

#[test]
fn the_guide_names_every_key_of_the_schema() {
    let guide = std::fs::read_to_string(docs("guides/fleet-file.md")).unwrap();
    let mut known = BTreeSet::new();
    keys(&fleet_schema(), &mut known);
    assert!(known.len() > 40, "{known:?}");
    let missing: Vec<&String> = known
        .iter()
        .filter(|key| !guide.contains(&format!("`{key}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/guides/fleet-file.md does not name {missing:?}"
    );
}

#[test]
fn every_example_of_the_guides_is_a_right_fleet() {
    for (guide, least) in [("guides/fleet-file.md", 3), ("guides/running-a-fleet.md", 2)] {
        let text = std::fs::read_to_string(docs(guide)).unwrap();
        let examples: Vec<&str> = text
            .split("```toml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .collect();
        assert!(examples.len() >= least, "{guide}");
        for example in examples {
            let fleet = Fleet::parse(example, Path::new("/srv/fleet.toml"), &|_| None);
            assert!(
                fleet.is_ok(),
                "{guide}: {example}\n{}",
                Diagnostic::render_all(&fleet.unwrap_err())
            );
        }
    }
}
