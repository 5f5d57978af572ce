//! The mapping files, read a second time, for what their words mean and not for how it is done.
//! What has no rule here is told as not covered; nothing is guessed.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use mapping::file::MappingFile;
use toml::{Table, Value};

use super::meaning::{Meaning, Sentinels, Trim};

/// What all files say.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    entities: BTreeMap<String, EntityRules>,
}

/// What is known of an entity.
#[derive(Debug, Clone, Default)]
pub(crate) struct EntityRules {
    /// Whether every row of its tables is its own: neither a type nor a condition chooses.
    pub(crate) takes_all: bool,
    pub(crate) columns: Vec<ColumnRule>,
    /// Columns without a rule, and why.
    pub(crate) not_covered: Vec<(String, String)>,
}

/// What is known of a column.
#[derive(Debug, Clone)]
pub(crate) struct ColumnRule {
    pub(crate) target: String,
    /// Legacy columns, as the file spells them (with `Table.` before them, where it does).
    pub(crate) from: Vec<String>,
    pub(crate) meaning: Meaning,
    /// What a legacy NULL stands for, as the target would show it.
    pub(crate) null: Option<String>,
    pub(crate) sensitive: bool,
}

impl Rules {
    /// Reads the files; what is no TOML is left to the mapping's own reader to tell.
    #[must_use]
    pub fn read(files: &[MappingFile]) -> Self {
        let tables: Vec<Table> = files.iter().filter_map(|file| file.text.parse().ok()).collect();
        let mut lookups = BTreeMap::new();
        for table in &tables {
            for (name, values) in
                table.get("lookup").and_then(Value::as_table).into_iter().flatten()
            {
                lookups.insert(name.clone(), words(Some(values)));
            }
        }
        let mut rules = Self::default();
        for table in &tables {
            let entities = table.get("entity").and_then(Value::as_array);
            for entity in entities.into_iter().flatten().filter_map(Value::as_table) {
                if let Some(name) = text(entity, "name") {
                    rules.entities.insert(name.to_owned(), read_entity(entity, &lookups));
                }
            }
        }
        rules
    }

    pub(crate) fn entity(&self, name: &str) -> Option<&EntityRules> {
        self.entities.get(name)
    }
}

type Lookups = BTreeMap<String, BTreeMap<String, String>>;

fn read_entity(entity: &Table, lookups: &Lookups) -> EntityRules {
    let chooses = ["type", "where"].iter().any(|key| entity.contains_key(*key));
    let mut rules = EntityRules { takes_all: !chooses, ..EntityRules::default() };
    if let Some(version) = text(entity, "version") {
        rules.columns.push(ColumnRule {
            target: "version".to_owned(),
            from: vec![version.to_owned()],
            meaning: Meaning::Number { shift: 0 },
            null: Some("0".to_owned()),
            sensitive: false,
        });
    }
    let columns = entity.get("columns").and_then(Value::as_table);
    for (name, said) in columns.into_iter().flatten() {
        let Some(said) = said.as_table() else { continue };
        match read_column(name, said, lookups) {
            Ok(rule) => rules.columns.push(rule),
            Err(why) => rules.not_covered.push((name.clone(), why)),
        }
    }
    rules
}

fn read_column(name: &str, said: &Table, lookups: &Lookups) -> Result<ColumnRule, String> {
    if text(said, "compare").is_some_and(|compare| compare.starts_with("skip")) {
        return Err("the mapping does not compare it".to_owned());
    }
    let made_as = text(said, "as").unwrap_or_default();
    let meaning = meaning(made_as, said, lookups)?;
    let null = said.get("default").or_else(|| said.get("null")).map(literal);
    let null = null.map(|null| meaning.default_text(null));
    Ok(ColumnRule {
        target: name.to_owned(),
        from: texts(said.get("from")),
        meaning,
        null,
        sensitive: said.get("sensitive").and_then(Value::as_bool).unwrap_or(false),
    })
}

/// What `as` means; an option that no rule knows takes the column out.
fn meaning(made_as: &str, said: &Table, lookups: &Lookups) -> Result<Meaning, String> {
    let known: &[&str] = match made_as {
        "text" => &["trim", "empty", "nul", "surrogate", "lob", "unchanged"],
        "money" => &["currency", "digits"],
        "numeric" => &["scale", "precision"],
        "date" => &["time", "sentinels"],
        "timestamp" => &["precision", "sentinels"],
        "timestamptz" => &["zone", "gap", "overlap", "precision", "sentinels"],
        "enum" => &["values", "unknown"],
        "type" => &["values"],
        "lookup" => &["in", "unknown"],
        "ref" => &["to", "orphans", "deleted", "empty"],
        "const" => &["value"],
        "bytea" => &["lob", "unchanged"],
        _ => &[],
    };
    let always = ["from", "as", "default", "null", "not_null", "sensitive", "compare"];
    let is_known = |key: &str| known.contains(&key) || always.contains(&key);
    if let Some(other) = said.keys().find(|key| !is_known(key)) {
        return Err(format!("no independent rule for `{other}` of `as = \"{made_as}\"`"));
    }
    if text(said, "lob").is_some_and(|lob| lob != "inline") {
        return Err("its content is not in the row".to_owned());
    }
    let digits = said.get("digits").and_then(Value::as_integer).unwrap_or(0);
    let values = || words(said.get("values"));
    let unknown = || text(said, "unknown").map(str::to_owned);
    Ok(match made_as {
        "bool" => Meaning::Bool,
        "int2" | "int4" | "int8" | "numeric" => Meaning::Number { shift: 0 },
        "money" => Meaning::Number { shift: usize::try_from(digits).unwrap_or(0) },
        "float8" | "seconds" => Meaning::Float,
        "text" => Meaning::Text {
            trim: match text(said, "trim") {
                Some("end") => Trim::End,
                Some("both") => Trim::Both,
                _ => Trim::None,
            },
            empty_is_null: text(said, "empty") == Some("null"),
            strip_nul: text(said, "nul") == Some("strip"),
        },
        "uuid" => Meaning::Uuid,
        "bytea" => Meaning::Hex,
        "color" => Meaning::Color,
        "enum" => Meaning::Word { values: values(), unknown: unknown() },
        "type" => Meaning::Type { values: values() },
        "lookup" => {
            let values = text(said, "in").and_then(|name| lookups.get(name)).cloned();
            let values = values.ok_or("its look-up is in none of the files")?;
            Meaning::Word { values, unknown: unknown() }
        }
        "date" => Meaning::Date(sentinels(said)),
        "timestamp" => Meaning::Wall(sentinels(said)),
        "timestamptz" => match text(said, "zone").map(str::parse::<Tz>) {
            None => Meaning::Instant(sentinels(said)),
            Some(Ok(zone)) => Meaning::Zoned { zone, sentinels: sentinels(said) },
            Some(Err(_)) => return Err("its zone is not known here".to_owned()),
        },
        "const" => Meaning::Const(said.get("value").map(literal).unwrap_or_default()),
        "ref" => Meaning::Ref { empty_is_null: text(said, "empty") == Some("null") },
        other => return Err(format!("no independent rule for `as = \"{other}\"`")),
    })
}

fn text<'t>(table: &'t Table, key: &str) -> Option<&'t str> {
    table.get(key).and_then(Value::as_str)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(all)) => {
            all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn words(value: Option<&Value>) -> BTreeMap<String, String> {
    let all = value.and_then(Value::as_table).into_iter().flatten();
    all.map(|(key, value)| (key.clone(), literal(value))).collect()
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn sentinels(said: &Table) -> Sentinels {
    Sentinels(words(said.get("sentinels")))
}
