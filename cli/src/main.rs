//! `ficus`: a strangler-fig migration engine. One binary, a command for each part of the road.

mod args;
mod command;
mod demo;
mod exit;
mod logging;
mod out;
mod parts;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use crate::{args::Args, exit::Exit, settings::Settings};

fn main() -> ExitCode {
    cdc_consumer::memory::give_large_blocks_back();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(answer) => return out::clap(&answer).into(),
    };
    let exit = match start(&args) {
        Ok(exit) => exit,
        Err(error) => {
            out::failure(&error);
            exit::of(&error)
        }
    };
    exit.into()
}

/// Everything that can fail without a network comes first, then the runtime.
fn start(args: &Args) -> anyhow::Result<Exit> {
    let settings = Settings::resolve(args)?;
    logging::start(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(command::run(args, settings));
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    exit
}
