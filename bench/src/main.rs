//! See the library.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    bench::run()
}
