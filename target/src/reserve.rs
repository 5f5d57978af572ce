//! Ids for keys before their rows come.

use mapping::{key::CanonicalKey, plan::EntityId};
use uuid::Uuid;

use crate::{Error, Target};

impl Target {
    /// The ids of keys, in their order; those that are new are minted. An id without a row is
    /// harmless: it is what a child does whose parent is not there yet.
    ///
    /// New ids are not flushed to the disk before this returns. A batch that uses them flushes
    /// them with its own commit; whoever tells them to others by another way must not rely on
    /// them before.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn reserve(&self, wanted: &[(EntityId, CanonicalKey)]) -> Result<Vec<Uuid>, Error> {
        let mut writer = self.writers.take(self.pool()).await?;
        self.keys.meet(&writer.server);
        // Not told to the cache, which only ever holds what is on disk.
        let resolved = self.resolve_or_mint(&mut writer.connection, &mut [], wanted).await?;
        self.writers.put_back(writer);
        Ok((0..wanted.len()).map(|index| resolved.other(index)).collect())
    }
}
