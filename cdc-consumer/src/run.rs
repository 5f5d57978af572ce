//! The consume loop: what is not pure.
//!
//! A thread polls Kafka, decodes and maps ([`reader`]); a task asks Postgres for the ids of a
//! batch's keys ([`preparer`]) while another one writes the batch before it ([`writer`]). Between
//! them are queues of one or two batches, so all work at once and memory is bounded by batches and
//! by librdkafka's queue. Rebalances are answered in the client's callback
//! ([`client`]).

mod again;
mod client;
mod fences;
mod flush;
mod gaps;
mod growth;
mod holds;
mod peek;
mod preparer;
mod reader;
mod shared;
mod silence;
mod telling;
mod topics;
mod whole;
mod writer;

use std::sync::Arc;

use mapping::plan::Plan;
use target::{Disposition, Target};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    batch::Batcher,
    breaker::Breaker,
    error::Error,
    settings::Settings,
    status::{Progress, Report, State},
    topics::Topics,
};

use client::{Callbacks, client};
use reader::{Reader, kafka};
use shared::Shared;
use writer::Writer;

/// Consumes until it is cancelled (or has passed `settings.until`): finishes its batch, leaves the
/// group, and reports.
///
/// # Errors
/// What somebody must decide: lost or truncated messages, gaps, a Postgres or a Kafka that
/// refuses. What can be waited for is waited for.
pub async fn run(
    settings: Settings,
    target: Arc<Target>,
    plan: Arc<Plan>,
    progress: watch::Sender<Progress>,
    stop: CancellationToken,
) -> Result<Report, Error> {
    check(&settings)?;
    // A child, so that reaching `until` does not stop the caller's other work.
    let shared = Arc::new(Shared::new(settings, stop.child_token(), progress));
    // Should the caller drop this future, the reading thread still hears of it.
    let _guard = shared.stop.clone().drop_guard();
    if already_passed(&shared, &target).await? {
        return Ok(report(&shared));
    }
    let object_types =
        retried(&shared, "reading the object types", || target.object_types()).await?;
    let known = || target.forget_known_columns();
    retried(&shared, "forgetting columns that are known by now", known).await?;
    let capture = shared.settings.capture.as_ref().and_then(|answers| answers.borrow().clone());
    if let Some(capture) = capture {
        let look = || gaps::look(&shared, &target, &plan, &capture);
        retried(&shared, "looking for lost changes", look).await?;
    }
    let states =
        retried(&shared, "asking which tables are followed", || target.table_states()).await?;
    shared.know_held(holds::held(&plan, states.unwrap_or_default()));
    let watching = holds::watch(Arc::clone(&shared), Arc::clone(&target), Arc::clone(&plan));
    let _watching = AbortOnDropHandle::new(tokio::spawn(watching));
    let watching = gaps::watch(Arc::clone(&shared), Arc::clone(&target), Arc::clone(&plan));
    let telling = telling::tell(Arc::clone(&shared), Arc::clone(&target), Arc::clone(&plan));
    let _telling = AbortOnDropHandle::new(tokio::spawn(telling));
    let _watching_gaps = AbortOnDropHandle::new(tokio::spawn(watching));
    let batcher =
        Batcher::new(&shared.settings, Arc::clone(&plan), object_types.unwrap_or_default());
    let callbacks = Callbacks {
        shared: Arc::clone(&shared),
        target: Arc::clone(&target),
        runtime: Handle::current(),
    };
    let client = client(&shared.settings, callbacks).map_err(kafka("making the kafka client"))?;
    let client = Arc::new(client);
    let topics = Topics::new(&shared.settings, &plan);
    let (batches, waiting) = mpsc::channel(shared.settings.batches_waiting_max.max(1));
    let reader = Reader::new(
        Arc::clone(&shared),
        Arc::clone(&client),
        (topics, batcher),
        batches,
        Arc::clone(&target),
    );
    let reading = tokio::task::spawn_blocking(move || reader.run());
    let (ready, prepared) = mpsc::channel(1);
    let preparing = preparer::run(Arc::clone(&shared), Arc::clone(&target), waiting, ready);
    let preparing = AbortOnDropHandle::new(tokio::spawn(preparing));
    let writer = Writer {
        breaker: Breaker::new(shared.settings.quarantine_in_a_row_max),
        shared: Arc::clone(&shared),
        target,
        client: Arc::clone(&client),
        proven: false,
        failed: 0,
    };
    let written = Box::pin(writer.run(prepared)).await;
    if written.is_err() {
        preparing.abort();
    }
    // Whoever ended first, the other one is to end as well.
    shared.stop.cancel();
    let read = reading.await.map_err(|source| Error::Task { task: "reading", source })?;
    let prepared = ended(preparing, "preparing").await?;
    leave(client).await?;
    shared.tell(State::Stopped, None);
    written.and(prepared).and(read)?;
    Ok(report(&shared))
}

/// What a task says that has ended, or was told to.
async fn ended(
    task: AbortOnDropHandle<Result<(), Error>>,
    name: &'static str,
) -> Result<Result<(), Error>, Error> {
    match task.await {
        Err(error) if error.is_cancelled() => Ok(Ok(())),
        ended => ended.map_err(|source| Error::Task { task: name, source }),
    }
}

fn check(settings: &Settings) -> Result<(), Error> {
    let wrong = |name, problem: &str| Err(Error::Settings { name, problem: problem.into() });
    if settings.bootstrap_servers.is_empty() {
        return wrong("bootstrap_servers", "it is empty");
    }
    if settings.group.is_empty() {
        return wrong("group", "it is empty");
    }
    if settings.topic_prefix.is_empty() {
        return wrong("topic_prefix", "it is empty");
    }
    if settings.batch_rows_max == 0 || settings.batch_bytes_max == 0 {
        return wrong("batch_rows_max", "a batch must be able to hold something");
    }
    if settings.batch_age_ms_max < settings.batch_idle_ms_max {
        return wrong("batch_age_ms_max", "it is below batch_idle_ms_max");
    }
    Ok(())
}

async fn already_passed(shared: &Shared, target: &Target) -> Result<bool, Error> {
    let Some(until) = shared.settings.until else { return Ok(false) };
    let passed = retried(shared, "asking how far the stream is", || target.passed(until)).await?;
    if passed == Some(true) {
        shared.end(crate::status::Ended::ReachedLsn);
        shared.tell(State::Stopped, None);
    }
    Ok(passed == Some(true))
}

/// Asks Postgres until it answers; `None` when the run ends meanwhile.
async fn retried<T, F: Future<Output = Result<T, target::Error>>>(
    shared: &Shared,
    doing: &str,
    ask: impl Fn() -> F,
) -> Result<Option<T>, Error> {
    let mut attempt = 0;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) => error,
        };
        match error.disposition() {
            Disposition::Retry | Disposition::RetrySmaller => {}
            Disposition::RetrySlowly
            | Disposition::Quarantine
            | Disposition::Reclaim
            | Disposition::Stop => {
                return Err(Error::Target { doing: doing.into(), source: Box::new(error) });
            }
        }
        shared.tell(State::Waiting, Some(format!("postgres: {error}")));
        let pause = tokio::time::sleep(shared.pause(attempt, 100));
        attempt += 1;
        tokio::select! {
            () = pause => {}
            () = shared.stop.cancelled() => return Ok(None),
        }
    }
}

/// Leaving the group polls and calls back, which may not happen on a worker of the runtime.
async fn leave(client: Arc<client::Client>) -> Result<(), Error> {
    tokio::task::spawn_blocking(move || drop(client))
        .await
        .map_err(|source| Error::Task { task: "leaving", source })
}

fn report(shared: &Shared) -> Report {
    Report { ended: shared.ended(), progress: shared.progress.borrow().clone() }
}
