//! One column of an entity: `name = { from = "…", as = "…", … }`.

use toml::de::{DeTable, DeValue};

use super::{
    Literal, Lob, Mistakes, Said, closest, compose, flags, lob,
    lookup::{self, LookedUp},
    options::{Level, Options, entries, place},
    time,
    words::MADE_AS,
};
use crate::{
    convert::{Concat, EnumValues, Make, NumberRule, TypeValues},
    decimal::Round,
    plan::{DeletedParents, OrphanPolicy},
};

/// What a column's line says.
#[derive(Debug)]
pub(crate) struct ColumnSaid {
    /// The target column.
    pub(crate) name: Said<String>,
    /// The word after `as`, for messages.
    pub(crate) made_as: Said<String>,
    pub(crate) from: Vec<Said<String>>,
    pub(crate) kind: Kind,
    /// What NULL becomes.
    pub(crate) default: Option<Said<Literal>>,
    pub(crate) not_null: bool,
    pub(crate) sensitive: bool,
    /// The reason of `compare = "skip: …"`.
    pub(crate) skip: Option<String>,
    pub(crate) lob: Lob,
    /// Whether the row is read again where a change does not carry the column.
    pub(crate) reselect: bool,
}

/// How it is made, as far as a file alone can say.
#[derive(Debug)]
pub(crate) enum Kind {
    Make(Make),
    /// With the places of its columns to be filled in.
    Concat(Concat),
    Lookup(LookedUp),
    XpoFile,
    Const(Said<Literal>),
    Ref(RefSaid),
}

/// A reference to another entity.
#[derive(Debug)]
pub(crate) struct RefSaid {
    pub(crate) to: Said<String>,
    pub(crate) orphans: OrphanPolicy,
    pub(crate) deleted: Option<Said<DeletedParents>>,
    pub(crate) empty_is_null: bool,
}

/// Reads a column; what it is made from when it is not even clear how.
pub(super) fn read(
    name: Said<String>,
    table: &DeTable<'_>,
    m: &mut Mistakes<'_>,
) -> Result<ColumnSaid, Vec<Said<String>>> {
    let mut options = Options::new(Level::Column, table, name.at, format!("column `{name}`"));
    let from = options.texts("from", m).unwrap_or_default();
    let Some(made_as) = options.text("as", m) else {
        m.add(
            name.at,
            format!("column `{name}` does not say what it is made as"),
            "write as = \"text\", for instance",
        );
        return Err(from);
    };
    let made: Vec<&str> = MADE_AS.iter().map(|(made, _)| *made).collect();
    if !made.contains(&made_as.value.as_str()) {
        let help = match closest(&made_as.value, made.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", made.join(", ")),
        };
        m.add(made_as.at, format!("nothing is made as `{made_as}`"), help);
        return Err(from);
    }
    options.is(format!("column `{name}` (as {made_as})"));
    let default = options.literal("default", m);
    let not_null = options.flag("not_null", m);
    let sensitive = options.flag("sensitive", m);
    let skip = skip(&mut options, m);
    let lob = lob::read(&mut options, m);
    let reselect = options.choice("unchanged", &UNCHANGED, m).unwrap_or(false);
    let null = match made_as.value.as_str() {
        "enum" => options.literal("null", m),
        _ => None,
    };
    if let (Some(_), Some(null)) = (&default, &null) {
        m.add(null.at, "`null` and `default` say the same thing", "keep one of them");
    }
    let kind = kind(&made_as.value, &mut options, m);
    options.finish(m);
    let Some(kind) = kind else { return Err(from) };
    Ok(ColumnSaid {
        name,
        made_as,
        from,
        kind,
        default: null.or(default),
        not_null,
        sensitive,
        skip,
        lob,
        reselect,
    })
}

/// What is done about a large value that a change does not carry.
const UNCHANGED: [(&str, bool); 2] = [("keep", false), ("reselect", true)];

fn skip(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Option<String> {
    let said = options.text("compare", m)?;
    if said.value == "exact" {
        return None;
    }
    let reason =
        said.value.strip_prefix("skip:").map(str::trim).filter(|reason| !reason.is_empty());
    if reason.is_none() {
        m.add(said.at, "`compare` gives no reason", "write compare = \"skip: why\", or \"exact\"");
    }
    reason.map(str::to_owned)
}

fn kind(made_as: &str, options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Option<Kind> {
    Some(Kind::Make(match made_as {
        "bool" => Make::Bool,
        "int2" => Make::Int2,
        "int4" => Make::Int4,
        "int8" => Make::Int8,
        "float8" => Make::Float8 { single: false },
        "numeric" => {
            let scale = wanted(options, "scale", 38, m)?;
            let precision = options.number("precision", 38, m);
            Make::Numeric(NumberRule { scale, precision, round: round(options, m), single: false })
        }
        "money" => {
            let digits = wanted(options, "digits", 9, m)?;
            currency(options, m);
            let round = round(options, m);
            Make::Money(NumberRule { scale: digits, precision: None, round, single: false })
        }
        "text" => Make::Text(compose::text(options, m)),
        "concat" => return Some(Kind::Concat(compose::concat(options, m))),
        "split" => Make::Split(Box::new(compose::split(options, m))),
        "bytea" => Make::Bytea,
        "uuid" => Make::Uuid,
        "color" => Make::Color,
        "seconds" => Make::Seconds,
        "date" | "time" | "timestamp" | "timestamptz" => time::make(made_as, options, m),
        "enum" => Make::Enum(enum_values(options, m)),
        "lookup" => return lookup::column(options, m).map(Kind::Lookup),
        "flags" => Make::Flags(Box::new(flags::flags(options, m))),
        "type" => Make::Type(type_values(options, m)),
        "xpo-file" => return Some(Kind::XpoFile),
        "const" => return constant(options, m),
        _ => return reference(options, m),
    }))
}

/// A number that has to be said. On a mistake the column is still made, with 0.
fn wanted(
    options: &mut Options<'_, '_>,
    key: &'static str,
    max: u8,
    m: &mut Mistakes<'_>,
) -> Option<u8> {
    let number = options.number(key, max, m);
    if !options.has(key) {
        m.add(
            options.at,
            format!("the column does not say its `{key}`"),
            format!("write {key} = 2, for instance"),
        );
    }
    Some(number.unwrap_or(0))
}

fn round(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Round {
    let choices =
        [("never", Round::Never), ("half-even", Round::HalfEven), ("half-up", Round::HalfUp)];
    options.choice("round", &choices, m).unwrap_or(Round::Never)
}

/// The currency is the reader's: the column holds minor units of it, and only of it.
fn currency(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) {
    match options.text("currency", m) {
        Some(said)
            if said.value.len() == 3 && said.value.bytes().all(|b| b.is_ascii_uppercase()) => {}
        Some(said) => m.add(
            said.at,
            format!("`{said}` is no currency code"),
            "write currency = \"MNT\", for instance",
        ),
        None => {
            m.add(
                options.at,
                "the money has no currency",
                "write currency = \"MNT\", for instance",
            );
        }
    }
}

fn enum_values(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> EnumValues {
    let mut values = EnumValues::default();
    for (key, name) in names(options, m) {
        match key.value.parse::<i64>() {
            Ok(number) => values.numbers.push((number, name.clone())),
            Err(_) => values.texts.push((key.value.into(), name.clone())),
        }
    }
    values.unknown = options.text("unknown", m).map(|said| said.value.into());
    if values.numbers.is_empty() && values.texts.is_empty() {
        m.add(
            options.at,
            "the enum has no values",
            "write values = { 0 = \"draft\", 1 = \"active\" }",
        );
    }
    values
}

fn type_values(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> TypeValues {
    TypeValues(names(options, m).into_iter().map(|(key, name)| (key.value.into(), name)).collect())
}

/// `values = { … = "name" }`.
fn names(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Vec<(Said<String>, Box<str>)> {
    let file = options.at.file;
    let mut found = Vec::new();
    for (key, value) in options.entries("values", m) {
        match value.get_ref() {
            DeValue::String(name) => found.push((key, (&**name).into())),
            // `Spacehub.Module.Space = "space"` without quotes is a table in a table.
            DeValue::Table(table) => nested(&key, table, &mut found),
            _ => m.add(
                place(file, value),
                format!("the name of `{key}` is no text"),
                "write it in quotes",
            ),
        }
    }
    found
}

fn nested(prefix: &Said<String>, table: &DeTable<'_>, found: &mut Vec<(Said<String>, Box<str>)>) {
    for (key, value) in entries(table, prefix.at.file) {
        let key = Said::new(format!("{}.{}", prefix.value, key.value), key.at);
        match value.get_ref() {
            DeValue::Table(table) => nested(&key, table, found),
            DeValue::String(name) => found.push((key, (&**name).into())),
            _ => {}
        }
    }
}

fn constant(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Option<Kind> {
    let value = options.literal("value", m);
    if value.is_none() {
        m.add(options.at, "the constant has no value", "write value = \"legacy\", for instance");
    }
    value.map(Kind::Const)
}

fn reference(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Option<Kind> {
    let orphans = options.choice("orphans", &ORPHANS, m).unwrap_or(OrphanPolicy::Refuse);
    let at = options.get("deleted").map(|said| place(options.at.file, said));
    let deleted = options.choice("deleted", &DELETED_PARENTS, m);
    let empty_is_null = compose::empty(options, m);
    let Some(to) = options.text("to", m) else {
        m.add(
            options.at,
            "the reference points to nothing",
            "write to = \"tenants\", for instance",
        );
        return None;
    };
    let deleted = at.zip(deleted).map(|(at, deleted)| Said::new(deleted, at));
    Some(Kind::Ref(RefSaid { to, orphans, deleted, empty_is_null }))
}

const ORPHANS: [(&str, OrphanPolicy); 3] = [
    ("refuse", OrphanPolicy::Refuse),
    ("null", OrphanPolicy::Null),
    ("allow", OrphanPolicy::Allow),
];

const DELETED_PARENTS: [(&str, DeletedParents); 3] = [
    ("allow", DeletedParents::Allow),
    ("null", DeletedParents::Null),
    ("refuse", DeletedParents::Refuse),
];
