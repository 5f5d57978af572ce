//! `ficus schedule`: reports by the clock, and somebody who is told.
//!
//! Jobs are cron expressions of the configuration. A slot that is due and was not run is made up
//! for once, by the newest; those before it are written down as missed. Over many processes one
//! runs ([`target::schedule`]); the others wait to take its place.

mod alert;
mod job;

use std::{sync::Arc, time::Duration};

use mapping::plan::Plan;
use reconcile::Verdict;
use target::{
    Target,
    report::Shelf,
    schedule::{Runner, SlotEnd},
};
use tokio_util::sync::CancellationToken;

use self::{
    alert::{Alarm, Alert},
    job::{Due, Job},
};
use super::{
    reconcile::{Comparison, usual_limits, verdict_exit},
    report::Age,
};
use crate::{args::ScheduleArgs, exit::Exit, out, parts, settings::Settings};

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks whether the runner is gone.
const WAIT: Duration = Duration::from_secs(10);

/// Runs the jobs until it is stopped, or what is due with `--once`.
pub(crate) async fn run(args: &ScheduleArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let jobs = job::jobs(settings)?;
    let alert = Alert::new(settings)?;
    let plan = parts::plan(settings).await?;
    drop(backfill::Selection::named(&plan, &job::names(settings))?);
    let target = parts::target(settings, &plan).await?;
    let stop = parts::stop_on_signal()?;
    let mut schedule = Schedule { settings, jobs, alert, plan, target, stop, was_stale: false };
    if args.once {
        return schedule.once().await;
    }
    for job in &schedule.jobs {
        out::note(format!("{}: {} ({}); next {}", job.name, job.cron, job.zone, job.next_text()));
    }
    schedule.follow().await?;
    Ok(Exit::Success)
}

struct Schedule<'a> {
    settings: &'a Settings,
    jobs: Vec<Job>,
    alert: Alert,
    plan: Arc<Plan>,
    target: Arc<Target>,
    stop: CancellationToken,
    /// Whether it was told already that the verdict is stale.
    was_stale: bool,
}

impl Schedule<'_> {
    /// What is due now; its exit code is the worst of what was found.
    async fn once(&mut self) -> anyhow::Result<Exit> {
        let Some(mut runner) = self.runner().await? else {
            out::line("another process runs the schedule");
            return Ok(Exit::Success);
        };
        let mut worst = Exit::Success;
        for index in 0..self.jobs.len() {
            if let Some(exit) = self.due(&mut runner, index).await? {
                worst = worse(worst, exit);
            }
        }
        if self.look_at_age().await? && worst == Exit::Success {
            worst = Exit::Undecided;
        }
        Ok(worst)
    }

    async fn follow(&mut self) -> anyhow::Result<()> {
        let mut runner: Option<Runner> = None;
        while !self.stop.is_cancelled() {
            let pause = match self.turn(&mut runner).await {
                Ok(pause) => pause,
                // A server that is away comes back; what was due then is made up for.
                Err(error) => {
                    tracing::warn!("the schedule waits: {error:#}");
                    runner = None;
                    WAIT
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }

    async fn turn(&mut self, runner: &mut Option<Runner>) -> anyhow::Result<Duration> {
        let Some(held) = runner else {
            *runner = self.runner().await?;
            return Ok(if runner.is_some() { Duration::ZERO } else { WAIT });
        };
        held.check().await?;
        for index in 0..self.jobs.len() {
            Box::pin(self.due(held, index)).await?;
        }
        self.look_at_age().await?;
        Ok(LOOK)
    }

    async fn runner(&self) -> anyhow::Result<Option<Runner>> {
        let owner = format!("{}, process {}", super::quarantine::actor(), std::process::id());
        Ok(self.target.schedule_runner(&owner).await?)
    }

    /// Runs a job, if it is due.
    async fn due(&mut self, runner: &mut Runner, index: usize) -> anyhow::Result<Option<Exit>> {
        let Some(job) = self.jobs.get(index).cloned() else { return Ok(None) };
        let newest = runner.newest_slot(job.name).await?;
        let Some(Due { slot, missed }) = job.due(newest, chrono::Utc::now()) else {
            return Ok(None);
        };
        let news = runner.missed(job.name, &missed).await?;
        if news > 0 {
            self.alert.tell(&Alarm::missed(&job, news)).await;
        }
        if !runner.take(job.name, slot).await? {
            return Ok(None);
        }
        let before = runner.state_before(job.name, slot).await?;
        let outcome = Box::pin(self.compare(&job)).await;
        if self.stop.is_cancelled() && outcome.is_err() {
            let detail = Some("it was stopped".to_owned());
            runner.end(job.name, slot, &SlotEnd { state: "failed", run: None, detail }).await?;
            return Ok(Some(Exit::Interrupted));
        }
        let (end, exit, alarm) = match outcome {
            Ok(compared) => {
                let alarm = Alarm::verdict(&job, compared.number, &compared.report);
                let state = match compared.report.verdict {
                    Verdict::Equal => "equal",
                    Verdict::Different => "different",
                    Verdict::InFlight => "undecided",
                };
                let end = SlotEnd { state, run: Some(compared.number), detail: None };
                (end, verdict_exit(compared.report.verdict), alarm)
            }
            Err(error) => {
                out::failure(&error);
                let alarm = Alarm::failed(&job, &error);
                let detail = Some(format!("{error:#}"));
                (SlotEnd { state: "failed", run: None, detail }, Exit::Error, alarm)
            }
        };
        out::line(&alarm.text);
        // Good news only when there was bad news before.
        if end.state != "equal" || before.is_some_and(|before| before != "equal") {
            self.alert.tell(&alarm).await;
        }
        runner.end(job.name, slot, &end).await?;
        Ok(Some(exit))
    }

    async fn compare(&self, job: &Job) -> anyhow::Result<reconcile::Compared> {
        let mut limits = usual_limits(self.settings)?;
        limits.sample = job.sample;
        let comparison = Comparison {
            settings: self.settings,
            target: Arc::clone(&self.target),
            plan: Arc::clone(&self.plan),
            limits,
            stop: self.stop.clone(),
        };
        Box::pin(comparison.compare(&job.names)).await
    }

    /// Whether the newest full verdict is stale; told when it becomes so.
    async fn look_at_age(&mut self) -> anyhow::Result<bool> {
        let limit = Age::limit(self.settings);
        let runs = Shelf::new(self.target.pool().clone()).newest(500).await?;
        let is_verdict = |state: &str| matches!(state, "equal" | "different" | "undecided");
        let newest = runs.iter().find(|run| run.tier == "full" && is_verdict(&run.state));
        let age = newest.and_then(|run| run.age_ms);
        let is_stale = age.is_none() || limit.is_stale(age);
        if is_stale && !self.was_stale {
            let alarm = Alarm::stale(age);
            out::line(&alarm.text);
            self.alert.tell(&alarm).await;
        }
        self.was_stale = is_stale;
        Ok(is_stale)
    }
}

fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit: Exit| match exit {
        Exit::Success => 0,
        Exit::Undecided => 1,
        Exit::Different => 2,
        Exit::Error | Exit::Usage | Exit::Interrupted => 3,
    };
    if rank(other) > rank(one) { other } else { one }
}
