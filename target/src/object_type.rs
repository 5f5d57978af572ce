//! `XPObjectType`, as it was last seen: the numbers of the type names (trap 2).

use mapping::plan::ObjectTypes;
use sqlx::{PgPool, Row as _};

use crate::{Error, Target};

impl Target {
    /// All type names that were ever read or received, by their numbers.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn object_types(&self) -> Result<ObjectTypes, Error> {
        read(self.pool()).await
    }
}

pub(crate) async fn read(pool: &PgPool) -> Result<ObjectTypes, Error> {
    let rows = sqlx::query("select oid, type_name from ficus.object_type")
        .fetch_all(pool)
        .await
        .map_err(Error::postgres("reading the object types"))?;
    Ok(rows.into_iter().map(|row| (row.get("oid"), row.get("type_name"))).collect())
}
