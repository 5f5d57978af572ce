//! A TDS 7.4 server on loopback that answers for a [`Database`].
//!
//! It answers exactly the statements that the engine sends (see [`crate::legacy`]); it is a
//! fixture, written from the same protocol reading as its tests, and no evidence about SQL
//! Server. Not there: MARS, bulk load, cursors, prepared handles, encryption of the login
//! alone, TDS 8.

mod connection;
mod faults;
mod login;
mod packet;
mod request;
mod tls;
mod token;
mod types;

use std::{fmt, io, net::SocketAddr, sync::Arc};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::connection::Shared;
pub use self::faults::Faults;
use crate::legacy::Database;

/// Which encryption the server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tls {
    /// None.
    Off,
    /// Whatever the client asks for. The certificate is self-signed.
    #[default]
    Optional,
    /// TLS or no login.
    Required,
}

/// How the server is started.
#[derive(Clone)]
pub struct Options {
    /// The one login.
    pub login: String,
    /// Its password.
    pub password: String,
    /// Encryption.
    pub tls: Tls,
    /// Port on 127.0.0.1; 0 for any free one.
    pub port: u16,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("login", &self.login)
            .field("tls", &self.tls)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    faults: Faults,
    stopped: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// A port in use, or a certificate that can't be made.
    pub async fn start(database: Database, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let acceptor = if options.tls == Tls::Off { None } else { Some(tls::acceptor()?) };
        let faults = Faults::default();
        let shared = Arc::new(Shared { database, options, acceptor, faults: faults.clone() });
        let server = Self {
            address: listener.local_addr()?,
            faults,
            stopped: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (stopped, tasks) = (server.stopped.clone(), server.tasks.clone());
        server.tasks.spawn(accept(listener, shared, stopped, tasks));
        server.tasks.close();
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Faults to inject, shared by all connections.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Closes every connection and stops listening.
    pub async fn stop(self) {
        self.stopped.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    stopped: CancellationToken,
    tasks: TaskTracker,
) {
    while let Some(accepted) = stopped.run_until_cancelled(listener.accept()).await {
        let Ok((stream, peer)) = accepted else {
            // Out of file handles, most likely: give the others time to end.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
        tasks.spawn(async move {
            let served = stopped.run_until_cancelled(connection::serve(stream, shared)).await;
            if let Some(Err(error)) = served {
                tracing::debug!(%peer, %error, "legacy connection ended");
            }
        });
    }
}

#[cfg(test)]
mod tests;
