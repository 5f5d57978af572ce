//! What a [`super::Database`] holds.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
        mpsc::SyncSender,
    },
    time::{Duration, Instant},
};

use mapping::{
    catalog::{self, Catalog, LegacyTable, SqlType},
    position::Lsn,
};
use tokio::sync::watch;

use super::{
    Error,
    codec::Width,
    collation::Collation,
    ddl::{ColumnDefinition, TableDefinition},
    log::LogState,
    store::Store,
    table::{Column, Layout},
};

/// The engine's marker table.
pub(crate) const MARKER_TABLE: &str = "ficus_marker";

/// The shape of the database (fixed) and its state.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) collation: Arc<Collation>,
    pub(crate) layouts: Vec<Arc<Layout>>,
    /// Lower-case `schema.table` to the index in `layouts` and [`State::stores`].
    by_name: HashMap<String, usize>,
    state: RwLock<State>,
    serial: AtomicU64,
    captured: watch::Sender<Lsn>,
    poke: SyncSender<()>,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) stores: Vec<Store>,
    pub(crate) log: LogState,
}

/// All tables at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) stores: Vec<Store>,
    /// `sys.fn_cdc_get_max_lsn()`.
    pub(crate) max_lsn: Option<Lsn>,
}

impl Inner {
    pub(crate) fn new(
        name: &str,
        collation: &str,
        mut tables: Vec<TableDefinition>,
        poke: SyncSender<()>,
    ) -> Result<Self, Error> {
        let collation = Arc::new(Collation::parse(collation)?);
        let is_marker =
            |t: &TableDefinition| t.schema == "dbo" && t.name.eq_ignore_ascii_case(MARKER_TABLE);
        if !tables.iter().any(is_marker) {
            tables.push(marker_table());
        }
        let mut layouts = Vec::with_capacity(tables.len());
        let mut by_name = HashMap::new();
        for table in tables {
            let layout = layout(table, &collation)?;
            let index = by_name.len();
            if by_name.insert(layout.name().to_string().to_lowercase(), index).is_some() {
                let problem = format!("table {} is there twice", layout.name());
                return Err(Error::Ddl { line: 0, problem });
            }
            layouts.push(Arc::new(layout));
        }
        let log = LogState::new(layouts.len());
        let captured = watch::channel(log.captured()).0;
        Ok(Self {
            name: name.to_owned(),
            collation,
            by_name,
            state: RwLock::new(State { stores: vec![Store::default(); layouts.len()], log }),
            layouts,
            serial: AtomicU64::new(0),
            captured,
            poke,
        })
    }

    /// A table by `schema.table` or `table`.
    pub(crate) fn table(&self, name: &str) -> Result<(usize, &Arc<Layout>), Error> {
        let lower = name.to_lowercase();
        let full = if lower.contains('.') { lower } else { format!("dbo.{lower}") };
        self.by_name
            .get(&full)
            .and_then(|index| Some((*index, self.layouts.get(*index)?)))
            .ok_or_else(|| Error::UnknownTable(name.to_owned()))
    }

    /// A panic in a transaction's closure rolls back on its way out, so a poisoned lock guards
    /// a sound state.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.read();
        Snapshot { stores: state.stores.clone(), max_lsn: state.log.max_lsn() }
    }

    pub(crate) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn catalog(&self) -> Catalog {
        let state = self.read();
        let mut tables: Vec<catalog::Table> = self
            .layouts
            .iter()
            .enumerate()
            .map(|(index, layout)| {
                let mut table = catalog::Table::clone(&layout.table);
                if state.log.instance(index).is_none() {
                    table.capture_instance = None;
                    table.captured_columns = Vec::new();
                }
                table
            })
            .collect();
        tables.sort_by(|a, b| a.table.cmp(&b.table));
        Catalog { database: self.name.clone(), collation: self.collation.name.clone(), tables }
    }

    /// Wakes the capture job.
    pub(crate) fn poke(&self) {
        // A full channel means that it is about to wake up anyway.
        let _full = self.poke.try_send(()).is_err();
    }

    /// Tells the log's readers how far capture has come.
    pub(crate) fn announce(&self, captured: Lsn) {
        if !self.move_captured(captured) {
            self.poke();
        }
    }

    fn move_captured(&self, captured: Lsn) -> bool {
        self.captured.send_if_modified(|lsn| {
            let moved = *lsn < captured;
            *lsn = (*lsn).max(captured);
            moved
        })
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Lsn> {
        self.captured.subscribe()
    }

    /// One round of the capture job. Returns when the next one is due.
    pub(crate) fn capture(&self) -> Option<Duration> {
        let mut state = self.write();
        let wait = state.log.capture(Instant::now());
        let captured = state.log.captured();
        drop(state);
        self.move_captured(captured);
        wait
    }
}

fn marker_table() -> TableDefinition {
    let column = |name: &str, type_name: &str| ColumnDefinition {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        nullable: false,
        identity: false,
        collation: None,
    };
    TableDefinition {
        schema: "dbo".to_owned(),
        name: MARKER_TABLE.to_owned(),
        columns: vec![column("token", "uniqueidentifier"), column("at", "datetime")],
        primary_key: vec!["token".to_owned()],
        unique: Vec::new(),
        foreign_keys: Vec::new(),
    }
}

fn layout(table: TableDefinition, default: &Arc<Collation>) -> Result<Layout, Error> {
    let wrong = |what: &str, name: &str| Error::Ddl {
        line: 0,
        problem: format!("{what} {name} in table {}.{}", table.schema, table.name),
    };
    let position = |name: &String| {
        let found = table.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| wrong("unknown column", name))
    };
    let key = table.primary_key.iter().map(position).collect::<Result<Vec<_>, _>>()?;
    let in_unique = table.unique.iter().flat_map(|index| &index.columns);
    let mut unique = in_unique.map(position).collect::<Result<Vec<_>, _>>()?;
    unique.extend_from_slice(&key);
    unique.sort_unstable();
    unique.dedup();
    let mut columns = Vec::with_capacity(table.columns.len());
    for (index, definition) in table.columns.iter().enumerate() {
        let sql_type: SqlType = definition.type_name.parse().unwrap_or(SqlType::Bit);
        if matches!(sql_type, SqlType::Other(_)) {
            return Err(wrong("a type that is not simulated:", &definition.type_name));
        }
        let textual = matches!(
            sql_type,
            SqlType::Char { .. }
                | SqlType::VarChar { .. }
                | SqlType::Text
                | SqlType::NChar { .. }
                | SqlType::NVarChar { .. }
                | SqlType::NText
        );
        let collation = match &definition.collation {
            _ if !textual => None,
            Some(name) => Some(Arc::new(Collation::parse(name)?)),
            None => Some(Arc::clone(default)),
        };
        let column = catalog::Column {
            name: definition.name.clone(),
            nullable: definition.nullable && !key.contains(&index),
            collation: collation.as_ref().map(|collation| collation.name.clone()),
            computed: false,
            identity: definition.identity,
            sql_type,
        };
        let width = Width::of(&column.sql_type);
        columns.push(Column { column, width, collation });
    }
    let (mut unique_indexes, mut foreign_keys) = (table.unique, table.foreign_keys);
    unique_indexes.sort_by(|a, b| a.name.cmp(&b.name));
    foreign_keys.sort_by(|a, b| a.name.cmp(&b.name));
    let described = catalog::Table {
        capture_instance: Some(format!("{}_{}", table.schema, table.name)),
        captured_columns: table.columns.iter().map(|column| column.name.clone()).collect(),
        unique_indexes,
        foreign_keys,
        ..catalog::Table::new(
            LegacyTable::new(table.schema, table.name),
            columns.iter().map(|column| column.column.clone()).collect(),
            key.iter().filter_map(|index| Some(columns.get(*index)?.column.name.clone())).collect(),
        )
    };
    Ok(Layout { table: Arc::new(described), columns, key, unique })
}
