//! Ids in paths and `?legacy=`: old links live on.

use std::sync::Arc;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::Error;

/// From (entity, legacy key as text) to the canonical key's bytes; `None` when the text is not a
/// key of that entity. The text has the parts in key order with `/` between; inside a part `~1`
/// stands for `/` and `~0` for `~` (RFC 6901). Only the mapping knows how to read them, so the
/// caller of this crate brings it.
pub type LegacyKeys = Arc<dyn Fn(&str, &str) -> Option<Vec<u8>> + Send + Sync>;

/// The id in a path segment.
///
/// # Errors
/// [`Error::Validation`] for a text that is no UUID.
pub fn parse_id(text: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text)
        .map_err(|_| Error::Validation { field: "id", reason: "must be a UUID".to_owned() })
}

/// The id that a legacy key has now.
///
/// # Errors
/// [`Error::Validation`] for a text that can't be a key; [`Error::NotFound`] for an unknown one.
pub async fn id_of_legacy_key(
    connection: &mut PgConnection,
    keys: &LegacyKeys,
    entity: &str,
    text: &str,
) -> Result<Uuid, Error> {
    let key = keys(entity, text).ok_or_else(|| Error::Validation {
        field: "legacy",
        reason: format!(
            "is not a key of {entity}; give its parts in key order with / between, \
             ~1 for a / and ~0 for a ~ inside a part"
        ),
    })?;
    let row = sqlx::query(
        "select k.id from ficus.key_map k join ficus.entity e on e.id = k.entity \
         where e.name = $1 and k.key = $2",
    )
    .bind(entity)
    .bind(key)
    .fetch_optional(connection)
    .await?
    .ok_or(Error::NotFound)?;
    Ok(row.try_get("id")?)
}
