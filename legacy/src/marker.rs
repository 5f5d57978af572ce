//! The marker: a row whose commit LSN says how far the log goes *now*.
//!
//! `fn_cdc_get_max_lsn()` says how far the capture job has come, which may be far behind; it
//! must never be taken for "now". A row of our own, once CDC has captured it, can.

use std::time::Duration;

use mapping::position::Lsn;
use tokio::time::{Instant, sleep};

use crate::{Error, Session, statement::Statement};

/// The first pause between two looks; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause. The capture job polls every five seconds by default.
const PAUSE_MAX: Duration = Duration::from_millis(500);

impl Session {
    /// Writes a marker row into `dbo.ficus_marker` and waits until CDC has captured it; its
    /// commit LSN. Law 9: under the marker's own login.
    ///
    /// # Errors
    /// Any failure of the connection; a marker that was not captured within `patience`.
    pub async fn put_marker(
        &mut self,
        token: uuid::Uuid,
        patience: Duration,
    ) -> Result<Lsn, Error> {
        self.run(&Statement::put_marker(token), "writing a marker").await?;
        let deadline = Instant::now() + patience;
        let mut pause = PAUSE_MIN;
        loop {
            let found = self.lsn(&Statement::find_marker(token), "looking for the marker").await?;
            if let Some(lsn) = found {
                return Ok(lsn);
            }
            if Instant::now() + pause > deadline {
                return Err(Error::NotCaptured { patience });
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}
