//! Servers as processes of their own.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};
use tokio_util::sync::CancellationToken;

use crate::cost;

pub(crate) struct Child {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    process: tokio::process::Child,
}

impl Child {
    /// This program again, as a server.
    pub(crate) async fn api(database: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--serve", database]);
        Self::start("the API", command).await
    }

    /// The Node peer, where its packages are installed.
    pub(crate) async fn peer(database: &str) -> anyhow::Result<Option<Self>> {
        if !Self::has_peer() {
            return Ok(None);
        }
        let mut command = Command::new("node");
        command.arg(peer().join("server.mjs")).env("DATABASE_URL", database);
        command.env("POOL", super::POOL.to_string()).env("NODE_ENV", "production");
        Self::start("Hono and Drizzle on Node", command).await.map(Some)
    }

    pub(crate) fn has_peer() -> bool {
        peer().join("node_modules").is_dir()
    }

    /// It says its address on the first line, and ends with its standard input.
    async fn start(name: &'static str, mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().with_context(|| format!("starting {name}"))?;
        let stdout = process.stdout.take().context("no standard output")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let line = line.with_context(|| format!("{name} did not start"))?;
        let address = line.parse().with_context(|| format!("{name} says `{line}`"))?;
        Ok(Self { name, address, process })
    }

    pub(crate) fn process(&self) -> anyhow::Result<u32> {
        self.process.id().context("the server has ended")
    }

    /// In bytes.
    pub(crate) fn memory_peak(&self) -> anyhow::Result<u64> {
        let peak = cost::memory_of(&self.process()?.to_string(), "VmHWM:");
        ensure!(peak > 0, "{} does not tell its memory", self.name);
        Ok(peak)
    }

    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        drop(self.process.stdin.take());
        self.process.wait().await?;
        Ok(())
    }
}

fn peer() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/api")
}

/// Serves the API until standard input ends.
pub(crate) async fn serve(database: &str) -> anyhow::Result<()> {
    let pool = super::api_pool(database).await?;
    let stop = CancellationToken::new();
    let settings = api::Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        legacy_http: None,
        cursor_key: b"of the bench".to_vec(),
        legacy_keys: Arc::new(|_, _| None),
        objects: None,
        attachment_bytes_max: 0,
        sessions: api::sessions::Settings::with_key(b"of the bench, too".to_vec()),
        limits: api::limits::Settings::unlimited(),
        dependencies: Vec::new(),
    };
    let bound = api::bind(settings, pool, stop.clone()).await?;
    writeln!(std::io::stdout(), "{}", bound.address()?)?;
    let serving = tokio::spawn(bound.serve(stop.clone()));
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    stop.cancel();
    Ok(serving.await??)
}
