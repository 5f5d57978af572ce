//! Lists: a page after a cursor, never an offset.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Error,
    cursor::{self, Signer},
};

/// Rows on a page when the client does not say.
pub const LIMIT_DEFAULT: i64 = 50;
/// Rows on a page at most.
pub const LIMIT_MAX: i64 = 200;

/// `?limit=…&cursor=…`, as text so that mistakes get our envelope.
#[derive(Debug, Default, Deserialize)]
pub struct Query {
    limit: Option<String>,
    cursor: Option<String>,
}

impl Query {
    /// Whether it says which page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limit.is_none() && self.cursor.is_none()
    }
}

/// A checked request for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Rows on the page.
    pub limit: i64,
    /// Go on after this id.
    pub after: Option<Uuid>,
}

impl Query {
    fn limit(&self) -> Result<i64, Error> {
        let Some(text) = &self.limit else { return Ok(LIMIT_DEFAULT) };
        let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| Error::Validation {
            field: "limit",
            reason: format!("must be a whole number from 1 to {LIMIT_MAX}"),
        })
    }

    /// Checks limit and cursor.
    ///
    /// # Errors
    /// [`Error::Validation`] that names the field.
    pub fn check(&self, signer: &Signer, scope: &str) -> Result<Wanted, Error> {
        let after = self.cursor.as_deref().map(|text| signer.read(scope, text)).transpose()?;
        Ok(Wanted { limit: self.limit()?, after })
    }

    /// What is wanted, if the cursor is ours: that must be checked before anything is told.
    pub(crate) fn unproved(&self) -> Result<Wanted, Error> {
        let after = self.cursor.as_deref().map(cursor::unproved).transpose()?;
        Ok(Wanted { limit: self.limit()?, after })
    }
}

/// A page.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    items: Vec<T>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The page that is one row.
    #[must_use]
    pub fn only(row: T) -> Self {
        Self { items: vec![row], next_cursor: None }
    }

    /// From up to `limit + 1` rows: the one too many tells that there is a next page.
    pub fn new(
        mut rows: Vec<T>,
        wanted: Wanted,
        id: impl Fn(&T) -> Uuid,
        sign: impl Fn(Uuid) -> String,
    ) -> Self {
        let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|row| sign(id(row)));
        Self { items: rows, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_next_cursor() {
        let ids = |n: u128| (1..=n).map(Uuid::from_u128).collect::<Vec<_>>();
        let wanted = Wanted { limit: 2, after: None };
        let sign = |id: Uuid| id.to_string();
        let page = Page::new(ids(2), wanted, |id| *id, sign);
        assert_eq!(page.next_cursor, None);
        let page = Page::new(ids(3), wanted, |id| *id, sign);
        assert_eq!(page.items.len(), 2);
        assert_eq!(page.next_cursor, Some(Uuid::from_u128(2).to_string()));
    }
}
