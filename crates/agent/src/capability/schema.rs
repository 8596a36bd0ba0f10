//! JSON Schema as far as parameters of capabilities need it. A keyword that is not known is refused when a schema is declared, so
//! that nothing is let through which a schema meant to stop.

use serde_json::{Map, Value};

/// A schema that was found to say only what is known here.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Schema(Value);

impl Schema {
    /// Takes a schema.
    ///
    /// # Errors
    /// It says something that is not known here: what, and where.
    pub(super) fn new(schema: Value) -> Result<Self, String> {
        look(&schema, &schema, "")?;
        Ok(Self(schema))
    }

    /// Checks a value, and says each thing that is wrong with it, twenty at most.
    pub(super) fn check(&self, value: &Value) -> Result<(), Vec<String>> {
        let mut check = Check {
            root: &self.0,
            wrong: Vec::new(),
        };
        check.value(&self.0, value, "", 0);
        check.wrong.truncate(MOST);
        if check.wrong.is_empty() {
            Ok(())
        } else {
            Err(check.wrong)
        }
    }

    pub(super) const fn as_json(&self) -> &Value {
        &self.0
    }
}

/// Keywords that say something to people only.
const NOTES: [&str; 9] = [
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "format",
    "deprecated",
];
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
const MOST: usize = 20;
const DEPTH: usize = 64;

/// Looks whether a schema can be checked by.
fn look(root: &Value, schema: &Value, at: &str) -> Result<(), String> {
    let fields = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(fields) => fields,
        _ => return Err(format!("at `{at}`: a schema is an object, true or false")),
    };
    for (name, value) in fields {
        let at = format!("{at}/{name}");
        let fits = match name.as_str() {
            "type" => names(value).is_some_and(|names| names.iter().all(|name| TYPES.contains(name))),
            "enum" => value.is_array(),
            "const" => true,
            "required" => value.is_array() && names(value).is_some(),
            "minLength" | "maxLength" | "minItems" | "maxItems" => value.is_u64(),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
            "$ref" => value.as_str().and_then(|place| find(root, place)).is_some(),
            "items" | "additionalProperties" | "not" => {
                look(root, value, &at)?;
                true
            }
            "properties" | "$defs" => match value {
                Value::Object(parts) => {
                    for (part, schema) in parts {
                        look(root, schema, &format!("{at}/{part}"))?;
                    }
                    true
                }
                _ => false,
            },
            "anyOf" | "allOf" | "oneOf" => match value {
                Value::Array(parts) => {
                    for (place, schema) in parts.iter().enumerate() {
                        look(root, schema, &format!("{at}/{place}"))?;
                    }
                    true
                }
                _ => false,
            },
            note if NOTES.contains(&note) => true,
            _ => return Err(format!("at `{at}`: this keyword is not known here")),
        };
        if !fits {
            return Err(format!("at `{at}`: its value makes no sense"));
        }
    }
    Ok(())
}

struct Check<'s> {
    root: &'s Value,
    wrong: Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, value: &Value, at: &str, depth: usize) {
        if self.wrong.len() >= MOST {
            return;
        }
        let fields = match schema {
            Value::Bool(true) => return,
            Value::Object(fields) if depth < DEPTH => fields,
            Value::Object(_) => return self.say(at, "is nested too deeply"),
            _ => return self.say(at, "is not allowed"),
        };
        let depth = depth + 1;
        if let Some(place) = fields.get("$ref").and_then(Value::as_str)
            && let Some(other) = find(self.root, place)
        {
            self.value(other, value, at, depth);
        }
        self.scalar(fields, value, at);
        match value {
            Value::Object(parts) => self.object(fields, parts, at, depth),
            Value::Array(items) => self.array(fields, items, at, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        self.combined(fields, value, at, depth);
    }

    fn scalar(&mut self, fields: &Map<String, Value>, value: &Value, at: &str) {
        if let Some(kinds) = fields.get("type").and_then(names)
            && !kinds.iter().any(|kind| is(value, kind))
        {
            self.say(at, &format!("is {}, must be {}", kind_of(value), kinds.join(" or ")));
        }
        if let Some(Value::Array(choices)) = fields.get("enum")
            && !choices.contains(value)
        {
            let choices: Vec<_> = choices.iter().map(ToString::to_string).collect();
            self.say(at, &format!("must be one of {}", choices.join(", ")));
        }
        if let Some(only) = fields.get("const")
            && only != value
        {
            self.say(at, &format!("must be {only}"));
        }
        let bound = |name| fields.get(name).and_then(Value::as_f64);
        if let Some(number) = value.as_f64() {
            let bounds: [(&str, &str, Breaks); 4] = [
                ("minimum", "at least", |number, bound| number < bound),
                ("maximum", "at most", |number, bound| number > bound),
                ("exclusiveMinimum", "more than", |number, bound| number <= bound),
                ("exclusiveMaximum", "less than", |number, bound| number >= bound),
            ];
            for (name, word, breaks) in bounds {
                if let Some(bound) = bound(name).filter(|bound| breaks(number, *bound)) {
                    self.say(at, &format!("must be {word} {bound}"));
                }
            }
        }
        if let Some(text) = value.as_str() {
            self.size(
                fields,
                ["minLength", "maxLength"],
                text.chars().count(),
                at,
                "characters",
            );
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, parts: &Map<String, Value>, at: &str, depth: usize) {
        for name in fields.get("required").and_then(names).unwrap_or_default() {
            if !parts.contains_key(name) {
                self.say(at, &format!("lacks `{name}`"));
            }
        }
        let known = fields.get("properties").and_then(Value::as_object);
        for (name, part) in parts {
            let at = format!("{at}/{name}");
            match known.and_then(|known| known.get(name)) {
                Some(schema) => self.value(schema, part, &at, depth),
                None => {
                    if let Some(schema) = fields.get("additionalProperties") {
                        self.value(schema, part, &at, depth);
                    }
                }
            }
        }
    }

    fn array(&mut self, fields: &Map<String, Value>, items: &[Value], at: &str, depth: usize) {
        self.size(fields, ["minItems", "maxItems"], items.len(), at, "items");
        if let Some(schema) = fields.get("items") {
            for (place, item) in items.iter().enumerate() {
                self.value(schema, item, &format!("{at}/{place}"), depth);
            }
        }
    }

    fn combined(&mut self, fields: &Map<String, Value>, value: &Value, at: &str, depth: usize) {
        let parts = |name| fields.get(name).and_then(Value::as_array);
        for schema in parts("allOf").into_iter().flatten() {
            self.value(schema, value, at, depth);
        }
        if let Some(choices) = parts("anyOf")
            && self.count(choices, value, depth) == 0
        {
            self.say(at, "fits none of what it may be");
        }
        if let Some(choices) = parts("oneOf") {
            match self.count(choices, value, depth) {
                1 => {}
                0 => self.say(at, "fits none of what it may be"),
                _ => self.say(at, "fits more than one of what it may be"),
            }
        }
        if let Some(not) = fields.get("not")
            && self.count(std::slice::from_ref(not), value, depth) == 1
        {
            self.say(at, "is not allowed");
        }
    }

    fn count(&self, choices: &[Value], value: &Value, depth: usize) -> usize {
        let fits = |schema: &&Value| {
            let mut check = Check {
                root: self.root,
                wrong: Vec::new(),
            };
            check.value(schema, value, "", depth);
            check.wrong.is_empty()
        };
        choices.iter().filter(fits).count()
    }

    fn size(&mut self, fields: &Map<String, Value>, [least, most]: [&str; 2], size: usize, at: &str, unit: &str) {
        let bound = |name| fields.get(name).and_then(Value::as_u64);
        if let Some(least) = bound(least).filter(|least| (size as u64) < *least) {
            self.say(at, &format!("has {size} {unit}, must have at least {least}"));
        }
        if let Some(most) = bound(most).filter(|most| size as u64 > *most) {
            self.say(at, &format!("has {size} {unit}, may have {most}"));
        }
    }

    fn say(&mut self, at: &str, what: &str) {
        let at = if at.is_empty() { "/" } else { at };
        self.wrong.push(format!("`{at}` {what}"));
    }
}

/// Whether a number breaks a bound.
type Breaks = fn(f64, f64) -> bool;

/// What a reference within the same document leads to.
fn find<'s>(root: &'s Value, place: &str) -> Option<&'s Value> {
    root.pointer(place.strip_prefix('#')?)
}

/// One name, or several.
fn names(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => names.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => kind_of(value) == other,
    }
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(schema: Value, value: Value) -> Vec<String> {
        Schema::new(schema).unwrap().check(&value).err().unwrap_or_default()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let schema = json!({
            "$defs": { "page": { "type": "integer", "minimum": 1, "exclusiveMaximum": 10 } },
            "type": "object",
            "required": ["query"],
            "additionalProperties": false,
            "properties": {
                "query": { "type": "string", "minLength": 2, "maxLength": 4 },
                "pages": { "type": "array", "maxItems": 2, "items": { "$ref": "#/$defs/page" } },
                "kind": { "enum": ["web", "news"] },
                "mode": { "const": 1 },
                "note": { "type": ["string", "null"] },
            },
        });
        assert_eq!(
            wrong(
                schema.clone(),
                json!({ "query": "ab", "pages": [1, 9.0], "kind": "web", "note": null })
            ),
            [""; 0]
        );
        let said = wrong(
            schema.clone(),
            json!({ "query": "abcde", "pages": [0, 10, 1.5], "kind": "x", "mode": 2, "note": 7, "more": 1 }),
        );
        for one in [
            "`/query` has 5 characters, may have 4",
            "`/pages` has 3 items, may have 2",
            "`/pages/0` must be at least 1",
            "`/pages/1` must be less than 10",
            "`/pages/2` is number, must be integer",
            "`/kind` must be one of \"web\", \"news\"",
            "`/mode` must be 1",
            "`/note` is number, must be string or null",
            "`/more` is not allowed",
        ] {
            assert!(said.iter().any(|said| said == one), "{one}: {said:?}");
        }
        assert_eq!(said.len(), 9);
        assert_eq!(wrong(schema.clone(), json!({})), ["`/` lacks `query`"]);
        assert_eq!(wrong(schema, json!([])), ["`/` is array, must be object"]);
    }

    #[test]
    fn choices_are_weighed() {
        let either = json!([{ "type": "string" }, { "type": "integer" }, { "type": "number" }]);
        assert_eq!(wrong(json!({ "anyOf": either }), json!(7)).len(), 0);
        assert_eq!(wrong(json!({ "anyOf": either }), json!(null)).len(), 1);
        assert_eq!(wrong(json!({ "oneOf": either }), json!(7)).len(), 1);
        assert_eq!(wrong(json!({ "oneOf": either }), json!("x")).len(), 0);
        assert_eq!(wrong(json!({ "allOf": either }), json!("x")).len(), 2);
        assert_eq!(wrong(json!({ "not": { "type": "null" } }), json!(null)).len(), 1);
    }

    #[test]
    fn a_schema_that_leads_in_circles_ends() {
        let list = json!({ "$defs": { "a": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" });
        assert_eq!(wrong(list, json!(1)), ["`/` is nested too deeply"]);
    }

    #[test]
    fn what_is_not_known_here_is_refused_when_it_is_declared() {
        for (schema, said) in [
            (json!({ "pattern": "^a" }), "`/pattern`: this keyword is not known"),
            (
                json!({ "properties": { "a": { "type": "text" } } }),
                "`/properties/a/type`: its value",
            ),
            (json!({ "$ref": "https://elsewhere.example/a" }), "`/$ref`"),
            (json!(7), "a schema is an object"),
        ] {
            let refused = Schema::new(schema).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
