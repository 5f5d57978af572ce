//! The server process: made by `initdb`, started, watched and stopped by one thread.
//!
//! The kernel sends the death signal when the *thread* that spawned the child ends, so the
//! thread that spawns the server lives as long as the server does.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    Error,
    account::{self, Account},
    folder::Folder,
};

/// How long a server may take to stop politely.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(20);

/// What the server is started with.
pub(super) struct Setup {
    pub(super) binaries: std::path::PathBuf,
    pub(super) account: Option<Account>,
    pub(super) folder: Folder,
    pub(super) durable: bool,
    /// Further settings, as `name=value`; they win.
    pub(super) settings: Vec<String>,
    /// Set when nobody waits for the server any more.
    pub(super) abandoned: Arc<AtomicBool>,
}

/// How a server is stopped before it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Sessions are ended, everything is written.
    Fast,
    /// As after a crash: what was not flushed is lost, and the log is replayed.
    Immediate,
}

/// Where a restart's result goes.
type Restarted = mpsc::Sender<Result<(), Error>>;

/// A wish to the thread that keeps the server.
struct Restart {
    how: Shutdown,
    /// The server stays away for so long.
    away: Duration,
    done: Restarted,
}

/// A running server, held by its thread. Dropping it stops the server and waits for that.
#[derive(Debug)]
pub(super) struct Server {
    restarts: Option<mpsc::Sender<Restart>>,
    keeper: Option<JoinHandle<()>>,
}

impl Server {
    /// Makes the data folder and starts the server; it may not answer yet. `ended` gets the
    /// server's last words if it ends by itself.
    pub(super) fn start(setup: Setup, ended: mpsc::Sender<String>) -> Result<Self, Error> {
        let (started_sender, started) = mpsc::channel();
        let (restarts, wishes) = mpsc::channel();
        let keeper = std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || keep(setup, &started_sender, &wishes, &ended))
            .map_err(|cause| Error::io("start a thread for", "postgres", cause))?;
        match started.recv() {
            Ok(Ok(())) => Ok(Self { restarts: Some(restarts), keeper: Some(keeper) }),
            Ok(Err(cause)) => {
                drop(keeper.join()); // it is removing the folder
                Err(cause)
            }
            Err(mpsc::RecvError) => Err(Error::KeeperGone),
        }
    }

    /// Stops the server, waits, and starts it again over its data; it may not answer yet.
    pub(super) fn restart(&self, how: Shutdown, away: Duration) -> Result<(), Error> {
        let (done, restarted) = mpsc::channel();
        let restarts = self.restarts.as_ref().ok_or(Error::KeeperGone)?;
        restarts.send(Restart { how, away, done }).map_err(|_| Error::KeeperGone)?;
        restarted.recv().map_err(|_| Error::KeeperGone)?
    }

    /// Stops the server and removes its folder.
    pub(super) fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.restarts.take());
        if self.keeper.take().is_some_and(|keeper| keeper.join().is_err()) {
            tracing::error!("the thread that kept Postgres panicked");
        }
    }
}

fn keep(
    setup: Setup,
    started: &mpsc::Sender<Result<(), Error>>,
    wishes: &mpsc::Receiver<Restart>,
    ended: &mpsc::Sender<String>,
) {
    let child = initdb(&setup).and_then(|()| spawn(&setup));
    let result = child.map(|child| (child, started.send(Ok(()))));
    match result {
        Ok((mut child, Ok(()))) => {
            while let Some(wish) = watch(&mut child, wishes, ended, &setup.folder.log()) {
                end(&mut child, wish.how);
                std::thread::sleep(wish.away);
                let again = spawn(&setup).map(|spawned| child = spawned);
                drop(wish.done.send(again)); // who asked may have gone
            }
            end(&mut child, Shutdown::Immediate);
        }
        Ok((mut child, Err(_))) => end(&mut child, Shutdown::Immediate),
        Err(cause) => drop(started.send(Err(cause))), // nobody waits: nothing to tell
    }
    setup.folder.remove();
}

/// Returns when somebody wants the server to start again; `None` when it is to stop, or has ended.
fn watch(
    child: &mut Child,
    wishes: &mpsc::Receiver<Restart>,
    ended: &mpsc::Sender<String>,
    log: &Path,
) -> Option<Restart> {
    loop {
        match wishes.recv_timeout(TICK) {
            Ok(wish) => return Some(wish),
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if let Ok(Some(status)) = child.try_wait() {
            let words = format!("{status}: {}", tail(&fs::read_to_string(log).unwrap_or_default()));
            tracing::error!(words, "Postgres ended by itself");
            drop(ended.send(words)); // nobody listens after the start
            return None;
        }
    }
}

/// Asks the server to end, then insists. At the very end an immediate shutdown is enough: a fast
/// one would first write everything to a disk from which it is removed right afterwards.
fn end(child: &mut Child, how: Shutdown) {
    let ask = match how {
        Shutdown::Fast => Signal::INT,
        Shutdown::Immediate => Signal::QUIT,
    };
    for signal in [ask, Signal::KILL] {
        if let Ok(Some(_)) = child.try_wait() {
            return;
        }
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let Some(Err(cause)) = pid.map(|pid| kill_process(pid, signal)) {
            tracing::warn!(%cause, "can't signal Postgres");
        }
        let asked = Instant::now();
        while asked.elapsed() < STOP_LIMIT {
            if let Ok(Some(_)) = child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn initdb(setup: &Setup) -> Result<(), Error> {
    let program = setup.binaries.join("initdb");
    let mut command = account::command(&program, setup.account.as_ref(), setup.folder.root());
    command.arg("-D").arg(setup.folder.data()).args(["-U", super::SUPERUSER, "-A", "trust"]);
    command.args(["-E", "UTF8", "--locale=C", "--no-instructions"]);
    if !setup.durable {
        command.arg("--no-sync");
    }
    die_with_us(&mut command);
    command.process_group(0); // Ctrl-C is for us
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|cause| Error::io("run", &program, cause))?;
    while !setup.abandoned.load(Ordering::Relaxed) {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(TICK),
            Ok(Some(_)) | Err(_) => break,
        }
    }
    if setup.abandoned.load(Ordering::Relaxed) {
        end(&mut child, Shutdown::Immediate);
    }
    let output = child.wait_with_output().map_err(|cause| Error::io("run", &program, cause))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failure(setup, &words).unwrap_or(Error::Initdb { output: tail(&words) }))
}

fn spawn(setup: &Setup) -> Result<Child, Error> {
    let log_path = setup.folder.log();
    let log = File::options().create(true).append(true).open(&log_path);
    let log = log.map_err(|cause| Error::io("create", &log_path, cause))?;
    let errors = log.try_clone().map_err(|cause| Error::io("open", &log_path, cause))?;
    let program = setup.binaries.join("postgres");
    let mut command = account::command(&program, setup.account.as_ref(), setup.folder.root());
    command.arg("-D").arg(setup.folder.data()).arg("-k").arg(setup.folder.sockets());
    let further = setup.settings.iter().map(String::as_str);
    for setting in settings(setup.durable).into_iter().chain(further) {
        command.args(["-c", setting]);
    }
    command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
    die_with_us(&mut command);
    command.spawn().map_err(|cause| Error::io("run", &program, cause))
}

/// Linux only; elsewhere the janitor does it.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a hook between fork and exec has no safe form")]
fn die_with_us(command: &mut std::process::Command) {
    let hook =
        || rustix::process::set_parent_process_death_signal(Some(Signal::QUIT)).map_err(Into::into);
    // SAFETY: the hook makes one system call; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(hook) };
}

#[cfg(not(target_os = "linux"))]
fn die_with_us(_: &mut std::process::Command) {}

/// Nothing here weakens a durable server; `fsync=off` and its kin are for tests.
fn settings(durable: bool) -> Vec<&'static str> {
    let mut settings = vec![
        "listen_addresses=", // the socket only: no port to race for
        "port=5432",
        "max_connections=200",
        "shared_buffers=256MB",
        "max_wal_size=2GB",
        "timezone=UTC",
        "log_timezone=UTC",
    ];
    if !durable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
    }
    settings
}

/// The clearer sentence for a failure that Postgres told us in its words.
fn failure(setup: &Setup, words: &str) -> Option<Error> {
    if words.contains("No space left on device") {
        return Some(Error::DiskFull(setup.folder.root().to_path_buf()));
    }
    None
}

/// The clearer sentence for a server that ended while starting.
pub(super) fn start_failure(words: String, folder: &Path) -> Error {
    if words.contains("No space left on device") {
        Error::DiskFull(folder.to_path_buf())
    } else if words.contains("Address already in use") || words.contains("lock file") {
        Error::SocketInUse(folder.to_path_buf())
    } else {
        Error::Ended { log: words }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(6)..).unwrap_or_default().join("; ")
}
