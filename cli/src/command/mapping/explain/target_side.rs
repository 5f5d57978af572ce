//! What Postgres has of the row: its id, its target row, and what is kept beside it.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use mapping::{
    key::CanonicalKey,
    plan::{
        EntityId, EntityPlan, Plan,
        explain::{ExplainedColumn, Made, Shown},
    },
    position::Position,
    row::RowKind,
};
use target::{
    Role,
    look::{Aside, FoundRow, Look},
};
use uuid::Uuid;

use super::Report;
use crate::{exit::usage, parts, settings::Settings};

/// The target, where one is set.
pub(super) enum TargetSide {
    There(Look),
    Skipped(String),
    Failed(anyhow::Error),
}

/// What the target knows of the row.
#[derive(Default)]
pub(super) struct Known {
    /// Why nobody was asked.
    pub(super) skipped: Option<String>,
    /// Ids that were minted, of the row itself and of those that it refers to.
    pub(super) ids: BTreeMap<(EntityId, CanonicalKey), Uuid>,
    /// The target row: whether there is one, and its position.
    pub(super) row: Option<Option<Position>>,
    /// The columns in which it is another than the mapping makes it.
    pub(super) differences: Vec<Difference>,
    pub(super) aside: Aside,
}

/// A column that differs.
pub(super) struct Difference {
    pub(super) column: String,
    pub(super) legacy: Shown,
    pub(super) target: Shown,
}

impl TargetSide {
    pub(super) async fn open(settings: &Settings, offline: bool, plan: &Arc<Plan>) -> Self {
        let role = if settings.text("target.reader_url").is_some()
            || settings.text("target.engine_url").is_none()
        {
            Role::Reader
        } else {
            Role::Engine
        };
        let keys = ["target.url", "target.reader_url", "target.engine_url"];
        if offline {
            return Self::Skipped("--offline".to_owned());
        }
        if keys.iter().all(|key| settings.text(key).is_none()) {
            return Self::Skipped("no target is configured (target.url)".to_owned());
        }
        let open = async {
            let login = parts::postgres(settings, role)?;
            let pool = target::connect(&target::Settings { max_connections: 1, ..login }).await?;
            anyhow::Ok(Look::open(pool, Arc::clone(plan)).await?)
        };
        match open.await.context("asking the target about the row") {
            Ok(look) => Self::There(look),
            Err(error) => Self::Failed(error),
        }
    }

    pub(super) fn there(&self) -> Option<&Look> {
        match self {
            Self::There(look) => Some(look),
            Self::Skipped(_) | Self::Failed(_) => None,
        }
    }

    /// The target, for what can't be had without it.
    pub(super) fn needed(&self, why: &str) -> anyhow::Result<&Look> {
        match self {
            Self::There(look) => Ok(look),
            Self::Skipped(reason) => Err(usage(format!("{why}: {reason}"))),
            Self::Failed(error) => Err(anyhow::anyhow!("{why}: {error:#}")),
        }
    }

    /// Asks about the row and all that it refers to. What fails is told after the rest.
    pub(super) async fn fill(self, report: &mut Report<'_>) -> anyhow::Result<()> {
        match self {
            Self::There(look) => {
                ask(&look, report).await.context("asking the target about the row")
            }
            Self::Skipped(why) => {
                report.target.skipped = Some(why);
                Ok(())
            }
            Self::Failed(error) => {
                report.target.skipped = Some("the target can't be reached".to_owned());
                Err(error)
            }
        }
    }
}

async fn ask(look: &Look, report: &mut Report<'_>) -> anyhow::Result<()> {
    let entity = report.entity;
    let own = report.key.clone().map(|key| (entity.id, key));
    let referred = columns(report).into_iter().filter_map(|(_, column)| match &column.made {
        Made::Id { entity, key } => Some((*entity, key.clone())),
        _ => None,
    });
    let wanted: Vec<(EntityId, CanonicalKey)> = own.clone().into_iter().chain(referred).collect();
    let ids = look.ids(&wanted).await?;
    let found = wanted.into_iter().zip(ids);
    report.target.ids = found.filter_map(|(key, id)| Some((key, id?))).collect();
    let Some((_, key)) = own else { return Ok(()) };
    let id = report.target.ids.get(&(entity.id, key.clone())).copied();
    let parts = entity.parts.iter().filter_map(|part| super::table(report.plan, part.table));
    let tables: Vec<String> = parts.map(|table| table.table.to_string()).collect();
    report.target.aside = look.aside(entity.id, &key, id, &tables).await?;
    let Some(id) = id else { return Ok(()) };
    if let Some(row) = look.row(entity.id, id).await? {
        report.target.row = Some(row.position);
        report.target.differences = differences(report, &row);
    }
    Ok(())
}

/// The explained columns of all parts, each with what happens to its row.
fn columns<'r>(report: &'r Report<'_>) -> Vec<(Option<RowKind>, &'r ExplainedColumn)> {
    let parts = report.parts.iter().flatten().filter_map(|part| part.explained.as_ref());
    let ours = parts
        .filter(|explained| explained.part.is_some_and(|(entity, _)| entity == report.entity.id));
    ours.flat_map(|e| e.columns.iter().map(|column| (e.kind, column))).collect()
}

/// As reconcile compares: byte for byte, as each column's `compare` says, and a soft-deleted row
/// without its references.
fn differences(report: &Report<'_>, row: &FoundRow) -> Vec<Difference> {
    let entity = report.entity;
    let mut found = Vec::new();
    for (kind, explained) in columns(report) {
        let Some(column) = entity.columns.get(explained.column) else { continue };
        let target = row.fields.get(explained.column).and_then(Option::as_deref);
        if kind == Some(RowKind::SoftDelete) && is_reference(entity, &column.name) {
            continue;
        }
        let id;
        let legacy: Option<&[u8]> = match &explained.made {
            Made::Field(field) => field.as_deref(),
            Made::Id { entity, key } => {
                id = report.target.ids.get(&(*entity, key.clone()));
                id.map(|id| id.as_bytes().as_slice())
            }
            Made::Unchanged | Made::Rejected { .. } => continue,
        };
        if entity.column_equal(explained.column, legacy, target) {
            continue;
        }
        found.push(Difference {
            column: column.name.clone(),
            legacy: Shown::target(column.pg_type, legacy, explained.masked),
            target: Shown::target(column.pg_type, target, explained.masked),
        });
    }
    found
}

fn is_reference(entity: &EntityPlan, column: &str) -> bool {
    entity.references.iter().any(|reference| reference.column == column)
}
