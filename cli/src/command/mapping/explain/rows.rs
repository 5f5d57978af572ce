//! Where the legacy row comes from: the server, a file, or nowhere.

use std::io::Read;

use anyhow::Context;
use cdc_consumer::decode::{Decoder, Message, Op, RowCodec, RowFault};
use mapping::{
    plan::{EntityPlan, ObjectTypes, Plan, TablePlan},
    value::LegacyValue,
};
use serde_json::{Map, Value};

use super::{Wanted, table, target_side::TargetSide};
use crate::{args::ExplainArgs, exit::usage, out, parts, settings::Settings};

/// A part's row.
pub(super) struct Row<'p> {
    pub(super) table: &'p TablePlan,
    /// `None` when it is not there.
    pub(super) values: Option<Vec<LegacyValue<'static>>>,
}

/// The rows of an entity's parts.
pub(super) enum LegacyRows<'p> {
    /// As they were read.
    Read {
        /// By part; of a file, only the part that it is of.
        rows: Vec<Row<'p>>,
        /// The type names of the database that they are of.
        object_types: ObjectTypes,
    },
    /// Nobody was asked, and why.
    Skipped(String),
}

pub(super) async fn read<'p>(
    args: &ExplainArgs,
    settings: &Settings,
    plan: &'p Plan,
    wanted: &Wanted<'p>,
    target: &TargetSide,
) -> anyhow::Result<LegacyRows<'p>> {
    if let Some(path) = &args.row {
        let text = match path.to_str() {
            Some("-") => {
                let mut text = Vec::new();
                std::io::stdin()
                    .lock()
                    .read_to_end(&mut text)
                    .context("can't read standard input")?;
                text
            }
            _ => std::fs::read(path)
                .map_err(|error| usage(format!("--row: can't read {}: {error}", path.display())))?,
        };
        let row = of_file(settings, plan, wanted.entity, &text)?;
        let object_types = object_types(args, settings, target).await?;
        return Ok(LegacyRows::Read { rows: vec![row], object_types });
    }
    let why = if args.offline {
        "--offline"
    } else if settings.text("legacy.url").is_none() {
        "legacy.url is not set"
    } else {
        return of_server(settings, plan, wanted).await;
    };
    if args.id.is_some() {
        return Ok(LegacyRows::Skipped(why.to_owned()));
    }
    Err(usage(format!("--key is read from the legacy server ({why}); give the row with --row")))
}

async fn of_server<'p>(
    settings: &Settings,
    plan: &'p Plan,
    wanted: &Wanted<'p>,
) -> anyhow::Result<LegacyRows<'p>> {
    let mut session = legacy::Session::connect(&parts::legacy(settings)?).await?;
    let object_types = session.object_types().await?;
    let mut rows = Vec::new();
    for part in &wanted.entity.parts {
        let Some(table) = table(plan, part.table) else { continue };
        let read = session.read_keys(table, wanted.key.as_slice()).await?;
        rows.push(Row { table, values: read.into_iter().next() });
    }
    Ok(LegacyRows::Read { rows, object_types })
}

/// The numbers of the types: the server's, else those that Postgres has learnt.
async fn object_types(
    args: &ExplainArgs,
    settings: &Settings,
    target: &TargetSide,
) -> anyhow::Result<ObjectTypes> {
    if !args.offline && settings.text("legacy.url").is_some() {
        let mut session = legacy::Session::connect(&parts::legacy(settings)?).await?;
        return Ok(session.object_types().await?);
    }
    match target.there() {
        Some(look) => Ok(look.object_types().await?),
        None => Ok(ObjectTypes::new()),
    }
}

/// A change event as Debezium writes it, or an object of columns.
fn of_file<'p>(
    settings: &Settings,
    plan: &'p Plan,
    entity: &'p EntityPlan,
    text: &[u8],
) -> anyhow::Result<Row<'p>> {
    if let Ok(Message::Data(event)) = Decoder::default().decode("", Some(text)) {
        let source = &event.source;
        let of = |table: &&TablePlan| {
            table.table.schema.eq_ignore_ascii_case(&source.schema)
                && table.table.name.eq_ignore_ascii_case(&source.table)
        };
        let table = tables(plan, entity).find(of).ok_or_else(|| {
            usage(format!(
                "--row: the event is of {}.{}, and {} comes from {}",
                source.schema,
                source.table,
                entity.name,
                names(plan, entity)
            ))
        })?;
        if event.op == Op::Delete {
            out::note("the event is a delete: this is the row as it was");
        }
        let image = event.image().ok_or_else(|| usage("--row: the event carries no row"))?;
        let modes = crate::command::consumer_modes(settings)?;
        let left_out = table.left_out().iter().map(|left| left.column.clone()).collect();
        let schema = event.schema.as_deref();
        let mut codec = RowCodec::new(&table.columns, left_out, schema, &modes);
        let mut values = Vec::new();
        codec
            .read(image, event.after_image(false), &mut values)
            .map_err(|fault| usage(format!("--row: {}", fault_text(&fault))))?;
        let values = values.into_iter().map(LegacyValue::into_owned).collect();
        return Ok(Row { table, values: Some(values) });
    }
    // The parser's own message may quote the row.
    let object: Map<String, Value> = serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        usage(format!(
            "--row: neither a change event nor a JSON object (line {line}, column {column})"
        ))
    })?;
    of_object(plan, entity, &object)
}

fn fault_text(fault: &RowFault) -> String {
    match fault {
        RowFault::Malformed(_) => "the event's row is no JSON object".to_owned(),
        RowFault::Value { column, fault } => format!("`{column}` {}", fault.detail),
        RowFault::Missing { column } => format!("the event does not carry `{column}`"),
    }
}

fn tables<'p>(plan: &'p Plan, entity: &'p EntityPlan) -> impl Iterator<Item = &'p TablePlan> {
    entity.parts.iter().filter_map(|part| table(plan, part.table))
}

fn names(plan: &Plan, entity: &EntityPlan) -> String {
    let names = tables(plan, entity).map(|table| table.table.to_string());
    names.collect::<Vec<_>>().join(" and ")
}

/// `{"Column": "text", …}`; a column that is read and not given is NULL.
fn of_object<'p>(
    plan: &'p Plan,
    entity: &'p EntityPlan,
    object: &Map<String, Value>,
) -> anyhow::Result<Row<'p>> {
    let given = |table: &TablePlan| {
        let known = |name: &String| is_known(table, name);
        object.keys().filter(|name| known(name)).count()
    };
    // The part that most of the columns are of.
    let mut best: Option<(&TablePlan, usize)> = None;
    for table in tables(plan, entity) {
        let count = given(table);
        if best.is_none_or(|(_, most)| count > most) {
            best = Some((table, count));
        }
    }
    let Some((table, _)) = best else {
        return Err(usage(format!("{} comes from no table", entity.name)));
    };
    if let Some(unknown) = object.keys().find(|name| !is_known(table, name)) {
        return Err(usage(format!(
            "--row: {} has no column `{unknown}` that is mapped",
            table.table
        )));
    }
    let mut values = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let found = object.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name));
        let text = match found.map(|(_, value)| value) {
            None | Some(Value::Null) => {
                values.push(LegacyValue::Null);
                continue;
            }
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let value = LegacyValue::from_text(&text, &column.sql_type).ok_or_else(|| {
            usage(format!(
                "--row: `{}` is {}, and is given as something else; write it as {}",
                column.name,
                column.sql_type,
                LegacyValue::text_example(&column.sql_type)
            ))
        })?;
        values.push(value.into_owned());
    }
    Ok(Row { table, values: Some(values) })
}

fn is_known(table: &TablePlan, name: &str) -> bool {
    let mut read = table.columns.iter().map(|column| column.name.as_str());
    let mut left_out = table.left_out().iter().map(|left| left.column.as_str());
    read.any(|known| known.eq_ignore_ascii_case(name))
        || left_out.any(|known| known.eq_ignore_ascii_case(name))
}
