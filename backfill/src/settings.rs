//! How a backfill runs, and what it copies.

use std::{collections::BTreeSet, time::Duration};

use legacy::{Isolation, Limits};
use mapping::plan::{Plan, TableId, TablePlan, TableRole};

use crate::{Error, window::Window};

/// How a backfill runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Readers of the legacy server at a time, each with its own connection.
    pub readers: u16,
    /// Rows in a chunk at most, about: what is planned, claimed and counted at a time. Smaller tables
    /// have smaller ones, so that every reader has some. After a crash a chunk goes on where it was,
    /// so this is not what is lost.
    pub chunk_rows: u64,
    /// Rows in a transaction at most.
    pub batch_rows_max: usize,
    /// Bytes of rows in a transaction at most, but for the one row that crosses it.
    pub batch_bytes_max: usize,
    /// How reads see other sessions' changes.
    pub isolation: Isolation,
    /// How long the legacy server may take.
    pub limits: Limits,
    /// Attempts in a row that bring no progress before a reader gives up.
    pub attempts_max: u32,
    /// Pause before the second attempt; doubled with each further one.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// How long another process waits for a chunk whose owner shows no sign of life.
    pub lease: Duration,
    /// Copy the selected tables again from the start, while the stream runs.
    pub restart: bool,
    /// Rows a second at most, all readers of this process together.
    pub rows_per_second: Option<u64>,
    /// How long one statement should read; one that takes twice as long is ended, and goes on
    /// with fewer rows at a time. Zero: as long as it takes.
    pub statement: Duration,
    /// The hours in which the legacy server may be read.
    pub window: Option<Window>,
    /// So many rows in a row that can't be mapped are no bad rows but a wrong mapping, or another
    /// table than it was: it is given up before they fill the quarantine.
    pub quarantine_in_a_row_max: u64,
    /// Whether the server has enough to do without this.
    pub busy: Option<Busy>,
}

/// A question to the legacy server, between chunks and statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// The operator's own T-SQL. The server is busy when the first column of its first row is
    /// something else than 0, NULL or an empty text.
    pub query: String,
    /// How long a busy server is left alone before it is asked again.
    pub pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            readers: 2,
            chunk_rows: 100_000,
            batch_rows_max: 10_000,
            batch_bytes_max: 8 << 20,
            isolation: Isolation::ReadCommitted,
            limits: Limits::default(),
            attempts_max: 8,
            pause_min: Duration::from_millis(200),
            pause_max: Duration::from_secs(30),
            lease: Duration::from_secs(60),
            restart: false,
            rows_per_second: None,
            statement: Duration::from_secs(10),
            window: None,
            quarantine_in_a_row_max: 1000,
            busy: None,
        }
    }
}

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(BTreeSet<TableId>);

impl Selection {
    /// Every table that feeds an entity, and the type names.
    #[must_use]
    pub fn all(plan: &Plan) -> Self {
        Self(plan.tables.iter().filter(|table| is_copied(&table.role)).map(|t| t.id).collect())
    }

    /// The tables of these domains and entities; all when none is named. The type names are
    /// always among them, because rows can't be mapped without.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that is neither.
    pub fn named(plan: &Plan, names: &[String]) -> Result<Self, Error> {
        if names.is_empty() {
            return Ok(Self::all(plan));
        }
        let mut tables: BTreeSet<TableId> = plan
            .tables
            .iter()
            .filter(|table| matches!(table.role, TableRole::ObjectTypes))
            .map(|table| table.id)
            .collect();
        for name in names {
            let chosen = plan.entities.iter().filter(|e| e.name == *name || e.domain == *name);
            let parts: Vec<TableId> =
                chosen.flat_map(|entity| entity.parts.iter().map(|part| part.table)).collect();
            if parts.is_empty() {
                return Err(Error::Unknown { name: name.clone(), known: known_names(plan) });
            }
            tables.extend(parts);
        }
        Ok(Self(tables))
    }

    /// The tables of one entity, and nothing else.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn of_entity(plan: &Plan, name: &str) -> Result<Self, Error> {
        let unknown = || Error::Unknown {
            name: name.to_owned(),
            known: plan.entities.iter().map(|entity| entity.name.clone()).collect(),
        };
        let entity = plan.entity(name).ok_or_else(unknown)?;
        Ok(Self(entity.parts.iter().map(|part| part.table).collect()))
    }

    /// One table, by its own name or as the only one of an entity: what a part is copied of.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that is neither, [`Error::SeveralTables`] for an entity that
    /// is made of several.
    pub fn of_table(plan: &Plan, name: &str) -> Result<Self, Error> {
        let is_named = |table: &&TablePlan| {
            matches!(table.role, TableRole::Entities(_))
                && (table.table.to_string().eq_ignore_ascii_case(name)
                    || table.table.name.eq_ignore_ascii_case(name))
        };
        if let Some(entity) = plan.entities.iter().find(|entity| entity.name == name) {
            let [part] = entity.parts.as_slice() else {
                let parts =
                    entity.parts.iter().filter_map(|p| plan.tables.get(usize::from(p.table.0)));
                let tables = parts.map(|table| table.table.to_string()).collect();
                return Err(Error::SeveralTables { entity: name.to_owned(), tables });
            };
            return Ok(Self(BTreeSet::from([part.table])));
        }
        let unknown = || Error::Unknown {
            name: name.to_owned(),
            known: plan.entities.iter().map(|entity| entity.name.clone()).collect(),
        };
        let table = plan.tables.iter().find(is_named).ok_or_else(unknown)?;
        Ok(Self(BTreeSet::from([table.id])))
    }

    /// The tables.
    #[must_use]
    pub fn tables(&self) -> &BTreeSet<TableId> {
        &self.0
    }
}

fn is_copied(role: &TableRole) -> bool {
    match role {
        TableRole::Entities(_) | TableRole::ObjectTypes => true,
        TableRole::Ignored { .. } => false,
    }
}

fn known_names(plan: &Plan) -> Vec<String> {
    let domains = plan.domains().into_iter().map(str::to_owned);
    let entities = plan.entities.iter().map(|entity| entity.name.clone());
    domains.chain(entities).collect()
}
