//! The OpenAPI 3.1 document, put together from the table of operations and the schemas of its types.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use stead_model::{Problem, ProblemCode};

use super::door::OPEN;
use super::operation::{Operation, Table};

/// The document, and the operation that is described just now.
pub(super) struct Sketch {
    generator: SchemaGenerator,
    parameters: Vec<Value>,
    headers: Map<String, Value>,
    body: Option<Value>,
    responses: Map<String, Value>,
    problems: Map<String, Value>,
}

impl Sketch {
    /// The schema of a type; large ones are kept once and referred to.
    pub(super) fn schema<T: JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    /// Adds a part of the path.
    pub(super) fn path(&mut self, name: &str, description: &str, schema: Value) {
        self.parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": description, "schema": schema,
        }));
    }

    /// Adds a header of the request; each is described once for all.
    pub(super) fn header(&mut self, name: &str, description: &str) {
        self.parameters
            .push(json!({ "$ref": format!("#/components/parameters/{name}") }));
        self.headers.entry(name).or_insert_with(
            || json!({ "name": name, "in": "header", "description": description, "schema": { "type": "string" } }),
        );
    }

    /// Adds every field of `Q` as a parameter of the query.
    pub(super) fn query<Q: JsonSchema>(&mut self) {
        let mut schema = Q::json_schema(&mut self.generator).to_value();
        let required: Vec<String> = serde_json::from_value(schema["required"].take()).unwrap_or_default();
        let Some(fields) = schema["properties"].as_object_mut() else {
            return;
        };
        for (name, field) in fields {
            let mut field = without_null(field.take());
            let description = field.as_object_mut().and_then(|field| field.remove("description"));
            let mut parameter = json!({ "name": name, "in": "query", "schema": field });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            if required.contains(name) {
                parameter["required"] = true.into();
            }
            self.parameters.push(parameter);
        }
    }

    /// Sets the body, in each content type that is taken.
    pub(super) fn body(&mut self, content: &[(&str, Value)], required: bool) {
        self.body = Some(json!({ "required": required, "content": contents(content) }));
    }

    /// Adds a response.
    pub(super) fn response(
        &mut self,
        status: u16,
        description: &str,
        content: &[(&str, Value)],
        headers: &[(&str, &str)],
    ) {
        let mut response = json!({ "description": description });
        if !content.is_empty() {
            response["content"] = contents(content);
        }
        let headers: Map<_, _> = headers
            .iter()
            .map(|(name, description)| ((*name).to_owned(), header(description)))
            .collect();
        if !headers.is_empty() {
            response["headers"] = headers.into();
        }
        self.responses.insert(status.to_string(), response);
    }

    /// Adds what may go wrong: the codes of one status together, and the same codes once for all operations.
    fn problems(&mut self, mut codes: Vec<ProblemCode>) {
        codes.sort_by_key(|code| (code.status(), code.as_str()));
        codes.dedup();
        let schema = self.schema::<Problem>();
        for together in codes.chunk_by(|one, other| one.status() == other.status()) {
            let name = together.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(".");
            let said = |code: &ProblemCode| format!("`{code}`: {}.", code.title());
            let said = together.iter().map(said).collect::<Vec<_>>().join("\n\n");
            if let [first, ..] = together {
                let status = first.status().to_string();
                self.responses
                    .insert(status, json!({ "$ref": format!("#/components/responses/{name}") }));
            }
            let content = contents(&[("application/problem+json", schema.clone())]);
            self.problems
                .insert(name, json!({ "description": said, "content": content }));
        }
    }
}

/// Puts the document together.
pub(super) fn document(table: &Table) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut sketch = Sketch {
        generator: settings.into_generator(),
        parameters: Vec::new(),
        headers: Map::new(),
        body: None,
        responses: Map::new(),
        problems: Map::new(),
    };
    let mut paths = Map::new();
    for operation in table.operations() {
        let path = paths.entry(operation.path.clone()).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_lowercase()] = describe(operation, &mut sketch);
    }
    let schemas = sketch.generator.take_definitions(true);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Stead",
            "version": "v1",
            "description": ABOUT,
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, {}],
        "tags": TAGS.iter().map(|(name, description)| json!({ "name": name, "description": description })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": sketch.headers,
            "responses": sketch.problems,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    });
    plain_maps(&mut document);
    document
}

/// Writes maps whose keys have a form with `propertyNames`, which means the same and is what pages and generators know.
fn plain_maps(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::Object(forms)) = fields.get("patternProperties")
                && let Some((pattern, item)) = forms.iter().next().filter(|_| forms.len() == 1)
                && fields.get("additionalProperties") == Some(&Value::Bool(false))
                && !fields.contains_key("properties")
            {
                let (names, item) = (json!({ "pattern": pattern }), item.clone());
                fields.remove("patternProperties");
                fields.insert("propertyNames".to_owned(), names);
                fields.insert("additionalProperties".to_owned(), item);
            }
            fields.values_mut().for_each(plain_maps);
        }
        Value::Array(items) => items.iter_mut().for_each(plain_maps),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn describe(operation: &Operation, sketch: &mut Sketch) -> Value {
    let about = &operation.about;
    (operation.takes)(sketch);
    for (name, description) in about.headers {
        sketch.header(name, description);
    }
    sketch.header(
        "X-Correlation-Id",
        "1 to 128 visible characters that bind together all that the request leads to; made where absent.",
    );
    sketch.header("traceparent", "W3C trace context; its trace id is kept in history.");
    (operation.gives)(sketch);
    let open = OPEN.contains(&operation.path.as_str());
    let mut problems = about.problems.to_vec();
    problems.extend([
        ProblemCode::InvalidRequest,
        ProblemCode::ForeignOrigin,
        ProblemCode::Internal,
    ]);
    if !open {
        problems.push(ProblemCode::Unauthorized);
    }
    if sketch.body.is_some() {
        problems.extend([ProblemCode::TooLarge, ProblemCode::UnsupportedMediaType]);
    }
    sketch.problems(problems);
    let mut described = json!({
        "operationId": about.id,
        "tags": [about.tag],
        "summary": about.summary,
        "parameters": std::mem::take(&mut sketch.parameters),
        "responses": std::mem::take(&mut sketch.responses),
    });
    if !about.description.is_empty() {
        described["description"] = about.description.into();
    }
    if let Some(body) = sketch.body.take() {
        described["requestBody"] = body;
    }
    if open {
        described["security"] = json!([]);
    }
    described
}

fn contents(content: &[(&str, Value)]) -> Value {
    content
        .iter()
        .map(|(kind, schema)| ((*kind).to_owned(), json!({ "schema": schema })))
        .collect::<Map<_, _>>()
        .into()
}

fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

/// A field that may be left out of a query is still never null in it.
fn without_null(mut schema: Value) -> Value {
    if let Some(kinds) = schema["type"].as_array_mut() {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            schema["type"] = kind.clone();
        }
    }
    if let Some(choices) = schema["anyOf"].as_array_mut() {
        choices.retain(|choice| choice["type"] != "null");
        if let [choice] = choices.as_slice() {
            let mut only = choice.clone();
            if let Some(description) = schema.get("description") {
                only["description"] = description.clone();
            }
            return only;
        }
    }
    if let Some(fields) = schema.as_object_mut() {
        fields.retain(|name, value| name != "default" || !value.is_null());
        fields.retain(|_, value| !value.is_null());
    }
    schema
}

const ABOUT: &str = "Runs, watches and heals fleets of agents.\n\nErrors are `application/problem+json` (RFC 9457) with a stable \
`code`. What an agent is asked for is durable before it is answered. Lists are `{items, next_cursor}`; cursors are opaque.";

const TAGS: &[(&str, &str)] = &[
    ("agents", "What is kept alive."),
    (
        "components",
        "What agents depend on; the same shape with a lifecycle of its own.",
    ),
    (
        "groups",
        "One spec with several replicas, each an agent; updates reach them one after the other.",
    ),
    ("lifecycle", "What is wanted of an agent, and where it may go."),
    ("history", "What happened, and why it is as it is."),
    (
        "capabilities",
        "What can be asked of the fleet, whoever provides it, and the circuits before the providers.",
    ),
    (
        "degradation",
        "What a namespace gives up of its features while something that they need is down.",
    ),
    ("config", "The fleet file in force."),
    ("daemon", "The daemon itself."),
];
