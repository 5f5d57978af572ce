//! What is compared with what: a subject is a legacy table's share of an entity on one side, and
//! the target's table (or, for entities of several parts, `ficus.part`) on the other.

use std::collections::{BTreeMap, BTreeSet};

use mapping::{
    key::CanonicalKey,
    plan::{
        Compare, EntityId, EntityPlan, Plan, SoftDelete, TableId, TablePlan, TableRole,
        TargetColumn,
    },
    row::RowKind,
};

use crate::{
    Error, Selection,
    digest::{Digest, Place},
    report::LeftOut,
    rowhash::Comparer,
};

/// One legacy table's share of one entity.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) entity: EntityId,
    pub(crate) part: u8,
    pub(crate) table: TableId,
    /// Whether the entity has no other part: then its table is the other side.
    pub(crate) is_whole: bool,
    /// Indexes into the entity's columns, in the order of the fields.
    pub(crate) columns: Vec<usize>,
    /// Where `deleted_at` is among `columns`.
    pub(crate) deleted_at: Option<usize>,
    /// Whether a soft-deleted row leaves its table: then the other side must not have it. What is
    /// kept of a part stays where it is.
    pub(crate) archives: bool,
    pub(crate) comparer: Comparer,
}

impl Subject {
    /// Whether the target must not have a legacy row.
    pub(crate) fn is_gone(&self, kind: RowKind) -> bool {
        match kind {
            RowKind::Delete => true,
            RowKind::SoftDelete => self.archives && self.is_whole,
            RowKind::Upsert => false,
        }
    }
}

/// What is counted of a subject's legacy rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Legacy rows read.
    pub(crate) read: u64,
    /// Left out, by rule.
    pub(crate) ignored: BTreeMap<String, u64>,
    /// Rows that the target must not have (soft-deleted, and the policy is to delete).
    pub(crate) gone: u64,
    /// Rejected by the mapping, without a key to look for.
    pub(crate) keyless: u64,
    /// Keys of rows that are not in the digest: rejected, or without an id. Read again.
    pub(crate) keys: Vec<CanonicalKey>,
    /// Such rows beyond the limit of `keys`.
    pub(crate) overflow: u64,
}

impl Counted {
    /// Remembers a key that has to be read again.
    pub(crate) fn remember(&mut self, key: CanonicalKey, limit: usize) {
        if self.keys.len() < limit {
            self.keys.push(key);
        } else {
            self.overflow += 1;
        }
    }

    /// Counts rows that a rule leaves out.
    pub(crate) fn ignore(&mut self, rule: &str, rows: u64) {
        if rows > 0 {
            *self.ignored.entry(rule.to_owned()).or_default() += rows;
        }
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn absorb(&mut self, other: Self, limit: usize) {
        self.read += other.read;
        self.gone += other.gone;
        self.keyless += other.keyless;
        self.overflow += other.overflow;
        other.ignored.iter().for_each(|(rule, rows)| self.ignore(rule, *rows));
        other.keys.into_iter().for_each(|key| self.remember(key, limit));
    }
}

/// What a range adds to a tally, once all of it was read.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    pub(crate) counted: Counted,
    pub(crate) hashed: Vec<(Place, u128)>,
}

/// What the scan found out about a subject.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Legacy rows, by the server's own estimate.
    pub(crate) estimate: u64,
    pub(crate) digest: Digest,
    pub(crate) counted: Counted,
    /// Target rows that a change after S made.
    pub(crate) later: u64,
}

impl Tally {
    pub(crate) fn for_rows(estimate: u64) -> Self {
        let digest = Digest::for_rows(estimate);
        Self { estimate, digest, counted: Counted::default(), later: 0 }
    }

    pub(crate) fn add(&mut self, delta: Delta, limit: usize) {
        self.counted.absorb(delta.counted, limit);
        for (place, hash) in delta.hashed {
            self.digest.add_legacy(place, hash);
        }
    }
}

/// All that is compared in a run.
#[derive(Debug)]
pub(crate) struct Subjects {
    pub(crate) entities: Vec<EntityId>,
    pub(crate) all: Vec<Subject>,
    by_part: BTreeMap<(EntityId, u8), usize>,
    by_table: BTreeMap<TableId, Vec<usize>>,
}

impl Subjects {
    /// The selected entities, in the mapping's order.
    pub(crate) fn select(plan: &Plan, selection: &Selection) -> Result<Self, Error> {
        let mut wanted = BTreeSet::new();
        for name in &selection.names {
            let matches = |entity: &&EntityPlan| entity.name == *name || entity.domain == *name;
            let found: Vec<EntityId> =
                plan.entities.iter().filter(matches).map(|entity| entity.id).collect();
            if found.is_empty() {
                return Err(Error::UnknownName { name: name.clone() });
            }
            wanted.extend(found);
        }
        let is_wanted =
            |entity: &&EntityPlan| selection.names.is_empty() || wanted.contains(&entity.id);
        let mut subjects = Self {
            entities: Vec::new(),
            all: Vec::new(),
            by_part: BTreeMap::new(),
            by_table: BTreeMap::new(),
        };
        for entity in plan.entities.iter().filter(is_wanted) {
            subjects.entities.push(entity.id);
            for (part, number) in entity.parts.iter().zip(0_u8..) {
                subjects.add(subject(entity, number, part.table, &part.columns));
            }
        }
        Ok(subjects)
    }

    fn add(&mut self, subject: Subject) {
        let index = self.all.len();
        self.by_part.insert((subject.entity, subject.part), index);
        self.by_table.entry(subject.table).or_default().push(index);
        self.all.push(subject);
    }

    /// The subject of a part, when it is compared.
    pub(crate) fn of_part(&self, entity: EntityId, part: u8) -> Option<usize> {
        self.by_part.get(&(entity, part)).copied()
    }

    /// Whom a row counts for that no entity wants: the first that reads the table.
    pub(crate) fn of_table(&self, table: TableId, entity: Option<EntityId>) -> Option<usize> {
        let all = self.by_table.get(&table)?;
        let of_entity =
            |index: &&usize| self.all.get(**index).map(|subject| subject.entity) == entity;
        all.iter().find(of_entity).or(all.first()).copied()
    }

    /// Whose rows a table has.
    pub(crate) fn all_of_table(&self, table: TableId) -> &[usize] {
        self.by_table.get(&table).map(Vec::as_slice).unwrap_or_default()
    }

    /// The legacy tables to read.
    pub(crate) fn tables(&self) -> Vec<TableId> {
        self.by_table.keys().copied().collect()
    }

    pub(crate) fn get(&self, index: usize) -> &Subject {
        self.all.get(index).expect("an index that this struct gave out")
    }
}

fn subject(entity: &EntityPlan, part: u8, table: TableId, columns: &[usize]) -> Subject {
    let is_whole = entity.parts.len() == 1;
    let columns = columns.to_vec();
    let of_columns = columns.iter().filter_map(|index| entity.columns.get(*index));
    let comparer = Comparer::new(of_columns, |column| is_reference(entity, column));
    let deleted_at = entity
        .deleted_at
        .and_then(|deleted_at| columns.iter().position(|column| *column == deleted_at));
    let archives = entity.soft_delete == SoftDelete::Archive;
    Subject { entity: entity.id, part, table, is_whole, columns, deleted_at, archives, comparer }
}

/// Whether a column holds another entity's id.
pub(crate) fn is_reference(entity: &EntityPlan, column: &TargetColumn) -> bool {
    entity.references.iter().any(|reference| reference.column == column.name)
}

/// The columns of an entity that no verdict covers, and why.
pub(crate) fn not_compared(plan: &Plan, entity: &EntityPlan) -> Vec<LeftOut> {
    let mut all = Vec::new();
    for column in &entity.columns {
        let reason = match &column.compare {
            Compare::Exact => continue,
            Compare::Presence => "only whether it is NULL".to_owned(),
            Compare::Skip(reason) => reason.clone(),
        };
        all.push(LeftOut { column: column.name.clone(), reason });
    }
    let keeps_deleted = match entity.soft_delete {
        SoftDelete::DeletedAt => true,
        SoftDelete::Archive => entity.parts.len() > 1,
        SoftDelete::None | SoftDelete::Delete => false,
    };
    if keeps_deleted {
        let reason = "in soft-deleted rows: the legacy row has lost its references".to_owned();
        all.extend(
            entity.references.iter().map(|reference| LeftOut {
                column: reference.column.clone(),
                reason: reason.clone(),
            }),
        );
    }
    if entity.soft_delete == SoftDelete::Archive {
        all.push(LeftOut {
            column: "(soft-deleted rows)".to_owned(),
            reason: "only that their table has them no more, not what ficus.archive keeps of them"
                .to_owned(),
        });
    }
    for part in &entity.parts {
        let Some(table) = table(plan, part.table) else { continue };
        for left_out in table.left_out().iter().filter(|one| one.entity == entity.name) {
            let column = format!("{}.{}", table.table, left_out.column);
            all.push(LeftOut { column, reason: left_out.reason.clone() });
        }
        for filter in table.row_filters().iter().filter(|one| one.entity == entity.name) {
            let column = format!("other rows of {}", table.table);
            all.push(LeftOut { column, reason: format!("it takes those where {filter}") });
        }
    }
    all
}

/// The legacy tables that do not move, and why.
pub(crate) fn tables_left_out(plan: &Plan) -> Vec<LeftOut> {
    let reason = |table: &TablePlan| match &table.role {
        TableRole::Ignored { reason } => {
            Some(LeftOut { column: table.table.to_string(), reason: reason.clone() })
        }
        TableRole::Entities(_) | TableRole::ObjectTypes => None,
    };
    plan.tables.iter().filter_map(reason).collect()
}

/// A table of the plan.
pub(crate) fn table(plan: &Plan, id: TableId) -> Option<&TablePlan> {
    plan.tables.iter().find(|table| table.id == id)
}

/// An entity of the plan.
pub(crate) fn entity(plan: &Plan, id: EntityId) -> Option<&EntityPlan> {
    plan.entities.iter().find(|entity| entity.id == id)
}
