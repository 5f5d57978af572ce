//! T-SQL that an operator wrote: sent as it stands, and nowhere else.
//!
//! Nothing here can tell what it does. It runs under the engine's login, so what it may do is
//! what that login may do: read.

use super::Statement;

/// A condition on a table's rows, as it would stand after `WHERE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition(String);

impl Condition {
    /// Takes the text as it stands; `None` when there is nothing in it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.trim().is_empty()).then_some(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// In parentheses, so that an `OR` in it stays in it, which are on lines of their own, so that a
    /// comment at its end ends.
    pub(super) fn clause(&self) -> String {
        format!("(\n{}\n)", self.0)
    }
}

impl Statement {
    /// A question that the operator wrote, such as whether the server is busy.
    pub(crate) fn operator(text: &str) -> Self {
        Self::plain(text)
    }
}
