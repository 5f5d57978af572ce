//! Exit codes: documented in the README, stable.

use std::process::ExitCode;

/// What the process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, and everything agrees.
    Success,
    /// Done, and something differs, is refused or waits for a person.
    Different,
    /// Could not decide (rows in flight, a verdict that is stale), or warnings that are denied.
    Undecided,
    /// Failed: the sentence on standard error says what, where and what to do.
    Error,
    /// The configuration or the command line is wrong; nothing was tried.
    Usage,
    /// Stopped by a signal, cleanly.
    Interrupted,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Different => 1,
            Self::Undecided => 2,
            Self::Error => 3,
            Self::Usage => 64,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// An error in what the user wrote: the command line, the configuration, a mapping file.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct UsageError {
    /// The whole sentence.
    pub(crate) message: String,
}

/// Shorthand for a [`UsageError`].
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    UsageError { message: message.into() }.into()
}

/// The code of an error.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    if error.downcast_ref::<UsageError>().is_some() { Exit::Usage } else { Exit::Error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stable() {
        let codes = [
            (Exit::Success, 0),
            (Exit::Different, 1),
            (Exit::Undecided, 2),
            (Exit::Error, 3),
            (Exit::Usage, 64),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }
}
