//! Answers, held to the description of the API that the server gives itself.

use axum::Router;
use serde_json::{Value, json};

use crate::web::{Answer, get};

/// The description.
pub(crate) struct Described(Value);

impl Described {
    /// What `site` says of itself.
    pub(crate) async fn of(site: &Router) -> Self {
        Self(get(site, "/openapi.json").await.json())
    }

    pub(crate) const fn document(&self) -> &Value {
        &self.0
    }

    /// Fails unless the status is described for this operation, and the body is of the type and the schema that stand there. `path` as in the
    /// description, with its variables.
    #[track_caller]
    pub(crate) fn holds(&self, method: &str, path: &str, answer: &Answer) {
        let what = format!("{method} {path}: {} {}", answer.status, answer.text);
        let responses = &self.0["paths"][path][method.to_lowercase()]["responses"];
        let response = &responses[answer.status.as_str()];
        assert!(response.is_object(), "not described: {what}");
        let Some(contents) = response["content"].as_object() else {
            assert!(answer.text.is_empty(), "described without a body: {what}");
            return;
        };
        let given = answer.headers["content-type"].to_str().unwrap();
        let kind = given.split(';').next().unwrap();
        let content = contents
            .get(kind)
            .unwrap_or_else(|| panic!("{given} is not described: {what}"));
        if kind.ends_with("json") {
            self.fits(&content["schema"], &answer.json(), &what);
        }
    }

    /// Fails unless a value is as a schema of this description says.
    #[track_caller]
    fn fits(&self, schema: &Value, value: &Value, what: &str) {
        let whole = json!({ "components": self.0["components"], "allOf": [schema] });
        let schema = jsonschema::draft202012::new(&whole).unwrap();
        let wrong: Vec<_> = schema
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{}: {what}", wrong.join("; "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::site;
    use crate::world::{builder, started};

    #[tokio::test]
    #[should_panic(expected = "\"state\" is a required property")]
    async fn an_answer_that_lacks_what_is_described_is_found() {
        let site = site(&started(builder()).await);
        let described = Described::of(&site).await;
        let mut answer = get(&site, "/api/v1/status").await;
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("state").unwrap();
        answer.text = body.to_string();
        described.holds("get", "/api/v1/status", &answer);
    }
}
