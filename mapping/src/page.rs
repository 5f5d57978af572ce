//! docs/mapping.md can't rot: every example is compiled, and every word of the language has one.

use std::collections::BTreeSet;

use serde_json::Value;
use toml::{Table, Value as Toml};

use crate::{
    catalog::Catalog,
    file::{MappingFile, check, json_schema, words},
    fixture,
    plan::Plan,
};

const PAGE: &str = include_str!("../../docs/mapping.md");

/// The page's blocks of one kind, each with the number of its first line.
fn blocks(kind: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, &str, String)> = None;
    for (number, line) in PAGE.lines().enumerate() {
        match (open.take(), line.strip_prefix("```")) {
            (None, Some(kind)) => open = Some((number + 2, kind, String::new())),
            (Some((at, is, text)), Some(_)) => found.extend((is == kind).then_some((at, text))),
            (Some((at, is, text)), None) => open = Some((at, is, text + line + "\n")),
            (None, None) => {}
        }
    }
    found
}

fn catalog() -> Catalog {
    let tables = blocks("text");
    assert_eq!(tables.len(), 1, "the tables of the examples");
    let mut tables: Vec<_> = tables[0].1.lines().map(fixture::table).collect();
    tables.sort_by(|a, b| a.table.cmp(&b.table));
    Catalog { database: "Page".into(), collation: "Cyrillic_General_CI_AS".into(), tables }
}

/// An example as a whole file: lines of columns are those of the table that has all of them.
fn whole(text: &str, catalog: &Catalog) -> String {
    let columns: Table = text.parse().expect("TOML");
    let named: Vec<String> =
        columns.values().flat_map(|column| texts(column.get("from"))).collect();
    let has =
        |table: &&crate::catalog::Table| named.iter().all(|name| table.column(name).is_some());
    let table = catalog.tables.iter().find(has).unwrap_or_else(|| panic!("no table has {named:?}"));
    format!(
        "domain = \"page\"\n[[entity]]\nname = \"example\"\nfrom = \"{}\"\n[entity.columns]\n{text}",
        table.table
    )
}

fn texts(value: Option<&Toml>) -> Vec<String> {
    match value {
        Some(Toml::String(text)) => vec![text.clone()],
        Some(Toml::Array(items)) => items.iter().flat_map(|item| texts(Some(item))).collect(),
        _ => Vec::new(),
    }
}

/// Every example of the page as a whole file.
fn examples() -> Vec<(usize, String)> {
    let catalog = catalog();
    let mut all = blocks("toml");
    let columns = blocks("toml columns").into_iter();
    all.extend(columns.map(|(line, text)| (line, whole(&text, &catalog))));
    assert!(all.len() > 15, "the blocks are not found any more");
    all
}

#[test]
fn every_example_compiles() {
    let catalog = catalog();
    for (line, text) in examples() {
        let file = MappingFile { name: format!("docs/mapping.md from line {line}"), text };
        let Err(mistakes) = Plan::compile(&[file], &catalog) else { continue };
        // An example shows some columns, not all of its table.
        let real =
            mistakes.iter().filter(|mistake| !mistake.message.ends_with("is mapped nowhere"));
        let told: Vec<String> =
            real.map(|mistake| format!("{mistake} ({})", mistake.help)).collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
    }
}

#[test]
fn every_example_is_valid_for_editors() {
    let schema: Value = serde_json::from_str(&json_schema()).expect("JSON");
    for (line, text) in examples() {
        let table: Table = text.parse().expect("TOML");
        let document = serde_json::to_value(table).expect("no dates without quotes");
        assert_eq!(check::check(&schema, &document), [""; 0], "docs/mapping.md from line {line}");
    }
}

/// The keys of a table, as words of the language.
fn meet(of: &str, table: &Table, met: &mut BTreeSet<(String, String)>) {
    for (key, value) in table {
        met.insert((of.to_owned(), key.clone()));
        let inner = match (of, key.as_str()) {
            ("file", "entity") => "entity",
            ("file", "ignore") => "ignore",
            _ => "",
        };
        for item in value.as_array().into_iter().flatten().filter_map(Toml::as_table) {
            meet(inner, item, met);
        }
        let Some(inner) = value.as_table() else { continue };
        for value in inner.values().filter_map(Toml::as_table) {
            match (of, key.as_str()) {
                ("entity", "where") => meet("condition", value, met),
                ("entity", "columns") => {
                    let made_as = value.get("as").and_then(Toml::as_str).unwrap_or_default();
                    met.insert(("as".to_owned(), made_as.to_owned()));
                    meet(made_as, value, met);
                    meet("column", value, met);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn every_word_is_told_and_shown() {
    let mut met = BTreeSet::new();
    for (_, text) in examples() {
        meet("file", &text.parse().expect("TOML"), &mut met);
    }
    let shown = |of: &str, key: &str| met.contains(&(of.to_owned(), key.to_owned()));
    let told = |word: &str| {
        let forms = [
            format!("`{word}`"),
            format!("[[{word}]]"),
            format!("[{word}."),
            format!("[entity.{word}]"),
            format!("{word} = "),
        ];
        forms.iter().any(|form| PAGE.contains(form))
    };
    for word in words::WORDS {
        assert!(shown(word.of, word.key), "no example shows `{}` of {}", word.key, word.of);
        assert!(told(word.key), "the page does not tell of `{}`", word.key);
    }
    for (made_as, _) in words::MADE_AS {
        assert!(shown("as", made_as), "no example shows as = \"{made_as}\"");
        assert!(PAGE.contains(&format!("`{made_as}`")), "the page does not tell of `{made_as}`");
    }
}

#[test]
fn every_choice_is_told() {
    let schema: Value = serde_json::from_str(&json_schema()).expect("JSON");
    let mut choices = BTreeSet::new();
    collect(&schema, &mut choices);
    assert!(choices.len() > 15, "the choices are not found any more");
    for choice in choices {
        let told = PAGE.contains(&format!("`{choice}`"));
        assert!(told, "the page does not tell of `{choice}`");
    }
}

fn collect(schema: &Value, choices: &mut BTreeSet<String>) {
    match schema {
        Value::Object(rules) => {
            for (rule, says) in rules.iter().filter(|(rule, _)| *rule != "not") {
                match says {
                    Value::Array(words) if rule == "enum" => {
                        choices.extend(words.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    says => collect(says, choices),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, choices)),
        _ => {}
    }
}
