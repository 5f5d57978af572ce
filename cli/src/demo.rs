//! `ficus demo`: the whole road, once, on parts that need nothing but this binary.
//!
//! It runs the same functions as the commands, on settings that point at the sandbox. A part
//! that is named by a flag (`--legacy`, `--kafka`, `--target`) is used instead of the embedded one.

mod requests;
mod stage;
mod story;
mod summary;

use std::sync::Arc;

use anyhow::Context;
use mapping::plan::Plan;
use target::{Role, Target};
use tokio_util::sync::CancellationToken;

use self::stage::Stage;
use crate::{
    args::{BackfillArgs, DemoArgs},
    command,
    exit::Exit,
    out, parts,
    settings::Settings,
};

/// The domains that the demo hands over, in this order.
const DOMAINS: [&str; 2] = ["property-owners", "contracts"];

/// Walks the road. Everything it started is gone when it returns.
pub(crate) async fn run(args: &DemoArgs, mut settings: Settings) -> anyhow::Result<Exit> {
    let stop = parts::stop_on_signal()?;
    let stage = tokio::select! {
        stage = Stage::build(args, &mut settings) => stage?,
        () = stop.cancelled() => return Ok(Exit::Interrupted),
    };
    let exit = tokio::select! {
        exit = walk(args, &settings, &stage, &stop) => exit,
        () = stop.cancelled() => {
            out::note("\nstopping: everything that was started is taken down");
            Ok(Exit::Interrupted)
        }
    };
    stage.strike().await;
    exit
}

async fn walk(
    args: &DemoArgs,
    settings: &Settings,
    stage: &Stage,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    story::step("the schema is migrated");
    command::migrate_quietly(settings).await?;
    let plan = parts::plan(settings).await?;
    let target = parts::writing_target(settings, &plan).await?;

    parts::learn_object_types(settings, &target).await?;
    // Children of one token, so that everything ends when this function does.
    let ended = stop.child_token();
    let guard = ended.clone().drop_guard();
    let consumer = Consumer::start(settings, &target, &plan, ended.clone())?;
    let writer = stage.start_writer(&plan, ended.child_token())?;

    story::step("all tables are copied, while a writer keeps changing the legacy database");
    let copied = command::copy(&everything(), settings, &target, &plan, ended.clone()).await?;
    command::advance_domains(&target, &plan, &[]).await?;
    story::copied(&copied);
    summary::pace(&consumer);

    story::step("legacy and target are compared, while both are written to");
    let moving = command::compare(settings, &target, &plan, &[], ended.clone()).await?;
    story::verdict(&moving);

    story::step("the legacy screens of the two domains are frozen: the writer stops");
    let written = writer.stop().await?;
    let repaired = stage.repair()?;
    story::written(&written, &repaired);
    let names: Vec<String> = DOMAINS.iter().map(ToString::to_string).collect();
    let frozen = command::compare(settings, &target, &plan, &[], ended.clone()).await?;
    out::line(frozen.to_brief());

    story::step("the domains are handed over");
    let owner = target::connect(&parts::postgres(settings, Role::Owner)?).await?;
    let mut handed_over = true;
    for domain in &names {
        handed_over &= story::hand_over(settings, &target, &owner, domain).await?;
    }

    story::step("the API answers");
    let served = requests::ask(settings, &plan, ended.clone()).await?;

    let consumer = if args.keep { consumer } else { consumer.stop().await? };
    let agreed = summary::print(&target, stage, &[&moving, &frozen], &consumer).await?;
    if args.keep {
        story::keep(settings, &served.address.to_string(), &served.token);
        stop.cancelled().await;
    }
    drop(guard);
    Ok(if agreed && handed_over && served.as_expected { Exit::Success } else { Exit::Different })
}

fn everything() -> BackfillArgs {
    BackfillArgs::default()
}

/// The consumer, beside everything else.
pub(crate) struct Consumer {
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<Result<cdc_consumer::Report, cdc_consumer::Error>>>,
    progress: tokio::sync::watch::Receiver<cdc_consumer::Progress>,
}

impl Consumer {
    fn start(
        settings: &Settings,
        target: &Arc<Target>,
        plan: &Arc<Plan>,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let consumer = command::consumer_settings(settings)?;
        let (sender, progress) = tokio::sync::watch::channel(cdc_consumer::Progress::default());
        let (target, plan) = (Arc::clone(target), Arc::clone(plan));
        let token = stop.child_token();
        let task = tokio::spawn(cdc_consumer::run(consumer, target, plan, sender, token.clone()));
        Ok(Self { stop: token, task: Some(task), progress })
    }

    /// Stops it and tells if it had failed.
    async fn stop(mut self) -> anyhow::Result<Self> {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            task.await.context("the consumer's task ended early")??;
        }
        Ok(self)
    }

    /// What it says of itself.
    pub(crate) fn progress(&self) -> cdc_consumer::Progress {
        self.progress.borrow().clone()
    }
}
