//! One test binary for everything that crosses rooms.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test ends by a panic")]

mod assess;
mod backfill;
mod http;
mod kill;
mod mapping_command;
mod oracle;
mod reconcile;
mod reselect;
mod road;
mod scaffold;
mod switch;
mod tidy;
mod work;
mod world;
