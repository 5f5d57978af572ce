//! What only a real broker does: transactions, compaction, retention, restarts, members that are
//! thrown out, long messages.

mod members;
mod messages;
mod restarts;
mod topics;
mod transactions;

use libtest_mimic::Trial;

/// Settings under which offsets may be missing.
const GAPS: (&str, &str) = ("FICUS_KAFKA_OFFSET_GAPS", "allow");

/// The tests.
pub(crate) fn add(trials: &mut Vec<Trial>) {
    transactions::add(trials);
    topics::add(trials);
    messages::add(trials);
    members::add(trials);
    restarts::add(trials);
}
