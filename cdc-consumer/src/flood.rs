//! What is said of a table that is stopped by a flood.

use std::fmt::Display;

/// The sentence, and what mends it.
pub(crate) fn words(table: &impl Display, rule: &str, column: &str) -> (String, String) {
    let place = if column.is_empty() { String::new() } else { format!(", column `{column}`") };
    let detail = format!(
        "so many events of {table} in a row, or most of its last thousand, went to quarantine that \
         the mapping must be wrong and not the rows; the last one by the rule {rule}{place}"
    );
    (detail, remedy(table))
}

/// The same for rows that Postgres refused, of which nothing was written.
pub(crate) fn refused(
    table: &impl Display,
    rule: &str,
    (refused, rows): (usize, usize),
) -> (String, String) {
    let detail = format!(
        "{refused} of {rows} rows of {table} in one batch were refused by the rule {rule}, so the \
         mapping or the target's constraint must be wrong; none of them was written"
    );
    (detail, remedy(table))
}

fn remedy(table: &impl Display) -> String {
    format!(
        "`ficus quarantine list --table {table}` shows them; correct the mapping or the constraint, \
         start the consumer with it, `ficus quarantine retry --table {table}`, then \
         `ficus stream resume {table}`"
    )
}
