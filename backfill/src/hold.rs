//! Reasons to wait: somebody's word, the hour, a server that has enough to do.
//!
//! The first two are looked for twice a second, and a statement that runs is ended for them. The
//! server is asked by whoever is about to begin with a chunk or a further statement.

use std::{sync::Arc, time::Duration};

use legacy::{Session, pace::Pace};
use target::{Target, hold::Process};
use tokio::{sync::watch, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::{Error, settings::Settings, shared::Shared, window::Window};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// How long an answer to "is the server busy?" holds, for the other readers.
const FRESH: Duration = Duration::from_secs(1);
/// A server that needs longer for its answer is busy.
const ANSWER: Duration = Duration::from_secs(10);

/// Why nothing is read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Somebody asked for it.
    Paused {
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// It is not the hour.
    Shut(Window),
    /// The operator's query says that the server has enough to do.
    Busy,
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paused { actor, reason } => {
                write!(f, "paused by {actor} ({reason}): `ficus backfill resume` goes on")
            }
            Self::Shut(window) => write!(f, "outside of {window}"),
            Self::Busy => f.write_str("the legacy server is busy (backfill.busy_query)"),
        }
    }
}

/// What is known of the two reasons that are looked for.
pub(crate) struct Watch {
    pub(crate) hold: watch::Receiver<Option<Hold>>,
    _looking: AbortOnDropHandle<()>,
}

/// Who tells, and under which name.
#[derive(Clone)]
pub(crate) struct Teller {
    pub(crate) target: Arc<Target>,
    pub(crate) owner: String,
    pub(crate) run: i64,
    pub(crate) window: Option<Window>,
    pub(crate) readers: u16,
    pub(crate) pace: Arc<Pace>,
}

impl Watch {
    /// Looks once, so that nothing begins in vain, and then on and on. `busy` is what the readers
    /// know of the server.
    pub(crate) async fn start(
        teller: Teller,
        busy: watch::Receiver<bool>,
    ) -> Result<Self, target::Error> {
        let first = teller.look().await?;
        teller.tell(&first.as_ref().map(Hold::to_string).unwrap_or_default()).await;
        let (sender, hold) = watch::channel(first);
        let looking = tokio::spawn(async move {
            let mut told: Option<(String, Instant)> = None;
            loop {
                match teller.look().await {
                    Ok(found) => {
                        sender.send_if_modified(|hold| {
                            let changed = *hold != found;
                            *hold = found;
                            changed
                        });
                    }
                    // What was known holds on; whoever writes meets the same failure, and tells it.
                    Err(error) => tracing::debug!(%error, "looking whether to wait"),
                }
                let waits = sender.borrow().clone().or_else(|| busy.borrow().then_some(Hold::Busy));
                let holding = waits.map(|hold| hold.to_string()).unwrap_or_default();
                let fresh = |(text, at): &(String, Instant)| {
                    *text == holding && at.elapsed() < Duration::from_secs(3)
                };
                if !told.as_ref().is_some_and(fresh) {
                    teller.tell(&holding).await;
                    told = Some((holding, Instant::now()));
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Ok(Self { hold, _looking: AbortOnDropHandle::new(looking) })
    }
}

impl Teller {
    async fn look(&self) -> Result<Option<Hold>, target::Error> {
        if let Some(pause) = self.target.backfill_pause().await? {
            return Ok(Some(Hold::Paused { actor: pause.actor, reason: pause.reason }));
        }
        let now = chrono::Utc::now();
        Ok(self.window.filter(|window| window.shut_for(now).is_some()).map(Hold::Shut))
    }

    async fn tell(&self, holding: &str) {
        let process = Process {
            owner: self.owner.clone(),
            run: self.run,
            readers: self.readers.into(),
            holding: holding.to_owned(),
        };
        if let Err(error) = self.target.tell_process(&process).await {
            tracing::debug!(%error, "telling that a backfill runs");
        }
        if self.pace.is_limited() {
            self.share_pace().await;
        }
    }

    /// The limit of rows a second is that of all processes that read now.
    async fn share_pace(&self) {
        match self.target.backfill_processes().await {
            Ok(processes) => {
                let readers = processes.iter().filter(|process| process.holding.is_empty());
                self.pace.share(u64::try_from(readers.count()).unwrap_or(u64::MAX));
            }
            Err(error) => tracing::debug!(%error, "asking who else copies"),
        }
    }
}

/// What the server last said of itself.
#[derive(Debug)]
pub(crate) struct Asked {
    at: Option<Instant>,
    busy: watch::Sender<bool>,
}

impl Asked {
    pub(crate) fn new() -> (Self, watch::Receiver<bool>) {
        let (busy, heard) = watch::channel(false);
        (Self { at: None, busy }, heard)
    }
}

impl Shared {
    /// Why nothing may begin now, if so.
    pub(crate) async fn hold(&self, session: &mut Option<Session>) -> Result<Option<Hold>, Error> {
        if let Some(hold) = self.watch.hold.borrow().clone() {
            return Ok(Some(hold));
        }
        Ok(self.is_busy(session).await?.then_some(Hold::Busy))
    }

    /// Until it may begin; `false` when it is to stop instead.
    pub(crate) async fn wait_until_ready(
        &self,
        session: &mut Option<Session>,
    ) -> Result<bool, Error> {
        while !self.stop.is_cancelled() {
            let hold = self.hold(session).await?;
            self.note_hold(hold.as_ref());
            let Some(hold) = hold else { return Ok(true) };
            let pause = match (&hold, &self.settings.busy) {
                (Hold::Busy, Some(busy)) => busy.pause,
                _ => {
                    // A night is too long to keep a connection.
                    *session = None;
                    LOOK
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(false)
    }

    /// Asks the operator's query, where there is one and nobody has asked just now.
    async fn is_busy(&self, session: &mut Option<Session>) -> Result<bool, Error> {
        let Settings { busy: Some(busy), limits, .. } = &self.settings else { return Ok(false) };
        let mut asked = self.asked.lock().await;
        if asked.at.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(*asked.busy.borrow());
        }
        let mut reader = match session.take().filter(Session::is_usable) {
            Some(reader) => reader,
            None => match Session::connect_within(&self.legacy, *limits).await {
                Ok(reader) => reader,
                // Whoever reads meets the same failure, and has patience.
                Err(error) if error.disposition() == legacy::Disposition::Retry => {
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            },
        };
        let is_busy = match reader.ask(&busy.query, ANSWER).await {
            Ok(is_busy) => is_busy,
            Err(legacy::Error::Timeout { .. }) => true,
            Err(error) if error.disposition() == legacy::Disposition::Retry => {
                tracing::debug!(%error, "asking whether the server is busy");
                true
            }
            Err(source) => return Err(Error::BusyQuery { source: Box::new(source) }),
        };
        *session = Some(reader);
        asked.at = Some(Instant::now());
        asked.busy.send_replace(is_busy);
        Ok(is_busy)
    }
}
