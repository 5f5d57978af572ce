//! From Postgres's errors to ours, and causes for the log.

use sqlx::error::DatabaseError;

use super::Error;

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let state = error.as_database_error().and_then(DatabaseError::code);
        match (state.as_deref(), &error) {
            // A row that the policies do not let this caller write.
            (Some("42501"), _) => Self::Forbidden,
            // lock_timeout, serialization, deadlock: another transaction was in the way.
            (Some("55P03" | "40001" | "40P01"), _) => Self::Contended,
            // statement_timeout, too many connections, or none free in the pool.
            (Some("57014" | "53300"), _) | (None, sqlx::Error::PoolTimedOut) => {
                Self::Busy(Some(error))
            }
            _ => Self::Database(error),
        }
    }
}

/// An error with its causes, for the log.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        if let Some(sqlx::Error::Database(refusal)) = cause.downcast_ref() {
            text.push_str(&of_postgres(&**refusal));
            break;
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// State, table and constraint. Messages of the classes 22 and 23 quote values, so they stay out.
fn of_postgres(refusal: &dyn DatabaseError) -> String {
    let state = refusal.code().unwrap_or_default();
    let mut text = format!("SQLSTATE {state}");
    if let Some(table) = refusal.table() {
        text.push_str(&format!(", table {table}"));
    }
    if let Some(constraint) = refusal.constraint() {
        text.push_str(&format!(", constraint {constraint}"));
    }
    if !state.starts_with("22") && !state.starts_with("23") {
        text.push_str(&format!(", {}", refusal.message()));
    }
    text
}
