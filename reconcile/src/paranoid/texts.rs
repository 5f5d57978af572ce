//! Rows of some entities as text, from both sides, within one fence.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use mapping::{
    key::CanonicalKey,
    plan::{EntityId, EntityPlan, TablePlan},
    position::Lsn,
};
use target::compare::TextRow;
use uuid::Uuid;

use super::{
    meaning::Meaning,
    rules::{ColumnRule, Rules},
};
use crate::{
    Error,
    legacy_scan::Scan,
    link::{Link, Pass},
    sample::canonical,
    subject::{entity, table},
};

pub(super) const DELETED_AT: &str = "deleted_at";
const GC_RECORD: &str = "GCRecord";

/// Some rows of an entity.
pub(super) struct Half {
    pub(super) entity: EntityId,
    pub(super) keys: Vec<CanonicalKey>,
    /// By key and legacy column (`Table.Column`).
    pub(super) legacy: HashMap<CanonicalKey, HashMap<String, Option<String>>>,
    pub(super) ids: HashMap<CanonicalKey, Uuid>,
    /// The target's rows before the marker was written: one that was read from the table may show
    /// a later change than its position says, but not one after that.
    pub(super) before: HashMap<Uuid, TextRow>,
    pub(super) target: HashMap<Uuid, TextRow>,
    /// The legacy keys behind ids that are referred to.
    pub(super) referred: HashMap<Uuid, String>,
}

impl Half {
    pub(super) fn new(entity: EntityId, keys: Vec<CanonicalKey>) -> Self {
        Self {
            entity,
            keys,
            legacy: HashMap::new(),
            ids: HashMap::new(),
            before: HashMap::new(),
            target: HashMap::new(),
            referred: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The target's rows as they are now.
    async fn read_target(
        &mut self,
        scan: &Scan,
        link: &Link,
        names: &[&str],
    ) -> Result<HashMap<Uuid, TextRow>, Error> {
        let entries: Vec<_> = self.keys.iter().map(|key| (self.entity, key.clone())).collect();
        let ids = scan.ids.look_up(&entries).await?;
        let known = self.keys.iter().cloned().zip(ids);
        self.ids = known.filter_map(|(key, id)| Some((key, id?))).collect();
        let ids: Vec<Uuid> = self.ids.values().copied().collect();
        let rows = link.target.read_texts(self.entity, names, &ids).await;
        rows.map_err(Error::target("reading target rows as text"))
    }
}

pub(super) struct Texts<'a> {
    pub(super) scan: Arc<Scan>,
    pub(super) rules: &'a Rules,
    pub(super) halves: Vec<Half>,
}

impl Pass for Texts<'_> {
    async fn read_legacy(&mut self, link: &mut Link, _low: Option<Lsn>) -> Result<(), Error> {
        for half in &mut self.halves {
            let Some(plan) = entity(&self.scan.plan, half.entity) else { continue };
            let Some(rules) = self.rules.entity(&plan.name) else { continue };
            let all = rules.columns.iter().flat_map(|rule| &rule.from);
            let wanted: Vec<String> =
                all.filter_map(|from| full_name(&self.scan, plan, from)).collect();
            for part in &plan.parts {
                let Some(table) = table(&self.scan.plan, part.table) else { continue };
                read_table(link, table, &wanted, half).await?;
            }
            half.legacy.retain(|_, texts| {
                !texts.iter().any(|(name, text)| name.ends_with(GC_RECORD) && text.is_some())
                    || plan.deleted_at.is_some()
            });
            if link.no_fence().is_none() {
                half.before =
                    half.read_target(&self.scan, link, &columns(plan, &rules.columns)).await?;
            }
        }
        Ok(())
    }

    async fn read_target(&mut self, link: &mut Link, _low: Option<Lsn>) -> Result<(), Error> {
        for half in &mut self.halves {
            let Some(plan) = entity(&self.scan.plan, half.entity) else { continue };
            let Some(rules) = self.rules.entity(&plan.name) else { continue };
            let names = columns(plan, &rules.columns);
            half.target = half.read_target(&self.scan, link, &names).await?;
            let is_reference = |name: &&str| {
                let of = |rule: &ColumnRule| {
                    rule.target == **name && matches!(rule.meaning, Meaning::Ref { .. })
                };
                rules.columns.iter().any(of)
            };
            let references: Vec<bool> = names.iter().map(is_reference).collect();
            let mut referred: Vec<Uuid> = Vec::new();
            for row in half.target.values() {
                let texts = row.texts.iter().zip(&references).filter(|(_, is)| **is);
                referred.extend(texts.filter_map(|(text, _)| text.as_ref()?.parse::<Uuid>().ok()));
            }
            let keys = link.target.keys_of(&referred).await;
            let keys = keys.map_err(Error::target("looking for the keys behind ids"))?;
            let text = |key: &CanonicalKey| {
                let parts: Vec<String> = key.parts().iter().map(ToString::to_string).collect();
                parts.join("\n")
            };
            half.referred = keys.iter().map(|(id, (_, key))| (*id, text(key))).collect();
        }
        Ok(())
    }
}

async fn read_table(
    link: &mut Link,
    table: &TablePlan,
    wanted: &[String],
    half: &mut Half,
) -> Result<(), Error> {
    let is_wanted = |column: &str| column == GC_RECORD || wanted.contains(&name(table, column));
    let indexes: BTreeMap<usize, String> = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| is_wanted(&column.name))
        .map(|(index, column)| (index, name(table, &column.name)))
        .collect();
    let places: Vec<usize> = indexes.keys().copied().collect();
    let doing = format!("reading rows of {} as text", table.table);
    let rows = link.reader().await?.read_texts(table, &places, &half.keys).await;
    for row in rows.map_err(Error::legacy(doing))? {
        let Some(key) = canonical(table, row.key) else { continue };
        let texts = indexes.values().cloned().zip(row.texts);
        half.legacy.entry(key).or_default().extend(texts);
    }
    Ok(())
}

/// The target's columns that are read: those with a rule, and whether the row is soft-deleted.
pub(super) fn columns<'p>(plan: &'p EntityPlan, rules: &[ColumnRule]) -> Vec<&'p str> {
    let names = plan.columns.iter().map(|column| column.name.as_str());
    let is_wanted =
        |name: &&str| *name == DELETED_AT || rules.iter().any(|rule| rule.target == *name);
    names.filter(is_wanted).collect()
}

/// `Table.Column` of what a file calls by either.
pub(super) fn full_name(scan: &Scan, plan: &EntityPlan, from: &str) -> Option<String> {
    let mut tables = plan.parts.iter().filter_map(|part| table(&scan.plan, part.table));
    if plan.parts.len() == 1 {
        return tables.next().map(|table| name(table, from));
    }
    match from.split_once('.') {
        Some((of, column)) => {
            tables.find(|table| table.table.name == of).map(|table| name(table, column))
        }
        None => tables.next().map(|table| name(table, from)),
    }
}

fn name(table: &TablePlan, column: &str) -> String {
    format!("{}.{column}", table.table.name)
}
