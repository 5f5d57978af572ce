//! The few T-SQL statements that the engine sends, over the tables in memory.
//!
//! A statement is parsed and matched by its shape. What a match has not looked at can't hide:
//! every match ends by writing the statement again from the parts that it understood and
//! comparing that with what was parsed. All else is error 102, with the text.

mod changes;
mod condition;
mod error;
mod expression;
mod keys;
mod output;
mod range;
mod session;
mod shape;
mod split;
mod system;
mod text;
mod totals;

use sqlparser::{ast::Statement, dialect::MsSqlDialect, parser::Parser};

pub(crate) use self::{
    error::SqlError,
    expression::Parameter,
    output::{Cursor, ResultColumn},
    session::{Isolation, Session},
};

/// What a statement gives.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing, not even a count: `SET`.
    Done,
    /// A number of rows.
    Count(u64),
    /// Rows.
    Rows(Box<Cursor>),
}

/// The statements of a batch.
pub(crate) fn parse(text: &str) -> Result<Vec<Statement>, SqlError> {
    Parser::parse_sql(&MsSqlDialect {}, text).map_err(|_| SqlError::syntax(text))
}

/// Runs one statement.
pub(crate) fn run(
    session: &mut Session,
    statement: &Statement,
    parameters: &[Parameter],
) -> Result<Outcome, SqlError> {
    if let Statement::Set(_) = statement {
        return session.set(statement);
    }
    if let Some(known) = system::known(statement) {
        return system::run(known, session, parameters);
    }
    let snapshot = session.snapshot();
    let database = session.database().clone();
    let scope = shape::Scope { database: &database, snapshot: &snapshot, parameters };
    if let Statement::Query(query) = statement {
        for shape in [
            system::last_change,
            changes::run,
            range::run,
            keys::run,
            split::run,
            system::count,
            totals::run,
        ] {
            if let Some(cursor) = shape(query, scope)? {
                return Ok(Outcome::Rows(Box::new(cursor)));
            }
        }
    }
    Err(SqlError::syntax(&statement.to_string()))
}

#[cfg(test)]
mod tests;
