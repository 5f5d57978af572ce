//! See the library.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    cdc_consumer::memory::give_large_blocks_back();
    bench::run()
}
