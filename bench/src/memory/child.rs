//! The measured process: this program again.

use std::{io::Write as _, net::SocketAddr, process::Stdio, sync::Arc, time::Instant};

use anyhow::{Context as _, ensure};
use backfill::{Job, Scope, Silent};
use clap::ValueEnum;
use reconcile::{EntityReport, Settings, Source, Start, Verdict, Watch, paranoid::Rules};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt as _, process::Command};
use tokio_util::sync::CancellationToken;

use super::ENTITY;
use crate::{cost, figure::real, place};

/// Rows of the independent check, as `ficus reconcile` makes it unless told otherwise.
const INDEPENDENT_ROWS: u64 = 200;

/// What the process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// Copies the table.
    Copy,
    /// Compares it.
    Compare,
    /// Compares it by what has changed since the last time.
    CompareSince,
}

/// Where it works.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) database: String,
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
}

/// What it did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Rows that arrived, or that were compared.
    pub(crate) rows: u64,
    pub(crate) different: u64,
    pub(crate) verdict: Option<Verdict>,
    milliseconds: u64,
    /// Of the whole process's resident memory; bytes.
    pub(crate) peak: u64,
}

impl Done {
    pub(crate) fn per_second(&self) -> f64 {
        real(self.rows) * 1000.0 / real(self.milliseconds.max(1))
    }
}

impl Work {
    /// Has a process of its own do it.
    pub(crate) async fn start(&self, task: Task) -> anyhow::Result<Done> {
        let name = task.to_possible_value().context("a task without a name")?;
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--work", name.get_name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting a process")?;
        let mut stdin = process.stdin.take().context("no standard input")?;
        stdin.write_all(&serde_json::to_vec(self)?).await?;
        drop(stdin);
        let output = process.wait_with_output().await?;
        ensure!(output.status.success(), "the process that had to {} failed", name.get_name());
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Does it, as the process of its own.
pub(crate) async fn work(task: Task) -> anyhow::Result<()> {
    let work: Work = serde_json::from_reader(std::io::stdin())?;
    let began = Instant::now();
    let (rows, different, verdict) = match task {
        Task::Copy => (copy(&work).await?, 0, None),
        Task::Compare => compare(&work, Start::Anew).await?,
        Task::CompareSince => compare(&work, Start::Since).await?,
    };
    let milliseconds = u64::try_from(began.elapsed().as_millis())?;
    let done = Done { rows, different, verdict, milliseconds, peak: cost::memory("VmHWM:") };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&done)?)?;
    Ok(())
}

async fn copy(work: &Work) -> anyhow::Result<u64> {
    let plan = Arc::new(crate::plan()?);
    let report = backfill::run(Job {
        settings: backfill::Settings::default(),
        legacy: place::login(work.address, work.tls),
        target: place::engine(work.database.clone(), &plan).await?,
        selection: backfill::Selection::named(&plan, &[ENTITY.to_owned()])?,
        plan,
        scope: Scope::Whole,
        progress: Arc::new(Silent),
        cancel: CancellationToken::new(),
    })
    .await?;
    ensure!(report.is_complete(), "the copy is not complete");
    Ok(report.tables.iter().map(|table| table.counts.applied).sum())
}

async fn compare(work: &Work, start: Start) -> anyhow::Result<(u64, u64, Option<Verdict>)> {
    let plan = Arc::new(crate::plan()?);
    let login = place::login(work.address, work.tls);
    let rules = Arc::new(Rules::read(&spacehub::mappings()));
    let independent = Some((rules, INDEPENDENT_ROWS));
    let report = reconcile::run(
        &Settings { start, independent, ..Settings::usual() },
        &Source { reader: login.clone(), marker: Some(login) },
        place::engine(work.database.clone(), &plan).await?,
        plan,
        &reconcile::Selection { names: vec![ENTITY.to_owned()] },
        &Watch::nobody(),
    )
    .await?;
    let rows = report.entities.iter().map(|entity| entity.rows.read).sum();
    let different = report.entities.iter().map(EntityReport::different).sum();
    Ok((rows, different, Some(report.verdict)))
}
