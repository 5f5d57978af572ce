//! Names that mapping files and Postgres take: lower case letters, digits and `_`, at most 63
//! bytes, each only once.

use std::collections::BTreeSet;

use mapping::name::suffixed;

/// Columns that the engine makes or stages rows with, and Postgres's own.
const TAKEN: [&str; 14] = [
    "id",
    "version",
    "deleted_at",
    "source_position",
    "stage_kind",
    "stage_mask",
    "stage_n",
    "tableoid",
    "xmin",
    "cmin",
    "xmax",
    "cmax",
    "ctid",
    "oid",
];

/// Names of one kind in one place, each of them used once.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// The names of an entity's columns: some are not free.
    pub(super) fn of_columns() -> Self {
        Self(TAKEN.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Takes the first of the names that is free, or the first with a number behind it.
    pub(super) fn take(&mut self, wanted: &[String]) -> String {
        let free = wanted.iter().map(|name| valid(name)).find(|name| !self.0.contains(name));
        let first = wanted.first().map_or_else(|| "_".to_owned(), |name| valid(name));
        let name = free.unwrap_or_else(|| {
            let mut number: usize = 2;
            loop {
                let numbered = suffixed(&first, &format!("_{number}"));
                if !self.0.contains(&numbered) {
                    break numbered;
                }
                number += 1;
            }
        });
        self.0.insert(name.clone());
        name
    }
}

/// A name that `mapping` takes, from one in `snake_case`.
fn valid(snake: &str) -> String {
    let digit_first = snake.starts_with(|c: char| c.is_ascii_digit());
    suffixed(&if digit_first { format!("_{snake}") } else { snake.to_owned() }, "")
}

/// A name as SQL: quoted where Postgres would read it as something else.
pub(super) fn sql(name: &str) -> String {
    if RESERVED.binary_search(&name).is_ok() { format!("\"{name}\"") } else { name.to_owned() }
}

/// A text as SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}

/// Postgres 16's words that can't name a table or a column without quotes (`pg_get_keywords()`,
/// categories R and T), sorted.
pub(super) const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];
