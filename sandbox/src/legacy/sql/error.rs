//! Errors as SQL Server numbers and words them.

use crate::legacy::Error;

/// What goes into an `ERROR` token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlError {
    pub(crate) number: u32,
    /// Severity.
    pub(crate) class: u8,
    pub(crate) message: String,
}

impl SqlError {
    pub(crate) fn new(number: u32, class: u8, message: impl Into<String>) -> Self {
        Self { number, class, message: message.into() }
    }

    /// The statement is not one of those that are simulated.
    pub(crate) fn syntax(text: &str) -> Self {
        let near: String = text.chars().take(300).collect();
        Self::new(
            102,
            15,
            format!("Incorrect syntax near '{near}'. (The simulated server does not know it.)"),
        )
    }

    pub(crate) fn unknown_table(name: impl std::fmt::Display) -> Self {
        Self::new(208, 16, format!("Invalid object name '{name}'."))
    }

    pub(crate) fn unknown_column(name: impl std::fmt::Display) -> Self {
        Self::new(207, 16, format!("Invalid column name '{name}'."))
    }

    /// An injected error.
    pub(crate) fn injected(number: u32) -> Self {
        match number {
            1205 => Self::new(
                1205,
                13,
                "Transaction was deadlocked on lock resources with another process and has been \
                 chosen as the deadlock victim. Rerun the transaction.",
            ),
            1222 => Self::new(1222, 16, "Lock request time out period exceeded."),
            207 => Self::new(207, 16, "Invalid column name."),
            208 => Self::new(208, 16, "Invalid object name."),
            229 => Self::new(229, 14, "The SELECT permission was denied on the object."),
            _ => Self::new(number, 16, format!("Injected error {number}.")),
        }
    }
}

impl From<Error> for SqlError {
    fn from(error: Error) -> Self {
        let class = if error.number() == 2627 { 14 } else { 16 };
        Self::new(error.number(), class, error.to_string())
    }
}
