//! Speed beside its limits, in one run: `cargo run --release -p bench`.
//!
//! Each file is one benchmark; `README.md` says what its numbers mean. The legacy server, the
//! broker, Postgres and the engine share the same cores, so the ratio to a limit measured in the
//! same minute says more than a rate, and the CPU time for each row more than both.
//!
//! `cargo bench -p bench` has criterion ask two of them, mapping and keys, in small: for what
//! changed since its last run.

mod args;
mod cost;
mod data;
mod figure;
mod fill;
mod key_bench;
mod keys;
mod map;
mod memory;
mod place;
pub mod sample;
mod serve;
mod stream;
mod verdict;

use std::{
    io::Write,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::Context;
use clap::Parser;
use mapping::plan::Plan;
use tokio::runtime::{Builder, Runtime};

use args::{Args, What};
use figure::Figure;
pub use key_bench::KeyBench;
use place::Place;

/// Spacehub's mapping.
///
/// # Errors
/// When it has mistakes.
pub fn plan() -> anyhow::Result<Plan> {
    Plan::compile(&spacehub::mappings(), &spacehub::catalog()?)
        .map_err(|mistakes| anyhow::anyhow!("the mapping has {} mistakes", mistakes.len()))
}

/// The program.
///
/// # Errors
/// Whatever keeps something from being measured.
pub fn run() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let engine = threads("engine", cores)?;
    if let Some(database) = &args.serve {
        engine.block_on(serve::serve(database))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(task) = args.work {
        engine.block_on(Box::pin(memory::work(task)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let legacy = threads("legacy", cores)?;
    let figures = engine.block_on(Box::pin(measure(&args, &legacy, cores)))?;
    if args.json {
        let all: Vec<_> = figures.iter().map(Figure::json).collect();
        let report = serde_json::json!({ "cores": cores, "rows": args.rows(), "figures": all });
        writeln!(std::io::stdout(), "{report:#}")?;
    }
    let missed = figures.iter().filter(|figure| !figure.is_good()).count();
    Ok(if args.check && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Threads whose CPU time can be told by their names.
fn threads(name: &'static str, count: usize) -> anyhow::Result<Runtime> {
    let next = AtomicUsize::new(0);
    Builder::new_multi_thread()
        .worker_threads(count)
        .thread_name_fn(move || format!("{name}-{}", next.fetch_add(1, Ordering::Relaxed)))
        .enable_all()
        .build()
        .context("can't start the threads")
}

async fn measure(args: &Args, legacy: &Runtime, cores: usize) -> anyhow::Result<Vec<Figure>> {
    let place = Place::start(legacy.handle().clone(), args).await?;
    let mut talk = Talk { json: args.json, figures: Vec::new() };
    talk.say(&format!(
        "{} rows, {} run(s), {cores} cores shared by everything, Postgres {} with synchronous \
         commits, legacy server over {}",
        args.rows(),
        args.runs(),
        place.source(),
        if args.tls { "TLS" } else { "plain TCP" },
    ))?;
    if cfg!(debug_assertions) {
        talk.say("this is a debug build: the figures mean nothing, use --release")?;
    }
    if args.wants(What::Mapping) {
        talk.tell(map::measure(&place, args)?)?;
    }
    if args.wants(What::Keys) {
        talk.tell(keys::measure(&place, args).await?)?;
    }
    if args.wants(What::Backfill) {
        talk.tell(Box::pin(fill::measure(&place, args)).await?)?;
    }
    if args.wants(What::Reconcile) {
        talk.tell(Box::pin(verdict::measure(&place, args)).await?)?;
    }
    if args.wants(What::Memory) {
        talk.tell(Box::pin(memory::measure(&place, args)).await?)?;
    }
    if args.wants(What::Apply) {
        talk.tell(Box::pin(stream::measure(&place, args)).await?)?;
    }
    if args.wants(What::Serve) {
        talk.tell(Box::pin(serve::measure(&place, args)).await?)?;
    }
    if args.wants(What::Whole) {
        if args.kafka.is_none() {
            talk.say("whole      not measured: name a real broker with --kafka")?;
        }
        talk.tell(Box::pin(stream::whole::measure(&place, args)).await?)?;
    }
    place.stop().await;
    Ok(talk.figures)
}

/// Tells figures as they come.
struct Talk {
    json: bool,
    figures: Vec<Figure>,
}

impl Talk {
    fn tell(&mut self, figures: Vec<Figure>) -> anyhow::Result<()> {
        for figure in figures {
            self.say(&figure.text())?;
            self.figures.push(figure);
        }
        Ok(())
    }

    fn say(&self, text: &str) -> anyhow::Result<()> {
        if self.json {
            writeln!(std::io::stderr(), "{text}")?;
        } else {
            writeln!(std::io::stdout(), "{text}")?;
        }
        Ok(())
    }
}
