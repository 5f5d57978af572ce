//! The commands: one file each.

mod assess;
mod backfill;
mod catalog;
mod config;
mod consume;
mod decode;
mod domain;
mod mapping;
mod metrics;
mod migrate;
mod quarantine;
mod reconcile;
mod report;
mod routes;
mod scaffold;
mod schedule;
mod serve;
mod status;
mod stream;
mod work;

pub(crate) use self::{
    backfill::{advance_domains, copy},
    consume::{modes as consumer_modes, settings as consumer_settings},
    domain::cut_over,
    migrate::migrate as migrate_quietly,
    quarantine::listing as quarantine_listing,
    reconcile::compare,
    serve::bind as bind_api,
    status::{COUNTS_HEADER, counts_row},
};

use crate::{
    args::{Args, Command},
    demo,
    exit::Exit,
    settings::Settings,
};

/// Runs the command.
pub(crate) async fn run(args: &Args, settings: Settings) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Demo(args) => Box::pin(demo::run(args, settings)).await,
        Command::Migrate => migrate::run(&settings).await,
        Command::Backfill(args) => backfill::run(args, &settings).await,
        Command::Consume(args) => consume::run(args, &settings).await,
        Command::Stream(command) => stream::run(command, &settings).await,
        Command::Reconcile(args) => reconcile::run(args, &settings).await,
        Command::Report(command) => report::run(command, &settings).await,
        Command::Schedule(args) => Box::pin(schedule::run(args, &settings)).await,
        Command::Serve(args) => serve::run(args, &settings).await,
        Command::Work(args) => Box::pin(work::run(args, &settings)).await,
        Command::Routes(args) => routes::run(args, &settings).await,
        Command::Domain(command) => domain::run(command, &settings).await,
        Command::Quarantine(command) => quarantine::run(command, &settings).await,
        Command::Assess(args) => Box::pin(assess::run(args, &settings)).await,
        Command::Status { json } => status::run(*json, &settings).await,
        Command::Mapping(command) => mapping::run(command, &settings).await,
        Command::Catalog(command) => catalog::run(command, &settings).await,
        Command::Decode(args) => decode::run(args, &settings).await,
        Command::Config(command) => config::run(command, &settings).await,
    }
}
