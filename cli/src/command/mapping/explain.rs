//! `ficus mapping explain`: one legacy row, column by column, and what the target has of it.
//!
//! Reads only: no id is minted, nothing is registered. What is not configured is skipped, and
//! says so.

mod json;
mod rows;
mod target_side;
mod text;

use std::sync::Arc;

use mapping::{
    key::CanonicalKey,
    plan::{
        Context, EntityPlan, Outcome, Plan, SourceChange, SourceOp, TablePlan, explain::Explained,
    },
    position::Position,
};

use self::{
    rows::{LegacyRows, Row},
    target_side::{Known, TargetSide},
};
use crate::{
    args::ExplainArgs,
    exit::{Exit, usage},
    out, parts,
    settings::Settings,
};

/// What is explained.
struct Wanted<'p> {
    entity: &'p EntityPlan,
    /// `None` when the row itself has to say it.
    key: Option<CanonicalKey>,
}

/// One part's share of the explanation.
struct PartReport<'p> {
    table: &'p TablePlan,
    /// `None` when the legacy side has no such row.
    explained: Option<Explained>,
}

/// Everything that is printed.
struct Report<'p> {
    plan: &'p Plan,
    entity: &'p EntityPlan,
    key: Option<CanonicalKey>,
    /// The parts; or why the legacy side was not asked.
    parts: Result<Vec<PartReport<'p>>, String>,
    target: Known,
}

/// Explains a row.
pub(crate) async fn run(args: &ExplainArgs, settings: &Settings) -> anyhow::Result<Exit> {
    if args.offline && settings.text("legacy.catalog").is_none() {
        return Err(usage("--offline needs `legacy.catalog`: a file of `ficus catalog save`"));
    }
    let plan = parts::plan(settings).await?;
    let target = TargetSide::open(settings, args.offline, &plan).await;
    let Some(wanted) = wanted(args, &plan, &target).await? else { return Ok(Exit::Different) };
    let rows = rows::read(args, settings, &plan, &wanted, &target).await?;
    let mut report = explain(&plan, &wanted, rows)?;
    let failure = target.fill(&mut report).await.err();
    if args.json {
        out::line(format!("{:#}", json::report(&report)));
    } else {
        out::line(text::report(&report).trim_end());
    }
    match failure {
        Some(failure) => Err(failure),
        None => Ok(exit(&report)),
    }
}

/// Which entity and key: as typed, or as Postgres knows them. `None` when it knows none.
async fn wanted<'p>(
    args: &ExplainArgs,
    plan: &'p Arc<Plan>,
    target: &TargetSide,
) -> anyhow::Result<Option<Wanted<'p>>> {
    let named = args.entity.as_deref().map(|name| entity(plan, name)).transpose()?;
    if let Some(id) = args.id {
        let look = target.needed("--id is looked up in Postgres")?;
        let Some((name, key)) = look.key_of(id).await? else {
            out::note(format!(
                "no legacy key has the id {id}: its row was made by the API, or is another database's"
            ));
            return Ok(None);
        };
        let entity = entity(plan, &name)?;
        if let Some(named) = named.filter(|named| named.name != entity.name) {
            return Err(usage(format!("{id} is an id of {}, not of {}", entity.name, named.name)));
        }
        return Ok(Some(Wanted { entity, key: Some(key) }));
    }
    let Some(entity) = named else { return Err(usage("name the entity, such as contracts")) };
    let key = match &args.key {
        Some(text) => Some(key(plan, entity, text)?),
        None => None,
    };
    Ok(Some(Wanted { entity, key }))
}

fn entity<'p>(plan: &'p Plan, name: &str) -> anyhow::Result<&'p EntityPlan> {
    plan.entity(name).ok_or_else(|| {
        let near = match plan.nearest_entity(name) {
            Some(near) => format!("did you mean {near}?"),
            None => {
                let names: Vec<&str> = plan.entities.iter().map(|e| e.name.as_str()).collect();
                format!("there are {}", names.join(", "))
            }
        };
        usage(format!("the mapping has no entity `{name}`; {near}"))
    })
}

fn key(plan: &Plan, entity: &EntityPlan, text: &str) -> anyhow::Result<CanonicalKey> {
    let root = entity.parts.first().and_then(|part| table(plan, part.table));
    let root = root.ok_or_else(|| usage(format!("{} comes from no table", entity.name)))?;
    root.parse_key(text).map_err(|error| usage(format!("--key: {error}; {}", error.hint())))
}

fn table(plan: &Plan, id: mapping::plan::TableId) -> Option<&TablePlan> {
    plan.tables.get(usize::from(id.0))
}

/// Explains each part's row.
fn explain<'p>(
    plan: &'p Plan,
    wanted: &Wanted<'p>,
    rows: LegacyRows<'p>,
) -> anyhow::Result<Report<'p>> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seen_at_us = i64::try_from(now.unwrap_or_default().as_micros()).unwrap_or(i64::MAX);
    let (rows, object_types) = match rows {
        LegacyRows::Read { rows, object_types } => (Ok(rows), object_types),
        LegacyRows::Skipped(why) => (Err(why), mapping::plan::ObjectTypes::new()),
    };
    let context = Context { object_types: &object_types, seen_at_us };
    let one = |Row { table, values }: Row<'p>| {
        let explained = values.map(|values| {
            let op = SourceOp::Upsert;
            let change =
                SourceChange { op, values: &values, position: Position::ZERO, sequence: 0 };
            plan.explain(table, &change, &context)
        });
        PartReport { table, explained }
    };
    let parts = rows.map(|rows| rows.into_iter().map(one).collect::<Vec<PartReport<'_>>>());
    let explained = parts.iter().flatten().filter_map(|part| part.explained.as_ref());
    let key = wanted.key.clone().or_else(|| explained.clone().find_map(|e| e.key.clone()));
    Ok(Report { plan, entity: wanted.entity, key, parts, target: Known::default() })
}

/// 1 when the row is rejected, missing, or another than the target's.
fn exit(report: &Report<'_>) -> Exit {
    let parts = report.parts.as_deref().unwrap_or_default();
    let refused = |part: &PartReport<'_>| {
        let outcome = part.explained.as_ref().map(|explained| &explained.outcome);
        matches!(outcome, None | Some(Outcome::Rejected(_)))
    };
    let differs = !report.target.differences.is_empty();
    if parts.iter().any(refused) || differs { Exit::Different } else { Exit::Success }
}
