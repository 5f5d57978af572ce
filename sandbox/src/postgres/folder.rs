//! The folder of one running server, and who removes it.
//!
//! Normally the server's owner does. A process that is killed can't, and a static of a test
//! process is never dropped, so a *janitor* stands by: a shell that waits for the end of our
//! pipe, asks the server to stop, and removes the folder. What even that leaves behind (a power
//! cut) is swept by the next start. A lock on a file in the folder tells the living from the
//! dead: the kernel releases it with the process.

use std::{
    env,
    fs::{self, File},
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::{Error, account};

const PREFIX: &str = "ficus-pg-";
const LOCK: &str = "lock";
const UNLOCKED: &str = "lock.new";

/// A folder without its lock file may have been made a moment ago.
const SETTLING: Duration = Duration::from_secs(60);

/// `sun_path` holds 104 bytes on macOS, 108 on Linux, the closing NUL included.
const SOCKET_PATH_MAX: usize = 103;
const SOCKET_FILE: &str = ".s.PGSQL.5432.lock";

/// Ends a server whose owner is gone, then removes its folders. `$0` is the data folder, `$@`
/// the folders. The pid file is gone as soon as the server has stopped.
const JANITOR: &str = r#"
while read -r _; do :; done
pid_file="$0/postmaster.pid"
tries=0
while [ -f "$pid_file" ] && [ "$tries" -lt 100 ]; do
    pid=$(head -n 1 "$pid_file") && [ -n "$pid" ] && kill -QUIT "$pid" || break
    tries=$((tries + 1))
    sleep 0.1
done
# Whoever was just killed may still finish its last file.
for _ in 1 2 3; do rm -rf -- "$@" && break; sleep 1; done
"#;

/// A server's folders.
#[derive(Debug)]
pub(super) struct Folder {
    root: Held,
    /// Elsewhere when the root's path is too long for a socket.
    sockets: Option<Held>,
    janitor: Option<Child>,
}

/// A folder that no sweep touches while we live.
#[derive(Debug)]
struct Held {
    folder: TempDir,
    _lock: File,
}

impl Folder {
    /// Creates the folders under `parent`, after sweeping what dead processes left there.
    pub(super) fn create(
        parent: Option<&Path>,
        account: Option<&account::Account>,
    ) -> Result<Self, Error> {
        let parent = parent.map_or_else(|| default_parent(account), Path::to_path_buf);
        fs::create_dir_all(&parent).map_err(|cause| Error::io("create", &parent, cause))?;
        sweep(&parent);
        let root = Held::create_in(&parent)?;
        let sockets = if fits_socket(root.path()) { None } else { Some(short_folder()?) };
        let mut folder = Self { root, sockets, janitor: None };
        fs::create_dir(folder.data()).map_err(|cause| Error::io("create", folder.data(), cause))?;
        for private in [folder.root(), folder.sockets(), &folder.data()] {
            account::make_private(private, account)
                .map_err(|cause| Error::io("set the owner of", private, cause))?;
        }
        if let Some(account) = account
            && !account::is_open_to_all(&parent)
        {
            return Err(Error::Unreachable { folder: parent, user: account.name.clone() });
        }
        folder.janitor = spawn_janitor(&folder);
        Ok(folder)
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.path().join("log")
    }

    pub(super) fn sockets(&self) -> &Path {
        self.sockets.as_ref().unwrap_or(&self.root).path()
    }

    /// Removes everything. The server must have stopped.
    pub(super) fn remove(self) {
        let Self { root, sockets, janitor } = self;
        for held in [Some(root), sockets].into_iter().flatten() {
            let path = held.path().to_path_buf();
            if let Err(cause) = held.folder.close() {
                tracing::warn!(folder = %path.display(), %cause, "can't remove the folder");
            }
        }
        if let Some(mut janitor) = janitor {
            drop(janitor.stdin.take()); // it finds nothing to do
            if let Err(cause) = janitor.wait() {
                tracing::warn!(%cause, "can't wait for the janitor");
            }
        }
    }
}

/// The temp folder; for root, `/tmp` when TMPDIR is closed to the server's account.
fn default_parent(account: Option<&account::Account>) -> PathBuf {
    let parent = env::temp_dir();
    if account.is_some() && !account::is_open_to_all(&parent) {
        return PathBuf::from("/tmp");
    }
    parent
}

impl Held {
    /// The lock file is locked before it gets its name: one that a sweep can open while nobody
    /// holds it belongs to the dead.
    fn create_in(parent: &Path) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(parent)
            .map_err(|cause| Error::io("create a folder in", parent, cause))?;
        let (unlocked, locked) = (folder.path().join(UNLOCKED), folder.path().join(LOCK));
        let lock =
            File::create_new(&unlocked).map_err(|cause| Error::io("create", &unlocked, cause))?;
        lock.lock().map_err(|cause| Error::io("lock", &unlocked, cause))?;
        fs::rename(&unlocked, &locked).map_err(|cause| Error::io("create", &locked, cause))?;
        Ok(Self { folder, _lock: lock })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn short_folder() -> Result<Held, Error> {
    let folder = Held::create_in(Path::new("/tmp"))?;
    if fits_socket(folder.path()) {
        Ok(folder)
    } else {
        Err(Error::SocketPathTooLong(folder.path().to_path_buf()))
    }
}

fn fits_socket(folder: &Path) -> bool {
    folder.as_os_str().as_bytes().len() + 1 + SOCKET_FILE.len() <= SOCKET_PATH_MAX
}

fn spawn_janitor(folder: &Folder) -> Option<Child> {
    Command::new("/bin/sh")
        .arg("-c")
        .arg(JANITOR)
        .arg(folder.data())
        .arg(folder.root())
        .arg(folder.sockets())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0) // Ctrl-C is for us
        .spawn()
        .inspect_err(|cause| tracing::warn!(%cause, "no janitor: a crash will leave files"))
        .ok()
}

/// Removes the folders of processes that are gone, as far as they are ours to remove.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let folder = entry.path();
        let ours = entry.file_name().as_bytes().starts_with(PREFIX.as_bytes());
        if ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_abandoned(&folder) {
            match fs::remove_dir_all(&folder) {
                Ok(()) => tracing::info!(folder = %folder.display(), "swept an old data folder"),
                Err(cause) => tracing::debug!(folder = %folder.display(), %cause, "not swept"),
            }
        }
    }
}

fn is_abandoned(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        // The server of a dead owner may still be writing its last page.
        Ok(lock) => lock.try_lock().is_ok() && !server_is_alive(folder),
        Err(_) => {
            let age = fs::metadata(folder).ok().and_then(|m| m.modified().ok()?.elapsed().ok());
            age.is_some_and(|age| age > SETTLING)
        }
    }
}

fn server_is_alive(folder: &Path) -> bool {
    let pid_file = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
    let pid = pid_file.lines().next().and_then(|line| line.trim().parse::<i32>().ok());
    let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else { return false };
    match rustix::process::test_kill_process(pid) {
        Ok(()) => true,
        Err(refusal) => refusal == rustix::io::Errno::PERM,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_folder_that_is_just_being_made_is_not_swept() {
        let parent = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        let swept = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    sweep(parent.path());
                }
            });
            let is_swept = |_: &u32| {
                Held::create_in(parent.path()).map_or(true, |held| !held.path().join(LOCK).exists())
            };
            let swept = (0..2_000).filter(is_swept).count();
            done.store(true, Ordering::Relaxed);
            swept
        });
        assert_eq!(swept, 0);
    }
}
