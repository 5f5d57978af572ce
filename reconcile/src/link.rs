//! The two servers as a pass needs them: S, markers, the stream. Drives a [`Cycle`].

use std::{sync::Arc, time::Duration};

use legacy::session::Session;
use mapping::{plan::TableId, position::Lsn};
use target::{Target, compare::Activity};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    Error, Settings, Source, Watch,
    decide::Proof,
    protocol::{Cycle, Step},
    settings::Event,
};

/// Between two looks whether the stream has passed.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What a pass reads on each side.
pub(crate) trait Pass {
    /// Reads the legacy rows; S is what the pass began with.
    fn read_legacy(
        &mut self,
        link: &mut Link,
        low: Option<Lsn>,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Reads the target rows; S is what the pass began with.
    fn read_target(
        &mut self,
        link: &mut Link,
        low: Option<Lsn>,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What a pass rests on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    pub(crate) proof: Proof,
    pub(crate) low: Option<Lsn>,
    pub(crate) marker: Option<Lsn>,
}

/// The connections of a run.
pub(crate) struct Link {
    pub(crate) target: Arc<Target>,
    source: Source,
    settings: Settings,
    watch: Watch,
    tables: Vec<TableId>,
    reader: Option<Session>,
    marker: Option<Session>,
    /// Why there are no markers; `None` when there are.
    no_fence: Option<String>,
    /// The stream did not pass an earlier marker in time: no more waiting.
    is_stalled: bool,
}

impl Link {
    /// Connects and finds out whether markers can be used.
    pub(crate) async fn open(
        target: Arc<Target>,
        source: Source,
        settings: Settings,
        watch: Watch,
        tables: Vec<TableId>,
    ) -> Result<Self, Error> {
        let mut link = Self {
            target,
            source,
            settings,
            watch,
            tables,
            reader: None,
            marker: None,
            no_fence: None,
            is_stalled: false,
        };
        let reader = link.reader().await?;
        let state = reader.capture_state().await;
        let state = state.map_err(Error::legacy("asking for the captured LSN"))?;
        link.no_fence = match (state.enabled, &link.source.marker) {
            (false, _) => Some("the legacy database has no change data capture".to_owned()),
            (true, None) => Some("no login for markers is configured".to_owned()),
            (true, Some(_)) => None,
        };
        Ok(link)
    }

    /// Why the verdict can only rest on reading twice.
    pub(crate) fn no_fence(&self) -> Option<&str> {
        self.no_fence.as_deref()
    }

    /// Whether the stream failed to pass a marker in time.
    pub(crate) fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// The reading connection, made again when it was lost.
    pub(crate) async fn reader(&mut self) -> Result<&mut Session, Error> {
        let session = match self.reader.take().filter(Session::is_usable) {
            Some(session) => session,
            None => connect(&self.source.reader).await?,
        };
        Ok(self.reader.insert(session))
    }

    /// Goes through a pass in the order that makes it a proof.
    pub(crate) async fn pass(&mut self, pass: &mut impl Pass) -> Result<Passed, Error> {
        let mut cycle = Cycle::new(self.no_fence.is_none());
        let (mut low, mut marker) = (None, None);
        loop {
            if self.watch.stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match cycle.step() {
                Step::AskLow => {
                    let state = self.reader().await?.capture_state().await;
                    low = state.map_err(Error::legacy("asking for the captured LSN"))?.max_lsn;
                    cycle.low(low);
                }
                Step::ReadLegacy => {
                    pass.read_legacy(self, low).await?;
                    cycle.legacy_read(self.beside().await?);
                }
                Step::PutMarker => {
                    marker = self.put_marker().await?;
                    cycle.marker(marker);
                }
                Step::AwaitStream(marker) => cycle.stream(self.await_stream(marker).await?),
                Step::ReadTarget => {
                    pass.read_target(self, low).await?;
                    cycle.target_read(self.beside().await?);
                }
                Step::Decide(proof) => return Ok(Passed { proof, low, marker }),
            }
        }
    }

    async fn beside(&self) -> Result<Activity, Error> {
        let activity = self.target.activity(&self.tables).await;
        activity.map_err(Error::target("asking how far the backfill is"))
    }

    async fn put_marker(&mut self) -> Result<Option<Lsn>, Error> {
        let Some(settings) = &self.source.marker else { return Ok(None) };
        let mut session = match self.marker.take().filter(Session::is_usable) {
            Some(session) => session,
            None => connect(settings).await?,
        };
        let putting = session.put_marker(Uuid::now_v7(), self.settings.capture_patience);
        let marker = tokio::select! {
            marker = putting => marker,
            () = self.watch.stop.cancelled() => return Err(Error::Cancelled),
        };
        self.marker = Some(session);
        match marker {
            Ok(marker) => Ok(Some(marker)),
            Err(error @ legacy::Error::NotCaptured { .. }) => {
                tracing::warn!(%error, "the marker was not captured in time");
                self.is_stalled = true;
                Ok(None)
            }
            Err(error) => Err(Error::legacy("writing a marker")(error)),
        }
    }

    async fn await_stream(&mut self, marker: Lsn) -> Result<bool, Error> {
        self.watch.tell(Event::Waiting { marker });
        let patience = if self.is_stalled { Duration::ZERO } else { self.settings.patience };
        let deadline = Instant::now() + patience;
        loop {
            let passed = self.target.passed(marker).await;
            if passed.map_err(Error::target("asking how far the stream is"))? {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                tracing::warn!(marker = %marker, "the stream did not pass the marker in time");
                self.is_stalled = true;
                return Ok(false);
            }
            tokio::select! {
                () = sleep(LOOK_PAUSE) => {}
                () = self.watch.stop.cancelled() => return Err(Error::Cancelled),
            }
        }
    }
}

async fn connect(settings: &legacy::Settings) -> Result<Session, Error> {
    let session = Session::connect(settings).await;
    session.map_err(Error::legacy("connecting to the legacy server"))
}
