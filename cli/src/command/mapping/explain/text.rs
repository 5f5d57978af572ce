//! The explanation for people.

use std::fmt::Write;

use mapping::{
    key::CanonicalKey,
    plan::{
        EntityId, LeftOut, Outcome, PgType,
        explain::{Explained, ExplainedColumn, Made},
    },
};

use super::{PartReport, Report};

/// The whole text.
pub(super) fn report(report: &Report<'_>) -> String {
    let mut text = String::new();
    head(report, &mut text);
    match &report.parts {
        Ok(parts) => parts.iter().for_each(|part| self::part(report, part, &mut text)),
        Err(why) => add(&mut text, 0, format!("legacy row: skipped: {why}")),
    }
    target(report, &mut text);
    text
}

fn add(text: &mut String, indent: usize, line: impl AsRef<str>) {
    let written = writeln!(text, "{:indent$}{}", "", line.as_ref());
    debug_assert!(written.is_ok(), "a String takes everything");
}

fn head(report: &Report<'_>, text: &mut String) {
    let entity = report.entity;
    let Some(key) = &report.key else {
        return add(text, 0, format!("{}: a row without a key", entity.name));
    };
    add(text, 0, format!("{} {}", entity.name, key.to_text()));
    add(text, 2, format!("id: {}", id(report, entity.id, key)));
}

/// The id of a key, as far as it is known.
fn id(report: &Report<'_>, entity: EntityId, key: &CanonicalKey) -> String {
    match (report.target.ids.get(&(entity, key.clone())), &report.target.skipped) {
        (Some(id), _) => id.to_string(),
        (None, Some(why)) => format!("skipped: {why}"),
        (None, None) => "not minted yet".to_owned(),
    }
}

fn part(report: &Report<'_>, part: &PartReport<'_>, text: &mut String) {
    add(text, 0, "");
    add(text, 0, format!("from {}", part.table.table));
    let Some(explained) = &part.explained else {
        return add(text, 2, "there is no row with this key");
    };
    for note in &explained.notes {
        add(text, 2, note);
    }
    add(text, 2, outcome(explained));
    if let Outcome::Mapped(id) = &explained.outcome
        && *id != report.entity.id
    {
        return elsewhere(report, *id, text);
    }
    for column in &explained.columns {
        self::column(report, explained, column, text);
    }
    let ours = |left: &&LeftOut| left.entity == report.entity.name;
    for left in part.table.left_out().iter().filter(ours) {
        add(text, 2, format!("left out: {}: {}", left.column, left.reason));
    }
}

/// Tells what to ask instead: the row is another entity's.
fn elsewhere(report: &Report<'_>, entity: EntityId, text: &mut String) {
    let Some(other) = report.plan.entities.get(usize::from(entity.0)) else { return };
    let key = report.key.as_ref().map(CanonicalKey::to_text).unwrap_or_default();
    add(text, 2, format!("it is a row of {}, and not of {}", other.name, report.entity.name));
    add(text, 2, format!("see: ficus mapping explain {} --key '{key}'", other.name));
}

fn outcome(explained: &Explained) -> String {
    match &explained.outcome {
        Outcome::Mapped(_) => "mapped".to_owned(),
        Outcome::Ignored(rule) => format!("left out by the rule {rule}"),
        Outcome::Rejected(rejection) => {
            format!("rejected by the rule {}: {}", rejection.rule, rejection.detail)
        }
    }
}

fn column(report: &Report<'_>, explained: &Explained, column: &ExplainedColumn, text: &mut String) {
    let entity = explained.part.and_then(|(id, _)| report.plan.entities.get(usize::from(id.0)));
    let Some(target) = entity.and_then(|entity| entity.columns.get(column.column)) else { return };
    add(text, 2, format!("{} {}", target.name, type_name(target.pg_type)));
    for source in &column.sources {
        add(text, 4, format!("{} {} = {}", source.column, source.sql_type, source.value));
    }
    for step in &column.steps {
        add(text, 4, format!("- {step}"));
    }
    let made = match &column.made {
        Made::Id { entity, key } => {
            format!("{} → {}", column.shown(target.pg_type), id(report, *entity, key))
        }
        Made::Rejected { column, rule, problem } => {
            let named = if column.is_empty() { String::new() } else { format!("`{column}` ") };
            return add(text, 4, format!("! {rule}: {named}{problem}"));
        }
        Made::Field(_) | Made::Unchanged => column.shown(target.pg_type).to_string(),
    };
    add(text, 4, format!("= {made}"));
}

/// The type as Postgres writes it.
pub(super) fn type_name(pg_type: PgType) -> String {
    match pg_type {
        PgType::Bool => "boolean".to_owned(),
        PgType::Int2 => "smallint".to_owned(),
        PgType::Int4 => "integer".to_owned(),
        PgType::Int8 => "bigint".to_owned(),
        PgType::Float8 => "double precision".to_owned(),
        PgType::Numeric { scale } => format!("numeric, {scale} digits after the point"),
        PgType::Text => "text".to_owned(),
        PgType::TextArray => "text[]".to_owned(),
        PgType::Bytea => "bytea".to_owned(),
        PgType::Uuid => "uuid".to_owned(),
        PgType::Date => "date".to_owned(),
        PgType::Time => "time".to_owned(),
        PgType::Timestamp => "timestamp".to_owned(),
        PgType::Timestamptz => "timestamptz".to_owned(),
    }
}

fn target(report: &Report<'_>, text: &mut String) {
    let (entity, known) = (report.entity, &report.target);
    add(text, 0, "");
    let name = format!("target {}.{}", entity.target_schema, entity.target_table);
    if let Some(why) = &known.skipped {
        return add(text, 0, format!("{name}: skipped: {why}"));
    }
    add(text, 0, name);
    if let Some(state) = &known.aside.domain_state {
        let owner = if state == "cut_over" { ": Postgres owns the row now" } else { "" };
        add(text, 2, format!("domain {}: {state}{owner}", entity.domain));
    }
    match known.row {
        None => add(text, 2, "there is no row"),
        Some(position) => {
            let position =
                position.map_or("none (the engine did not write it)".to_owned(), |p| p.to_string());
            add(text, 2, format!("source position: {position}"));
            agreement(report, text);
        }
    }
    for difference in &known.differences {
        let (column, legacy, target) = (&difference.column, &difference.legacy, &difference.target);
        add(text, 4, format!("{column}: {target}, and the mapping makes {legacy}"));
    }
    if let Some(position) = known.aside.tombstone {
        add(text, 2, format!("deleted at {position}"));
    }
    for (number, position, state) in known.aside.parts.iter().filter(|_| entity.parts.len() > 1) {
        let part = usize::try_from(*number).ok().and_then(|number| entity.parts.get(number));
        let table = part.and_then(|part| super::table(report.plan, part.table));
        let table = table.map_or(String::new(), |table| table.table.to_string());
        add(text, 2, format!("part {table}: {state} at {position}"));
    }
    for position in &known.aside.parked {
        add(text, 2, format!("a change at {position} waits for its row"));
    }
    for entry in &known.aside.quarantine {
        let (id, state, rule, detail) = (entry.id, &entry.state, &entry.rule, &entry.detail);
        add(
            text,
            2,
            format!("quarantine entry {id} ({state}) at {}: {rule}: {detail}", entry.position),
        );
    }
}

fn agreement(report: &Report<'_>, text: &mut String) {
    let explained =
        report.parts.iter().flatten().any(|part| {
            part.explained.as_ref().is_some_and(|explained| !explained.columns.is_empty())
        });
    match report.target.differences.len() {
        0 if !explained => {}
        0 => add(text, 2, "as the mapping makes it"),
        count => add(text, 2, format!("differs in {count} columns (or a change is on its way):")),
    }
}
