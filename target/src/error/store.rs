//! What an object store said, and what follows.

use std::{error::Error, fmt, io};

use super::Disposition;

/// What the object store said.
pub struct StoreCause {
    message: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It may work a moment later.
    Transport,
    /// A right, a folder or space is missing.
    Environment,
    /// It never will.
    Unusable,
}

impl StoreCause {
    /// Never the row: its content is all right, wherever it can't be put.
    pub(crate) fn disposition(&self) -> Disposition {
        match self.kind {
            Kind::Transport => Disposition::Retry,
            Kind::Environment => Disposition::RetrySlowly,
            Kind::Unusable => Disposition::Stop,
        }
    }

    pub(crate) fn hint(&self) -> &'static str {
        match self.kind {
            Kind::Transport => "check that the object store answers; the engine tries again",
            Kind::Environment => {
                "check that the folder or bucket of `objects.url` is there, may be written and \
                 has space; the engine goes on by itself"
            }
            Kind::Unusable => "set `objects.url` to another object store",
        }
    }
}

impl From<object_store::Error> for StoreCause {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as E;
        let kind = match &error {
            E::Generic { source, .. } => of_io(source.as_ref()),
            E::NotFound { .. } | E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
                Kind::Environment
            }
            E::AlreadyExists { .. } | E::Precondition { .. } | E::NotModified { .. } => {
                Kind::Transport
            }
            E::NotSupported { .. }
            | E::NotImplemented { .. }
            | E::InvalidPath { .. }
            | E::UnknownConfigurationKey { .. } => Kind::Unusable,
            // Not exhaustive: what is new is tried again until somebody looks.
            _ => Kind::Transport,
        };
        Self { message: sentence(&error.to_string()), kind }
    }
}

/// Stores answer with a document (XML with the name of the mistake in `Code`), and quote it.
fn sentence(message: &str) -> String {
    let (before, document) = message.split_once('<').unwrap_or((message, ""));
    let words: Vec<&str> = before.split_whitespace().collect();
    let sentence = words.join(" ");
    let code = document.split_once("<Code>").and_then(|(_, rest)| rest.split('<').next());
    let plain = |code: &&str| !code.is_empty() && code.bytes().all(|b| b.is_ascii_alphanumeric());
    match code.filter(plain) {
        Some(code) => format!("{} {code}", sentence.trim_end_matches(':').to_owned() + ":"),
        None => sentence.trim_end_matches(':').to_owned(),
    }
}

/// A folder's failure is in the file system's own error, somewhere among the causes.
fn of_io(error: &(dyn Error + 'static)) -> Kind {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::PermissionDenied
                | io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::IsADirectory
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge => Kind::Environment,
                _ => Kind::Transport,
            };
        }
        cause = error.source();
    }
    Kind::Transport
}

impl fmt::Display for StoreCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for StoreCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Error for StoreCause {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_says_is_one_sentence() {
        let xml = "<?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code>\n<AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        for (message, expected) in [
            (
                format!("put: Client error with status 403 Forbidden: {xml}"),
                "put: Client error with status 403 Forbidden: SignatureDoesNotMatch",
            ),
            ("status 502: <html>\nno</html>".to_owned(), "status 502"),
            ("disk full (os error 28)".to_owned(), "disk full (os error 28)"),
        ] {
            assert_eq!(sentence(&message), expected);
        }
    }
}
