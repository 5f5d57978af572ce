//! As much of JSON Schema as the language's schema uses, for tests. What it does not know is
//! refused, so that nothing is taken for checked.

use serde_json::{Map, Value};

/// Everything that is wrong with a document, each with its place.
pub(crate) fn check(schema: &Value, document: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    at(schema, schema, document, "", &mut wrong);
    wrong
}

fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let mut wrong = Vec::new();
    at(root, schema, value, "", &mut wrong);
    wrong.is_empty()
}

fn at(root: &Value, schema: &Value, value: &Value, place: &str, wrong: &mut Vec<String>) {
    let Value::Object(rules) = schema else { panic!("{schema} is no schema") };
    for (rule, says) in rules {
        let holds = match rule.as_str() {
            "$schema" | "title" | "description" | "definitions" => true,
            "$ref" => {
                let pointer = says.as_str().and_then(|says| says.strip_prefix('#'));
                let target = pointer.and_then(|pointer| root.pointer(pointer));
                at(
                    root,
                    target.unwrap_or_else(|| panic!("{says} leads nowhere")),
                    value,
                    place,
                    wrong,
                );
                true
            }
            "type" => list(says).iter().any(|kind| is(kind, value)),
            "const" => value == says,
            "enum" => list(says).contains(value),
            "pattern" => value.as_str().is_none_or(|text| matches(says, text)),
            "minLength" => value.as_str().is_none_or(|text| !text.is_empty()),
            "minimum" => value.as_i64().is_none_or(|number| Some(number) >= says.as_i64()),
            "maximum" => value.as_i64().is_none_or(|number| Some(number) <= says.as_i64()),
            "minItems" => value.as_array().is_none_or(|items| !items.is_empty()),
            "minProperties" => value.as_object().is_none_or(|keys| !keys.is_empty()),
            "not" => !fits(root, says, value),
            "oneOf" => list(says).iter().filter(|one| fits(root, one, value)).count() == 1,
            "anyOf" => list(says).iter().any(|one| fits(root, one, value)),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    at(root, says, item, &format!("{place}/{index}"), wrong);
                }
                true
            }
            "required" => value
                .as_object()
                .is_none_or(|keys| list(says).iter().all(|key| keys.contains_key(text(key)))),
            "dependencies" => value.as_object().is_none_or(|keys| {
                let needs = says.as_object().into_iter().flatten();
                needs
                    .filter(|(key, _)| keys.contains_key(*key))
                    .all(|(_, needed)| list(needed).iter().all(|key| keys.contains_key(text(key))))
            }),
            "propertyNames" => value.as_object().is_none_or(|keys| {
                keys.keys().all(|key| fits(root, says, &Value::String(key.clone())))
            }),
            "properties" | "additionalProperties" => {
                members(root, rules, rule, value, place, wrong);
                true
            }
            unknown => panic!("the check does not know `{unknown}`"),
        };
        if !holds {
            wrong.push(format!("{place}: {rule} {says}"));
        }
    }
}

fn members(
    root: &Value,
    rules: &Map<String, Value>,
    rule: &str,
    value: &Value,
    place: &str,
    wrong: &mut Vec<String>,
) {
    let named = rules.get("properties").and_then(Value::as_object);
    for (key, member) in value.as_object().into_iter().flatten() {
        let place = format!("{place}/{key}");
        match (rule, named.and_then(|named| named.get(key)), rules.get("additionalProperties")) {
            ("properties", Some(schema), _) => at(root, schema, member, &place, wrong),
            ("additionalProperties", None, Some(Value::Bool(false))) => {
                wrong.push(format!("{place}: there is no such key"));
            }
            ("additionalProperties", None, Some(schema)) => at(root, schema, member, &place, wrong),
            _ => {}
        }
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no key"))
}

fn is(kind: &Value, value: &Value) -> bool {
    match text(kind) {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64(),
        unknown => panic!("the check does not know the type {unknown}"),
    }
}

/// The patterns of the schema, by hand.
fn matches(pattern: &Value, value: &str) -> bool {
    match text(pattern) {
        "^[A-Z]{3}$" => value.len() == 3 && value.bytes().all(|byte| byte.is_ascii_uppercase()),
        "^[1-9][0-9]*$" => {
            value.bytes().all(|byte| byte.is_ascii_digit())
                && !value.starts_with('0')
                && !value.is_empty()
        }
        "^(inline|object-store|skip:\\s*\\S.*)$" => {
            ["inline", "object-store"].contains(&value)
                || value.strip_prefix("skip:").is_some_and(|reason| !reason.trim().is_empty())
        }
        "^(exact|skip:\\s*\\S.*)$" => {
            value == "exact"
                || value.strip_prefix("skip:").is_some_and(|reason| !reason.trim().is_empty())
        }
        unknown => panic!("the check does not know the pattern {unknown}"),
    }
}
