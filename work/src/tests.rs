use serde_json::Value;
use uuid::Uuid;

use crate::Event;

mod delivery;
mod lab;
mod order;
mod receiver;
mod rights;
mod time;

/// An event that nobody wrote.
pub(crate) fn event(topic: &str, payload: Value) -> Event {
    Event {
        id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
        topic: topic.to_owned(),
        payload,
        correlation_id: None,
        created_at: "2026-03-01T00:00:00Z".parse().expect("an instant"),
        attempt: 1,
    }
}
