//! An event, who handles it, and how that can fail.

use std::{future::Future, pin::Pin, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// A row of the outbox that somebody has taken.
#[derive(Clone)]
pub struct Event {
    /// The same at every attempt: receivers recognize duplicates by it.
    pub id: Uuid,
    /// What it is of: `sms.send`, `contract.status-changed`.
    pub topic: String,
    /// What its topic says that it must hold. May hold personal data and one-time codes.
    pub payload: Value,
    /// Of the request that caused it.
    pub correlation_id: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// From 1.
    pub attempt: i32,
}

/// The payload stays out of logs.
impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} (attempt {})", self.topic, self.id, self.attempt)
    }
}

/// Why an event was not handled. The texts are stored and shown: they say what kind of failure it
/// was, and never an address, a header or a value of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may work later.
    Retry {
        /// What happened.
        why: String,
        /// When the receiver said that it may be asked again; the topic waits so long.
        after: Option<Duration>,
    },
    /// It never will: a dead letter.
    Permanent {
        /// What happened.
        why: String,
    },
}

impl Failure {
    /// It may work later.
    pub fn retry(why: impl Into<String>) -> Self {
        Self::Retry { why: why.into(), after: None }
    }

    /// It never will.
    pub fn permanent(why: impl Into<String>) -> Self {
        Self::Permanent { why: why.into() }
    }
}

/// A handler's work.
pub type Handling<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// Acts on events. It may be called several times for one event, also after it succeeded: it must
/// be idempotent, or tell the event's id to whoever can be.
pub trait Handler: Send + Sync {
    /// Acts on one event. Dropped when it takes longer than an attempt may.
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a>;

    /// Whether the payload is cleared when the event is done, because it holds what nobody
    /// should read later (one-time codes).
    fn is_confidential(&self) -> bool {
        false
    }
}
