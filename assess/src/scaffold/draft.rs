//! A draft: what one entity is going to be, before it is written down as TOML and as SQL.

use mapping::catalog::{Column, Table};

use super::notes::Note;

/// One entity.
#[derive(Debug, Clone)]
pub(super) struct EntityDraft<'c> {
    pub(super) name: String,
    pub(super) domain: String,
    /// The root first.
    pub(super) parts: Vec<&'c Table>,
    /// Full type names, where rows of a root are told apart.
    pub(super) types: Vec<String>,
    /// The columns that make the key, where a file should say it.
    pub(super) key: Vec<String>,
    pub(super) id_time: Option<String>,
    pub(super) soft_delete: bool,
    /// The column of the version.
    pub(super) version: Option<String>,
    pub(super) columns: Vec<ColumnDraft<'c>>,
    pub(super) left_out: Vec<LeftOut>,
    /// What stands above the entity, above its types, and above `id_time`.
    pub(super) notes: Vec<Note>,
    pub(super) type_notes: Vec<Note>,
    pub(super) id_time_notes: Vec<Note>,
}

impl<'c> EntityDraft<'c> {
    /// How a legacy column is named in the file: with its table, where there are several.
    pub(super) fn column_name(&self, part: usize, column: &str) -> String {
        match self.parts.get(part).filter(|_| self.parts.len() > 1) {
            Some(table) => format!("{}.{column}", table.table.name),
            None => column.to_owned(),
        }
    }

    /// The column that is made from one legacy column and from nothing else.
    pub(super) fn made_from(&self, part: usize, column: &str) -> Vec<&ColumnDraft<'c>> {
        let ours = |draft: &&ColumnDraft<'c>| match draft.sources.as_slice() {
            [only] => draft.part == part && only.name.eq_ignore_ascii_case(column),
            _ => false,
        };
        self.columns.iter().filter(ours).collect()
    }
}

/// One column.
#[derive(Debug, Clone)]
pub(super) struct ColumnDraft<'c> {
    pub(super) name: String,
    pub(super) part: usize,
    pub(super) sources: Vec<&'c Column>,
    pub(super) made: Made,
    pub(super) sensitive: bool,
    /// Dates that mean something else, and what.
    pub(super) sentinels: Vec<(String, &'static str)>,
    pub(super) notes: Vec<Note>,
}

impl<'c> ColumnDraft<'c> {
    pub(super) fn new(name: String, part: usize, column: &'c Column, made: Made) -> Self {
        Self {
            name,
            part,
            sources: vec![column],
            made,
            sensitive: false,
            sentinels: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn ask(&mut self, question: impl Into<String>) {
        self.notes.push(Note::question(question));
    }

    pub(super) fn remark(&mut self, text: impl Into<String>) {
        self.notes.push(Note::remark(text));
    }

    /// Whether a row of the legacy table can't make this column NULL.
    pub(super) fn is_never_null(&self) -> bool {
        let given = self.sources.iter().all(|column| !column.nullable);
        match &self.made {
            Made::Bool { default } => *default || given,
            Made::Enum { null, .. } => null.is_some() || given,
            Made::Text(rule) => given && !rule.empty_is_null,
            // XPO clears the references of a soft-deleted row, and the seal those of orphans.
            Made::Ref { orphans, .. } => given && *orphans != "null",
            Made::XpoFile => false,
            _ => given && self.sentinels.is_empty(),
        }
    }
}

/// How it is made: the word after `as`, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Made {
    Bool {
        default: bool,
    },
    Int2,
    Int4,
    Int8,
    Float8,
    Numeric {
        precision: u8,
        scale: u8,
    },
    Money {
        currency: String,
        digits: u8,
    },
    Text(TextRule),
    Bytea,
    Uuid,
    Date {
        midnight: bool,
    },
    Time {
        truncate: bool,
    },
    Timestamptz {
        zone: Option<String>,
        truncate: bool,
    },
    Enum {
        values: Vec<(i64, String)>,
        null: Option<String>,
    },
    /// Names by full type name; every name itself when empty.
    Type {
        values: Vec<(String, String)>,
    },
    Ref {
        to: String,
        orphans: &'static str,
    },
    XpoFile,
}

/// What is cleaned up in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TextRule {
    pub(super) trim_end: bool,
    pub(super) empty_is_null: bool,
    pub(super) strip_nul: bool,
    pub(super) replace_surrogates: bool,
}

impl Made {
    /// The word after `as`.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Bool { .. } => "bool",
            Self::Int2 => "int2",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Float8 => "float8",
            Self::Numeric { .. } => "numeric",
            Self::Money { .. } => "money",
            Self::Text(_) => "text",
            Self::Bytea => "bytea",
            Self::Uuid => "uuid",
            Self::Date { .. } => "date",
            Self::Time { .. } => "time",
            Self::Timestamptz { .. } => "timestamptz",
            Self::Enum { .. } => "enum",
            Self::Type { .. } => "type",
            Self::Ref { .. } => "ref",
            Self::XpoFile => "xpo-file",
        }
    }

    /// The type of the Postgres column: what `mapping` writes.
    pub(super) fn sql_type(&self) -> String {
        match self {
            Self::Bool { .. } => "boolean".into(),
            Self::Int2 => "smallint".into(),
            Self::Int4 => "integer".into(),
            Self::Int8 | Self::Money { .. } => "bigint".into(),
            Self::Float8 => "double precision".into(),
            Self::Numeric { precision, scale } => format!("numeric({precision}, {scale})"),
            Self::Text(_) | Self::Enum { .. } | Self::Type { .. } => "text".into(),
            Self::Bytea | Self::XpoFile => "bytea".into(),
            Self::Uuid | Self::Ref { .. } => "uuid".into(),
            Self::Date { .. } => "date".into(),
            Self::Time { .. } => "time".into(),
            Self::Timestamptz { .. } => "timestamptz".into(),
        }
    }

    /// The texts that the column may hold, where there are few.
    pub(super) fn allowed(&self) -> Vec<&str> {
        let mut names: Vec<&str> = match self {
            Self::Enum { values, .. } => values.iter().map(|(_, name)| name.as_str()).collect(),
            Self::Type { values } => values.iter().map(|(_, name)| name.as_str()).collect(),
            _ => Vec::new(),
        };
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(*name));
        names
    }
}

/// A legacy column that is not mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// As the file names it.
    pub(super) column: String,
    pub(super) reason: String,
    pub(super) question: Option<String>,
}
