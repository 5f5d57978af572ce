//! The real binary as a child process.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::LIMIT;

/// A running `ficus`. It is killed when it is dropped.
pub(crate) struct Process {
    command: Command,
    child: Child,
    /// Where its standard error goes.
    log: PathBuf,
    /// What its supervisor does when it ends by itself.
    revived: bool,
    pub(crate) started: Instant,
}

impl Process {
    /// Starts it.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let errors = File::options().create(true).append(true).open(&log).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().expect("the binary starts");
        Self { command, child, log, revived: false, started: Instant::now() }
    }

    /// From now on it is started again when it fails: it does so when Postgres is away at its very
    /// start, for a wrong address looks the same then.
    pub(crate) fn supervised(mut self) -> Self {
        self.revived = true;
        self
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let id = Pid::from_raw(id).expect("a process id");
        kill_process(id, signal).expect("a child of ours");
    }

    /// SIGKILL, and the end of it.
    pub(crate) async fn kill(mut self) {
        self.child.kill().expect("a child of ours");
        self.wait().await;
    }

    /// SIGTERM, and a clean end.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait().await;
        assert_eq!(status.code(), Some(0), "it ends cleanly:\n{}", self.words());
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        self.revived = false;
        let since = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(since.elapsed() < LIMIT, "it does not end:\n{}", self.words());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.try_wait().expect("a child of ours")?;
        if self.revived && ended.code() == Some(3) {
            self.child = self.command.spawn().expect("the binary starts");
            return None;
        }
        Some(ended)
    }

    /// The most memory that it has had, in megabytes.
    pub(crate) fn peak_megabytes(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Its memory, in megabytes.
    pub(crate) fn megabytes(&self) -> u64 {
        self.status("VmRSS:")
    }

    fn status(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a child of ours");
        let line = status.lines().find(|line| line.starts_with(field)).expect("a line");
        let kilobytes: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("it");
        kilobytes / 1024
    }

    /// The last of what it, and those before it, have said.
    pub(crate) fn words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}
