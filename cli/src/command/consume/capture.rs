//! Asks the legacy server what CDC still has, for the consumer, which may not know that server.

use std::time::Duration;

use cdc_consumer::{Capture, gap::Instance};
use legacy::Session;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{out, parts, settings::Settings};

/// The answers, and whoever goes on asking until it is dropped.
pub(super) struct Asking {
    pub(super) answers: watch::Receiver<Option<Capture>>,
    _task: AbortOnDropHandle<()>,
}

/// Asks once before anything is read, and then again and again; `None` where no legacy server is
/// configured.
pub(super) async fn ask(
    settings: &Settings,
    stop: CancellationToken,
) -> anyhow::Result<Option<Asking>> {
    if settings.text("legacy.url").is_none() {
        out::note(
            "legacy.url is not set: nobody will notice when CDC's clean-up removes changes before \
             they are read",
        );
        return Ok(None);
    }
    let login = parts::legacy(settings)?;
    let mut session = Session::connect(&login).await?;
    let first = capture(session.capture().await?);
    let (sender, answers) = watch::channel(Some(first));
    let pause = settings.milliseconds("consume.gap_check_ms");
    let task = tokio::spawn(go_on(login, session, sender, (pause, stop)));
    Ok(Some(Asking { answers, _task: AbortOnDropHandle::new(task) }))
}

async fn go_on(
    login: legacy::Settings,
    session: Session,
    sender: watch::Sender<Option<Capture>>,
    (pause, stop): (Duration, CancellationToken),
) {
    let mut session = Some(session);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        match answer(&login, &mut session).await {
            Ok(answer) => {
                sender.send_replace(Some(answer));
            }
            // The stream does not need the legacy server: it goes on.
            Err(error) => tracing::warn!(%error, "CDC could not be asked what it still has"),
        }
    }
}

async fn answer(
    login: &legacy::Settings,
    session: &mut Option<Session>,
) -> Result<Capture, legacy::Error> {
    let mut asked = match session.take().filter(Session::is_usable) {
        Some(session) => session,
        None => Session::connect(login).await?,
    };
    let answer = capture(asked.capture().await?);
    *session = Some(asked);
    Ok(answer)
}

fn capture(capture: legacy::Capture) -> Capture {
    let instances = capture.instances.into_iter().map(|instance| Instance {
        table: instance.table,
        min_lsn: instance.min_lsn,
        last_lsn: instance.last_lsn,
    });
    Capture { max_lsn: capture.state.max_lsn, instances: instances.collect() }
}
