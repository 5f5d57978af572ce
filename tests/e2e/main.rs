//! One test binary for everything that crosses rooms.

mod http;
mod kill;
mod oracle;
mod road;
mod tidy;
mod world;
