//! Exit codes: documented in the README, stable.

use std::process::ExitCode;

/// What the process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, and everything agrees.
    Success,
    /// Done, and something differs, is refused or waits for a person; `mapping check`: warnings
    /// that are denied.
    Different,
    /// Could not decide (rows in flight, a verdict that is stale); `mapping check`: errors.
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

/// The code of an error: what the user wrote is told apart from what went wrong.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if is_usage(cause) {
            return Exit::Usage;
        }
        if let Some(reconcile::Error::Cancelled) = cause.downcast_ref() {
            return Exit::Interrupted;
        }
    }
    Exit::Error
}

fn is_usage(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.is::<UsageError>()
        || matches!(
            cause.downcast_ref(),
            Some(legacy::Error::Url { .. } | legacy::Error::PlainText { .. })
        )
        || matches!(cause.downcast_ref(), Some(target::Error::Settings { .. }))
        || matches!(cause.downcast_ref(), Some(cdc_consumer::Error::Settings { .. }))
        || matches!(cause.downcast_ref(), Some(work::Error::Settings { .. }))
        || matches!(
            cause.downcast_ref(),
            Some(
                backfill::Error::Unknown { .. }
                    | backfill::Error::SeveralTables { .. }
                    | backfill::Error::KeyLine { .. }
            )
        )
        || matches!(cause.downcast_ref(), Some(assess::Error::Unknown { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_wrote_is_usage_wherever_it_is_found() {
        let url = legacy::Error::Url { reason: "no".to_owned() };
        assert_eq!(of(&anyhow::Error::from(url).context("connecting")), Exit::Usage);
        let why = "no".to_owned();
        let setting = target::Error::Settings { setting: "target.url", why };
        assert_eq!(of(&setting.into()), Exit::Usage);
        assert_eq!(of(&reconcile::Error::Cancelled.into()), Exit::Interrupted);
        assert_eq!(of(&anyhow::anyhow!("the disk is on fire")), Exit::Error);
    }

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
