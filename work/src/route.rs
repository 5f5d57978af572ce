//! Which handler a topic goes to, and how many of its events at a time.

use std::{fmt, sync::Arc};

use crate::{Error, Handler};

/// Topics and their handler.
#[derive(Clone)]
pub struct Route {
    /// Topics, or their beginnings: `sms.send`, `contract.*`, `*`.
    pub topics: Vec<String>,
    /// For people and logs: `sms`, `webhook`.
    pub name: &'static str,
    /// Acts on the events.
    pub handler: Arc<dyn Handler>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.topics.join(", "))
    }
}

/// All routes; the first that fits a topic has it. Each event goes to one handler: what no route
/// takes stays in the outbox.
#[derive(Debug, Clone, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// In the order in which they are asked.
    #[must_use]
    pub fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// Whether nothing has a handler.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each route.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }

    pub(crate) fn of(&self, topic: &str) -> Option<&Route> {
        self.0.iter().find(|route| route.topics.iter().any(|pattern| fits(pattern, topic)))
    }
}

/// `contract.*` fits everything that begins with `contract.`; without a star it is the topic.
fn fits(pattern: &str, topic: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => topic.starts_with(beginning),
        None => pattern == topic,
    }
}

/// How many events of one topic a process handles at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits(Vec<(String, usize)>);

/// More would only wait for Postgres.
const AT_A_TIME_MAX: usize = 256;

impl Limits {
    /// From `sms.send=2, contract.*=4, *=8`; the first that fits counts, and `*` must be there.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn parse(setting: &str, text: &str) -> Result<Self, Error> {
        let mut limits = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || {
                let why = format!(
                    "`{part}` is not TOPIC=NUMBER with a number from 1 to {AT_A_TIME_MAX}; write \
                     sms.send=2, *=8"
                );
                Error::setting(setting, why)
            };
            let (topic, number) = part.split_once('=').ok_or_else(wrong)?;
            let number = number.trim().parse().ok();
            let number = number.filter(|n| (1..=AT_A_TIME_MAX).contains(n)).ok_or_else(wrong)?;
            limits.push((topic.trim().to_owned(), number));
        }
        if !limits.iter().any(|(topic, _)| topic == "*") {
            return Err(Error::setting(setting, "it must end with *=NUMBER, for all other topics"));
        }
        Ok(Self(limits))
    }

    pub(crate) fn of(&self, topic: &str) -> usize {
        let found = self.0.iter().find(|(pattern, _)| fits(pattern, topic));
        found.map_or(1, |(_, number)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_limit_that_fits_counts() {
        let limits = Limits::parse("work.concurrency", "sms.send=2, contract.*=4,*=8").expect("it");
        assert_eq!(limits.of("sms.send"), 2);
        assert_eq!(limits.of("contract.status-changed"), 4);
        assert_eq!(limits.of("sms"), 8);
    }

    #[test]
    fn what_is_no_limit_is_told() {
        for (text, why) in [
            ("sms.send", "`sms.send` is not TOPIC=NUMBER"),
            ("sms.send=0,*=1", "`sms.send=0` is not"),
            ("*=1000", "from 1 to 256"),
            ("sms.send=2", "must end with *=NUMBER"),
            ("", "must end with"),
        ] {
            let error = Limits::parse("work.concurrency", text).expect_err(text).to_string();
            assert!(error.starts_with("`work.concurrency`: ") && error.contains(why), "{error}");
        }
    }
}
