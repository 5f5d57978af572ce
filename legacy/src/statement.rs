//! Every T-SQL statement, built in one place. Identifiers are quoted, values are parameters.
//!
//! Plain SQL Server 2016 syntax. `docs/statements.md` lists what is built here; the golden
//! tests keep both true.

mod catalog;
mod grants;
mod ident;
mod keys;
mod operator;
mod parameter;
mod range;
mod totals;

use std::fmt::Write;

use mapping::catalog::LegacyTable;

use self::ident::{Ident, TableIdent};
pub(crate) use self::keys::{KEY_PARAMETERS_MAX, by_keys, changed, texts_by_keys};
pub(crate) use self::range::{Source, heap, range, split};
pub(crate) use self::totals::totals;
pub use self::{
    grants::Grants,
    operator::Condition,
    parameter::Parameter,
    totals::{Total, TotalKind},
};
use crate::Isolation;

/// A statement with its parameters, in the order of `@P1`, `@P2`, …
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// T-SQL.
    pub text: String,
    /// Sent through `sp_executesql` when there are any.
    pub parameters: Vec<Parameter>,
}

impl Statement {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), parameters: Vec::new() }
    }

    /// And then how many rows it gave: what the server says of an answer that has come whole. So are
    /// all questions of ours; [`crate::Session::rows`] and the streams take no others.
    fn counted(mut self) -> Self {
        self.text.push_str("; SELECT ROWCOUNT_BIG() AS [rows]");
        self
    }

    /// An error inside a batch ends the batch, and row counts are not reported.
    pub(crate) fn options() -> Self {
        Self::plain("SET NOCOUNT ON; SET XACT_ABORT ON")
    }

    /// A read waits ten seconds for a writer's lock, then it is tried again.
    pub(crate) fn lock_timeout() -> Self {
        Self::plain("SET LOCK_TIMEOUT 10000")
    }

    pub(crate) fn isolation(isolation: Isolation) -> Self {
        Self::plain(match isolation {
            Isolation::ReadCommitted => "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
            Isolation::Snapshot => "SET TRANSACTION ISOLATION LEVEL SNAPSHOT",
        })
    }

    /// Exact number of rows: reads an index from end to end.
    pub(crate) fn count(table: &LegacyTable) -> Self {
        let table = TableIdent::new(table);
        Self::plain(format!("SELECT COUNT_BIG(*) AS [rows] FROM {table}")).counted()
    }

    /// The type names' numbers in this database.
    pub(crate) fn object_types(table: &LegacyTable) -> Self {
        let table = TableIdent::new(table);
        Self::plain(format!("SELECT [OID], [TypeName] FROM {table} ORDER BY [OID]")).counted()
    }

    /// The marker row; its commit is what the stream is waited for.
    pub(crate) fn put_marker(token: uuid::Uuid) -> Self {
        Self {
            text: "INSERT INTO [dbo].[ficus_marker] ([token], [at]) VALUES (@P1, GETUTCDATE())"
                .to_owned(),
            parameters: vec![Parameter::guid(token)],
        }
    }

    /// The commit LSN of the marker, once CDC has captured it.
    pub(crate) fn find_marker(token: uuid::Uuid) -> Self {
        Self {
            text: "SELECT TOP (1) [__$start_lsn] AS [lsn] FROM [cdc].[dbo_ficus_marker_CT] \
                   WHERE [token] = @P1"
                .to_owned(),
            parameters: vec![Parameter::guid(token)],
        }
        .counted()
    }
}

/// Collects parameters while a text is built.
#[derive(Default)]
struct Binder {
    parameters: Vec<Parameter>,
}

impl Binder {
    /// Binds a value and gives the expression that stands for it, in the column's own type.
    fn bind(&mut self, bound: parameter::Bound) -> String {
        self.parameters.push(bound.parameter);
        bound.expression.replace("{}", &format!("@P{}", self.parameters.len()))
    }
}

/// Joins with a separator.
fn join(parts: impl IntoIterator<Item = impl std::fmt::Display>, separator: &str) -> String {
    let mut text = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            text.push_str(separator);
        }
        write!(text, "{part}").expect("writing to a String can't fail");
    }
    text
}

#[cfg(test)]
mod cover;
#[cfg(test)]
mod tests;
