//! What all operations have in common, added once.
#![expect(
    clippy::indexing_slicing,
    reason = "names in JSON objects of our own: missing ones are made"
)]

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa::{ToSchema, openapi::OpenApi};

use super::common::components;
use crate::{domains, error::Envelope};

const CORRELATION_ID: &str = "#/components/headers/CorrelationId";

/// The document of several routers, whole.
pub(super) fn complete(mut parts: Vec<OpenApi>) -> Value {
    let Some(mut all) = parts.pop() else { return Value::Null };
    parts.into_iter().for_each(|part| all.merge(part));
    add_schema::<Envelope>(&mut all);
    let mut document = serde_json::to_value(&all).unwrap_or_default();
    document["info"] = json!({
        "title": domains::TITLE,
        "version": "2",
        "description": "Lists go by cursor, amounts are integers of minor units as text, \
                        and every error has one envelope.",
    });
    let parts = components();
    let asked = asked_for(&document);
    let schemas = object(&mut document["components"]["schemas"]);
    refer(schemas);
    for (_, schema) in schemas.iter_mut().filter(|(name, _)| !asked.contains(*name)) {
        require(schema);
    }
    let schemas = document["components"]["schemas"].clone();
    for (path, operations) in object(&mut document["paths"]) {
        for (method, operation) in object(operations) {
            Operation { method, path, operation }.complete(&schemas);
        }
    }
    object(&mut document["components"]).extend(parts);
    document
}

/// A page's items by the name of their schema: generics come spelled out.
fn refer(schemas: &mut Map<String, Value>) {
    let known: BTreeSet<String> = schemas.keys().cloned().collect();
    for (name, schema) in schemas {
        if let Some(item) = name.strip_prefix("Page_").filter(|item| known.contains(*item)) {
            let reference = format!("#/components/schemas/{item}");
            schema["properties"]["items"]["items"] = json!({ "$ref": reference });
        }
    }
}

/// The names of the schemas that requests are made of.
fn asked_for(document: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let paths = document["paths"].as_object().into_iter().flat_map(Map::values);
    let operations = paths.flat_map(|item| item.as_object().into_iter().flat_map(Map::values));
    operations.for_each(|operation| reach(document, &operation["requestBody"], &mut names));
    names
}

fn reach(document: &Value, value: &Value, names: &mut BTreeSet<String>) {
    let name = value["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    if let Some(name) = name
        && names.insert(name.to_owned())
    {
        reach(document, &document["components"]["schemas"][name], names);
    }
    let inner = value.as_object().into_iter().flat_map(Map::values);
    inner.chain(value.as_array().into_iter().flatten()).for_each(|one| reach(document, one, names));
}

/// What we answer names every field, also those that are null. (An `Option` that is left out
/// instead is never null, and says so: `nullable = false`.)
fn require(schema: &mut Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let null = json!("null");
    let is_nullable = |property: &Value| {
        let types = property["type"].as_array().into_iter().flatten();
        let choices = property["oneOf"].as_array().into_iter().flatten();
        types.chain(choices.map(|one| &one["type"])).any(|one| *one == null)
    };
    let nullable = properties.iter().filter(|(_, property)| is_nullable(property));
    let mut required: BTreeSet<String> = nullable.map(|(name, _)| name.clone()).collect();
    let already = schema["required"].as_array().into_iter().flatten();
    required.extend(already.filter_map(Value::as_str).map(str::to_owned));
    schema["required"] = json!(required);
}

fn add_schema<T: ToSchema>(document: &mut OpenApi) {
    let schemas = &mut document.components.get_or_insert_default().schemas;
    schemas.insert(T::name().into_owned(), T::schema());
    let mut inner = Vec::new();
    T::schemas(&mut inner);
    schemas.extend(inner);
}

/// The object; an empty one takes the place of anything else.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}

struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    operation: &'a mut Value,
}

impl Operation<'_> {
    fn complete(mut self, schemas: &Value) {
        self.operation["operationId"] = json!(self.id());
        let is_open = self.operation.get("security").is_some();
        if !is_open {
            self.operation["security"] = json!([{ "cookie": [] }, { "bearer": [] }]);
        }
        let errors = self.errors(is_open);
        for (status, response) in object(&mut self.operation["responses"]) {
            describe(status, response);
            if status == "201" {
                response["headers"]["Location"] =
                    json!({ "$ref": "#/components/headers/Location" });
            }
            let version = response["content"]["application/json"]["schema"]["$ref"]
                .as_str()
                .and_then(|name| name.rsplit('/').next())
                .is_some_and(|name| !schemas[name]["properties"]["version"].is_null());
            if version {
                response["headers"]["ETag"] = json!({ "$ref": "#/components/headers/ETag" });
            }
        }
        let responses = object(&mut self.operation["responses"]);
        for status in errors {
            let error = json!({ "$ref": format!("#/components/responses/Error{status}") });
            responses.entry(status.to_string()).or_insert(error);
        }
        self.take_headers();
    }

    /// `GET /v2/contracts/{id}/items` is `getContractsByIdItems`.
    fn id(&self) -> String {
        let mut id = self.method.to_owned();
        for segment in
            self.path.split('/').filter(|segment| !segment.is_empty() && *segment != "v2")
        {
            let named = segment.trim_matches(['{', '}']);
            if named != segment {
                id.push_str("By");
            }
            for word in named.split(['-', '.']) {
                let mut letters = word.chars();
                id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
                id.push_str(letters.as_str());
            }
        }
        id
    }

    /// What can go wrong follows from what the operation takes.
    fn errors(&self, is_open: bool) -> Vec<u16> {
        let parameters = self.operation["parameters"].as_array();
        let takes = |name| parameters.is_some_and(|all| all.iter().any(|one| one["name"] == name));
        let mut errors = vec![500];
        let mut when = |condition: bool, statuses: &[u16]| {
            if condition {
                errors.extend(statuses);
            }
        };
        let has_body = self.operation.get("requestBody").is_some();
        when(parameters.is_some() || has_body, &[400]);
        when(!is_open, &[401, 403, 503]);
        when(self.path.contains('{') || takes("legacy"), &[404]);
        // A lock that does not come free, a domain that is being handed over, and the other side.
        when(self.path.starts_with("/v2/"), &[409, 502]);
        // Counted by address and caller; forged writes; what signing in may be refused with.
        let is_sign_in = self.path.starts_with("/auth/");
        when(is_sign_in || self.path.starts_with("/v2/"), &[429]);
        when(is_sign_in, &[401, 403, 409, 503]);
        when(has_body, &[408, 413, 415]);
        when(takes("If-Match"), &[412]);
        when(self.method == "patch", &[428]);
        when(takes("Idempotency-Key"), &[422]);
        errors
    }

    /// Headers that every operation takes.
    fn take_headers(&mut self) {
        let parameters = &mut self.operation["parameters"];
        if !parameters.is_array() {
            *parameters = json!([]);
        }
        if let Value::Array(parameters) = parameters {
            for name in ["CorrelationId", "AcceptLanguage"] {
                parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
            }
        }
    }
}

/// A response has a description and our correlation id.
pub(super) fn describe(status: &str, response: &mut Value) {
    if response.get("description").is_none() {
        let status = status.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
        let reason = status.and_then(|status| status.canonical_reason()).unwrap_or("An answer");
        response["description"] = json!(reason);
    }
    response["headers"]["x-correlation-id"] = json!({ "$ref": CORRELATION_ID });
}
