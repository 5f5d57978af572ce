//! The language as a JSON Schema, so that editors complete and check mapping files.
//!
//! It is made by asking the reader: a file with nothing but one column of each kind is read, and
//! every key that the reader asks for is a property. So the two can't know different keys.

use serde_json::{Map, Value, json};

use super::{
    MappingFile, Mistakes,
    options::{Asked, Level, Shape},
    read,
    words::{self, MADE_AS},
};
use crate::finding::Rule;

#[cfg(test)]
pub(crate) mod check;
#[cfg(test)]
mod tests;

/// The JSON Schema (draft 7) of a mapping file, indented.
#[must_use]
pub fn json_schema() -> String {
    let mut text = format!("{:#}", schema());
    text.push('\n');
    text
}

pub(super) fn schema() -> Value {
    let mut file = object("file", &asked(Level::File, "const"));
    file.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    file.insert("title".into(), "A ficus mapping file".into());
    file.insert("dependencies".into(), json!({ "entity": ["domain"] }));
    let columns: Vec<Value> = MADE_AS.iter().map(|(made_as, _)| column(made_as)).collect();
    let definitions = json!({
        "entity": entity(),
        "ignore": needing(object("ignore", &asked(Level::Ignore, "const")), &["table", "reason"]),
        "sequence": needing(
            object("sequence", &asked(Level::Sequence, "const")),
            &["name", "from"],
        ),
        "unique": needing(object("unique", &asked(Level::Unique, "const")), &["columns"]),
        "accept": accept(),
        "column": { "oneOf": columns },
        "condition": condition(),
        "reasons": {
            "type": ["string", "object"],
            "minLength": 1,
            "additionalProperties": { "$ref": "#/definitions/reasons" },
        },
    });
    file.insert("definitions".into(), definitions);
    Value::Object(file)
}

/// What the reader asks of a table of some level, in a file that has one of each; the column is
/// made `as` this.
pub(super) fn asked(level: Level, made_as: &str) -> Asked {
    let text = format!(
        "[[ignore]]\n[[sequence]]\n[[entity]]\nname = \"e\"\n[[entity.unique]]\n[entity.where]\nc = {{}}\n[entity.columns]\nc = {{ as = \"{made_as}\" }}\n"
    );
    let file = MappingFile { name: String::new(), text };
    let files = [file];
    let mut mistakes = Mistakes::new(&files);
    mistakes.heard = Some(Vec::new());
    for file in &files {
        read(0, &file.text, &mut mistakes);
    }
    let heard = mistakes.heard.unwrap_or_default();
    heard.into_iter().find(|(of, _)| *of == level).map(|(_, asked)| asked).unwrap_or_default()
}

fn entity() -> Value {
    let mut entity = object("entity", &asked(Level::Entity, "const"));
    entity.insert("required".into(), json!(["name"]));
    entity.insert("oneOf".into(), json!([{ "required": ["from"] }, { "required": ["parts"] }]));
    Value::Object(entity)
}

/// Rules of the check, and why their warnings stay.
fn accept() -> Value {
    let rules = Rule::ALL.iter().filter(|rule| rule.is_acceptable());
    let properties: Map<String, Value> = rules
        .map(|rule| (rule.name().to_owned(), json!({ "$ref": "#/definitions/reasons" })))
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// A value, a list of values, a table that says more, or (`Party.Kind = 1` without quotes) a table
/// of conditions.
fn condition() -> Value {
    let said = needing(object("condition", &asked(Level::Condition, "const")), &[]);
    json!({
        "anyOf": [
            values(),
            said,
            {
                "type": "object",
                "propertyNames": { "not": { "enum": ["is", "not", "null"] } },
                "additionalProperties": { "$ref": "#/definitions/condition" },
            },
        ],
    })
}

fn column(made_as: &str) -> Value {
    let asked = asked(Level::Column, made_as);
    let mut column = object(made_as, &asked);
    let mut needed = vec!["as"];
    if let Some(Value::Object(properties)) = column.get_mut("properties") {
        properties
            .insert("as".into(), json!({ "const": made_as, "description": meaning(made_as) }));
        if made_as == "const" {
            properties.remove("from");
        } else {
            needed.push("from");
        }
    }
    needed.extend(NEEDED.iter().filter(|(of, _)| *of == made_as).flat_map(|(_, keys)| *keys));
    column.insert("description".into(), meaning(made_as).into());
    needing(column, &needed)
}

fn meaning(made_as: &str) -> &'static str {
    MADE_AS.iter().find(|(made, _)| *made == made_as).map_or("", |(_, text)| text)
}

/// Keys that a column of a kind can't do without, beside `as` and `from`.
pub(super) const NEEDED: [(&str, &[&str]); 9] = [
    ("numeric", &["scale"]),
    ("money", &["currency", "digits"]),
    ("concat", &["separator", "blank"]),
    ("split", &["separator", "part"]),
    ("enum", &["values"]),
    ("lookup", &["in"]),
    ("flags", &["values"]),
    ("const", &["value"]),
    ("ref", &["to"]),
];

fn needing(mut object: Map<String, Value>, keys: &[&str]) -> Value {
    object.insert("required".into(), json!(keys));
    Value::Object(object)
}

/// A table with these keys and no others.
fn object(of: &str, asked: &Asked) -> Map<String, Value> {
    let mut properties = Map::new();
    for (key, shape) in asked {
        let mut value = special(of, key).unwrap_or_else(|| of_shape(shape));
        if let (Value::Object(value), Some(text)) = (&mut value, words::text(of, key)) {
            value.insert("description".into(), text.into());
        }
        properties.insert((*key).into(), value);
    }
    let mut object = Map::new();
    object.insert("type".into(), "object".into());
    object.insert("properties".into(), Value::Object(properties));
    object.insert("additionalProperties".into(), false.into());
    object
}

/// Keys whose values have a form of their own.
fn special(of: &str, key: &str) -> Option<Value> {
    let list = |name: &str| json!({ "type": "array", "items": { "$ref": format!("#/definitions/{name}") } });
    let table = |name: &str| {
        let reference = format!("#/definitions/{name}");
        json!({ "type": "object", "additionalProperties": { "$ref": reference } })
    };
    let texts = || json!({ "type": "object", "additionalProperties": { "type": "string" } });
    Some(match (of, key) {
        ("file", "entity") => list("entity"),
        ("file", "ignore") => list("ignore"),
        ("file", "sequence") => list("sequence"),
        ("sequence", "above") => json!({ "type": "integer", "minimum": 0 }),
        ("sequence", "step") => json!({ "type": "integer", "minimum": 1 }),
        ("file", "lookup") => {
            let mut lookup = texts();
            if let Value::Object(lookup) = &mut lookup {
                lookup.insert("minProperties".into(), 1.into());
            }
            json!({ "type": "object", "additionalProperties": lookup })
        }
        ("entity", "columns") => table("column"),
        ("entity", "unique") => list("unique"),
        ("entity", "accept") => json!({ "$ref": "#/definitions/accept" }),
        ("entity", "leave_out") => table("reasons"),
        ("entity", "where") => table("condition"),
        ("flags", "values" | "ignore") => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[1-9][0-9]*$" },
            "additionalProperties": { "type": "string", "minLength": 1 },
        }),
        ("enum", "values") => texts(),
        // Type names have dots: without quotes they are tables in tables.
        ("type", "values") => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "object"] } })
        }
        ("money", "currency") => json!({ "type": "string", "pattern": "^[A-Z]{3}$" }),
        ("split", "part") => json!({ "type": "integer", "minimum": 1, "maximum": 255 }),
        ("split", "separator") => json!({ "type": "string", "minLength": 1 }),
        (made_as, "lob") if made_as != "file" => {
            json!({ "type": "string", "pattern": "^(inline|object-store|skip:\\s*\\S.*)$" })
        }
        (made_as, "compare") if made_as != "file" => {
            json!({ "type": "string", "pattern": "^(exact|skip:\\s*\\S.*)$" })
        }
        _ => return None,
    })
}

fn of_shape(shape: &Shape) -> Value {
    match shape {
        Shape::Any => json!({}),
        Shape::Text => json!({ "type": "string" }),
        Shape::Texts => json!({
            "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Number(max) => json!({ "type": "integer", "minimum": 0, "maximum": max }),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::Literal => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Literals => values(),
        Shape::Table => json!({ "type": "object" }),
        Shape::TableOf(words) => {
            json!({ "type": "object", "additionalProperties": { "enum": words } })
        }
    }
}

/// A literal, or a list of some.
fn values() -> Value {
    let literal = ["string", "number", "boolean"];
    json!({
        "oneOf": [
            { "type": literal },
            { "type": "array", "items": { "type": literal }, "minItems": 1 },
        ],
    })
}
