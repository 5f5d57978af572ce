//! The document's shared parts: errors, headers, the session.
#![expect(
    clippy::indexing_slicing,
    reason = "names in JSON objects of our own: missing ones are made"
)]

use serde_json::{Map, Value, json};

use super::complete::describe;
use crate::identity;

const ERRORS: [(u16, &str); 15] = [
    (400, "A parameter or a field of the body is wrong; `details` says which."),
    (401, "No session, or one that is over."),
    (403, "The session may not do this."),
    (404, "No such row, or none that the caller may see."),
    (408, "The body did not arrive in time."),
    (
        409,
        "The row's status does not allow it (`details.allowed` says what it does), somebody else \
           is changing it, or the domain is being handed over (`Retry-After`).",
    ),
    (412, "The row has another version than `If-Match` says."),
    (413, "The body is too large."),
    (415, "The body must be application/json."),
    (422, "The `Idempotency-Key` was used for another request."),
    (428, "A change without `If-Match`."),
    (429, "Too many requests; `Retry-After` says when to come back."),
    (500, "A mistake of ours; the log has it under the correlation id."),
    (502, "The legacy application, which still serves this, did not answer."),
    (503, "Too busy; `Retry-After` says when to come back."),
];

pub(super) fn components() -> Map<String, Value> {
    let error = |(status, text): (u16, &str)| {
        let mut response = json!({
            "description": text,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
        });
        describe(&status.to_string(), &mut response);
        if matches!(status, 429 | 503) {
            response["headers"]["Retry-After"] = json!({
                "description": "Seconds.", "required": true, "schema": { "type": "integer" },
            });
        }
        (format!("Error{status}"), response)
    };
    let id = json!({ "type": "string", "pattern": "^[0-9A-Za-z._:-]{1,128}$" });
    let parts = json!({
        "responses": ERRORS.into_iter().map(error).collect::<Map<_, _>>(),
        "headers": {
            "CorrelationId": {
                "description": "The request's id, in every log line and row that it leaves.",
                "required": true, "schema": id,
            },
            "Location": {
                "description": "The address of what was made.",
                "required": true, "schema": { "type": "string", "pattern": "^/v2/" },
            },
            "ETag": {
                "description": "The row's version, for `If-Match`.",
                "required": true, "schema": { "type": "string", "pattern": "^\"[0-9]+\"$" },
            },
        },
        "parameters": {
            "CorrelationId": {
                "name": "x-correlation-id", "in": "header", "schema": id,
                "description": "The request's id; without a decent one it gets one.",
            },
            "AcceptLanguage": {
                "name": "accept-language", "in": "header", "schema": { "type": "string" },
                "description": "The language of messages: `mn` or `en`.",
            },
        },
        "securitySchemes": {
            "bearer": { "type": "http", "scheme": "bearer" },
            "cookie": { "type": "apiKey", "in": "cookie", "name": identity::COOKIE },
        },
    });
    match parts {
        Value::Object(parts) => parts,
        _ => Map::new(),
    }
}
