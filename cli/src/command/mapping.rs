//! `ficus mapping`.

mod check;
mod explain;

use crate::{args::MappingCommand, exit::Exit, out, settings::Settings};

/// Checks mapping files, explains a row by them, drafts some, or tells what may stand in them.
pub(crate) async fn run(command: &MappingCommand, settings: &Settings) -> anyhow::Result<Exit> {
    match command {
        MappingCommand::Check(args) => check::run(args, settings).await,
        MappingCommand::Explain(args) => explain::run(args, settings).await,
        MappingCommand::Scaffold(args) => super::scaffold::run(args, settings).await,
        MappingCommand::Schema => {
            out::line(mapping::file::json_schema().trim_end());
            Ok(Exit::Success)
        }
    }
}
