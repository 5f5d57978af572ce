//! The first half of apply, ahead of time: ids for a batch's keys.
//!
//! It is about half of what Postgres does for a new row, and it may happen while the batch
//! before is still being written: a key that both have is minted once, whoever comes first.

use std::pin::Pin;

use crate::{Batch, Error, Target, keys::Resolved, work::Work, writer::Writer};

/// A batch whose keys have their ids. Dropped, it is as if it had never been.
pub struct Prepared {
    pub(crate) work: Work,
    /// Until the first attempt; `None` when the keys are still to be asked for.
    pub(crate) ahead: Option<Ahead>,
}

impl Prepared {
    /// Whether the keys have their ids.
    #[must_use]
    pub const fn has_ids(&self) -> bool {
        self.ahead.is_some()
    }
}

/// The ids, and the connection that minted them. The rows go through the same connection: new
/// ids are not on disk yet, and a server that lost them has lost its connections too.
pub(crate) type Ahead = (Writer, Resolved);

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("ahead", &self.ahead.is_some()).finish_non_exhaustive()
    }
}

/// Named, so that the compiler proves `Send` here.
type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Ahead, Error>> + Send + 'a>>;

impl Target {
    /// Gives a batch's keys their ids; [`Target::apply_prepared`] does the rest. What Postgres
    /// refuses here is met again, and dealt with, there.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a batch of another plan.
    pub async fn prepare_keys(&self, batch: Batch) -> Result<Prepared, Error> {
        let mut work = self.prepare(batch)?;
        let resolving: Resolving<'_> = Box::pin(self.resolve(&mut work));
        let ahead = match resolving.await {
            Ok(ahead) => Some(ahead),
            Err(error) => {
                tracing::debug!(error = %error, "the keys of a batch are asked for again");
                self.forget(&error);
                None
            }
        };
        Ok(Prepared { work, ahead })
    }

    pub(crate) async fn resolve(&self, work: &mut Work) -> Result<Ahead, Error> {
        let mut writer = self.writers.take(self.pool()).await?;
        self.keys.meet(&writer.server);
        self.take_out(&mut writer.connection, work).await?;
        let Work { parts, keyed, .. } = work;
        let resolved = self.resolve_or_mint(&mut writer.connection, parts, keyed).await?;
        Ok((writer, resolved))
    }

    /// A failover may have lost what the cache believes to be on disk.
    pub(crate) fn forget(&self, error: &Error) {
        if error.lost_connection() {
            self.keys.clear();
            self.writers.clear();
            self.numbers.clear();
        }
    }
}
