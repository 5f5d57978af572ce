//! Every answer that a test gets is held against the OpenAPI document.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use api::openapi::DOCUMENT;
use axum::http::Method;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::client::Answer;

/// Fails when an answer of ours is not as the document has it: another status, a header or a
/// field that is missing, a field that is not documented. What the legacy application answered
/// is its own.
pub(crate) fn check(method: &str, path: &str, answer: &Answer) {
    if answer.headers.get("x-served-by").is_some_and(|side| side == "legacy") {
        return;
    }
    let told = || format!("{method} {path}: {} {}", answer.status, answer.body);
    let Some(operation) = operation(method, path) else {
        // No route, no method, a domain that is being handed over, or a legacy application that
        // is down or that we have no place to ask.
        let is_known = matches!(answer.status.as_u16(), 404 | 405 | 409 | 502 | 503);
        assert!(is_known, "{} is in no document", told());
        return check_body(&json!({ "$ref": "#/components/schemas/Error" }), method, answer, &told);
    };
    let documented = &operation["responses"][answer.status.as_str()];
    assert!(!documented.is_null(), "a status that is not documented: {}", told());
    let response = resolve(documented);
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let header = resolve(header);
        let value = answer.headers.get(name).map(|value| value.to_str().expect("ASCII"));
        if header["required"] == true {
            assert!(value.is_some(), "no {name}: {}", told());
        }
        let is_number = header["schema"]["type"] == "integer";
        if let Some(text) = value {
            let value = if is_number { json!(text.parse::<i64>().ok()) } else { json!(text) };
            let errors = errors(&header["schema"], &value);
            assert!(errors.is_empty(), "{name} is {text:?}: {errors:?} {}", told());
        }
    }
    let kind = answer.headers.get("content-type").map(|value| value.to_str().expect("ASCII"));
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    match response["content"].as_object() {
        None => assert!(answer.bytes.is_empty(), "a body that is not documented: {}", told()),
        Some(content) => {
            let content = content.get(kind);
            let content = content.unwrap_or_else(|| panic!("{kind} is not documented: {}", told()));
            if kind == "application/json" {
                check_body(&content["schema"], method, answer, &told);
            }
        }
    }
}

fn check_body(schema: &Value, method: &str, answer: &Answer, told: &dyn Fn() -> String) {
    if method == "HEAD" {
        return assert!(answer.bytes.is_empty(), "{}", told());
    }
    let errors = errors(schema, &answer.body);
    assert!(errors.is_empty(), "not as documented: {errors:?} {}", told());
}

/// The operation that a request is one of. A HEAD is a GET without its body.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let method = if method == "HEAD" { Method::GET } else { method.parse().expect("a method") };
    let covers = |template: &str| {
        let (mut given, mut expected) = (path.split('/'), template.split('/'));
        given.by_ref().zip(expected.by_ref()).all(|(given, expected)| {
            given == expected || (expected.starts_with('{') && !given.is_empty())
        }) && path.split('/').count() == template.split('/').count()
    };
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let mut covering = paths.iter().filter(|(template, _)| covers(template));
    covering.find_map(|(_, item)| item.get(method.as_str().to_lowercase()))
}

fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            DOCUMENT.pointer(reference.trim_start_matches('#')).expect("where it leads")
        }
        None => value,
    }
}

/// What is wrong with a value.
fn errors(schema: &Value, value: &Value) -> Vec<String> {
    static VALIDATORS: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = validators.entry(schema.to_string()).or_insert_with(|| validator(schema));
    validator.iter_errors(value).map(|error| error.to_string()).collect()
}

fn validator(schema: &Value) -> Validator {
    let mut whole = json!({ "components": DOCUMENT["components"], "allOf": [schema] });
    close(&mut whole["components"]["schemas"]);
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    options.build(&whole).expect("a schema")
}

/// Clients must bear new fields, so the document leaves objects open. Tests do not: a field that
/// nobody has documented is a mistake.
fn close(schemas: &mut Value) {
    for schema in schemas.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if schema["type"] == "object" && schema.get("properties").is_some() {
            schema["additionalProperties"] = json!(false);
        }
    }
}

#[test]
#[should_panic(expected = "not documented")]
fn a_status_that_nobody_documented_fails() {
    check("GET", "/v2/contracts", &Answer::made(418, &json!({})));
}

#[test]
#[should_panic(expected = "not as documented")]
fn a_field_that_nobody_documented_fails() {
    let page = json!({ "items": [], "nextCursor": null, "total": 0 });
    check("GET", "/v2/contracts", &Answer::made(200, &page));
}

#[test]
#[should_panic(expected = "not as documented")]
fn a_field_that_is_missing_fails() {
    check("GET", "/v2/contracts", &Answer::made(200, &json!({ "items": [] })));
}

#[test]
#[should_panic(expected = "no ETag")]
fn a_header_that_is_missing_fails() {
    check("GET", "/v2/contracts/1", &Answer::made(200, &json!({})));
}
