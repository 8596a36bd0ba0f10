//! Bodies: which content types are taken, and how they are read.

use axum::body::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use stead_model::ProblemCode;

use super::text::suggest;
use crate::api::openapi::Sketch;
use crate::api::problem::Failure;

/// What a body is read into.
pub(in crate::api) trait Payload: Sized + Send {
    /// How large the body may be, in bytes.
    const LIMIT: usize = 1024 * 1024;

    /// Reads it, given its content type.
    fn read(kind: Option<&str>, bytes: &Bytes) -> Result<Self, Failure>;

    /// Adds it to an operation.
    fn describe(sketch: &mut Sketch);
}

/// A JSON body that must be there.
#[derive(Debug)]
pub(in crate::api) struct Json<T>(pub(in crate::api) T);

/// A JSON body that may be left out.
#[derive(Debug)]
pub(in crate::api) struct JsonOr<T>(pub(in crate::api) T);

/// A JSON merge patch (RFC 7396).
#[derive(Debug)]
pub(in crate::api) struct MergePatch(pub(in crate::api) Value);

/// A fleet file: as text, or as JSON with the text in `toml`.
#[derive(Debug)]
pub(in crate::api) struct Document(pub(in crate::api) String);

/// No body; one that is sent all the same is not looked at.
impl Payload for () {
    fn read(_: Option<&str>, _: &Bytes) -> Result<Self, Failure> {
        Ok(())
    }

    fn describe(_: &mut Sketch) {}
}

impl<T: DeserializeOwned + JsonSchema + Send> Payload for Json<T> {
    fn read(kind: Option<&str>, bytes: &Bytes) -> Result<Self, Failure> {
        check_kind(kind, &[JSON])?;
        is_no_list(bytes)?;
        parse(bytes).map(Self)
    }

    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<T>();
        sketch.body(&[(JSON, schema)], true);
    }
}

impl<T: DeserializeOwned + JsonSchema + Default + Send> Payload for JsonOr<T> {
    fn read(kind: Option<&str>, bytes: &Bytes) -> Result<Self, Failure> {
        if bytes.is_empty() {
            Ok(Self(T::default()))
        } else {
            Json::read(kind, bytes).map(|Json(body)| Self(body))
        }
    }

    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<T>();
        sketch.body(&[(JSON, schema)], false);
    }
}

impl Payload for MergePatch {
    fn read(kind: Option<&str>, bytes: &Bytes) -> Result<Self, Failure> {
        check_kind(kind, &[MERGE_PATCH, JSON])?;
        parse::<Value>(bytes).map(Self)
    }

    fn describe(sketch: &mut Sketch) {
        let schema = serde_json::json!({ "type": "object", "description": "JSON merge patch (RFC 7396) of the spec." });
        sketch.body(&[(MERGE_PATCH, schema.clone()), (JSON, schema)], true);
    }
}

impl Payload for Document {
    const LIMIT: usize = 8 * 1024 * 1024;

    fn read(kind: Option<&str>, bytes: &Bytes) -> Result<Self, Failure> {
        if check_kind(kind, &[TOML, TEXT, JSON])? == JSON {
            is_no_list(bytes)?;
            return parse::<DocumentForm>(bytes).map(|form| Self(form.toml));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self(text.to_owned())),
            Err(at) => Err(Failure::invalid(format!(
                "the body is not UTF-8 from byte {} on",
                at.valid_up_to()
            ))),
        }
    }

    fn describe(sketch: &mut Sketch) {
        let text = serde_json::json!({ "type": "string", "description": "A fleet file." });
        let form = sketch.schema::<DocumentForm>();
        sketch.body(&[(TOML, text.clone()), (TEXT, text), (JSON, form)], true);
    }
}

/// A fleet file in JSON.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FleetDocument")]
pub(in crate::api) struct DocumentForm {
    /// The fleet file.
    toml: String,
}

/// Finds which of the content types that are taken it is.
fn check_kind(kind: Option<&str>, taken: &[&'static str]) -> Result<&'static str, Failure> {
    let given = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    if let Some(given) = given
        && let Some(found) = taken.iter().find(|taken| taken.eq_ignore_ascii_case(given))
    {
        return Ok(found);
    }
    let taken = taken.join(" or ");
    Err(Failure::new(
        ProblemCode::UnsupportedMediaType,
        match given {
            Some(given) => format!("the body is `{given}`; what is taken here is {taken}"),
            None => format!("the body has no Content-Type; what is taken here is {taken}"),
        },
    ))
}

/// Refuses a list where an object is meant: a deserializer would take its items for the fields, in their order.
fn is_no_list(bytes: &[u8]) -> Result<(), Failure> {
    if is_list(bytes) {
        return Err(Failure::invalid(
            "in the body at line 1: expected an object, found a list",
        ));
    }
    Ok(())
}

/// Whether a text of JSON is a list.
pub(in crate::api) fn is_list(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'[')
}

/// A body of JSON of whatever shape.
pub(in crate::api) fn any_json(kind: Option<&str>, bytes: &[u8]) -> Result<Value, Failure> {
    check_kind(kind, &[JSON])?;
    parse(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| match (error.line(), error.column()) {
        _ if bytes.is_empty() => Failure::invalid("the body is empty; JSON is needed"),
        (line, column) => {
            let said = error.to_string();
            let said = said
                .strip_suffix(&format!(" at line {line} column {column}"))
                .unwrap_or(&said);
            let field = field_of::<T>(bytes).map_or_else(String::new, |field| format!("{field}: "));
            let said = suggest(said);
            Failure::invalid(format!("in the body at line {line} column {column}: {field}{said}"))
        }
    })
}

/// Which field it is that cannot be read; found by reading once more, which who is right does not pay for.
fn field_of<T: DeserializeOwned>(bytes: &[u8]) -> Option<String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let refused = serde_path_to_error::deserialize::<_, T>(&mut json).err()?;
    let field = refused.path().to_string();
    (refused.inner().is_data() && field != ".").then_some(field)
}

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const TEXT: &str = "text/plain";
const TOML: &str = "application/toml";
