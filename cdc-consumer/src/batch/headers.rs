//! A message's headers: kept with the message, because a retry needs them and people want them.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// Headers in one piece, so that a message of the batch costs no allocation for them.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    bytes: Vec<u8>,
}

impl Headers {
    /// Forgets them.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Adds one.
    pub fn push(&mut self, key: &str, value: Option<&[u8]>) {
        self.piece(Some(key.as_bytes()));
        self.piece(value);
    }

    /// All of them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// From what was stored ([`to_json`]).
    #[must_use]
    pub fn from_json(text: &[u8]) -> Self {
        let mut headers = Self::default();
        let list: Vec<Value> = serde_json::from_slice(text).unwrap_or_default();
        for one in &list {
            let value = match one.get("value") {
                Some(Value::String(text)) => Some(text.clone().into_bytes()),
                Some(Value::Object(bytes)) => bytes
                    .get("base64")
                    .and_then(Value::as_str)
                    .and_then(|b| STANDARD.decode(b).ok()),
                _ => None,
            };
            let key = one.get("key").and_then(Value::as_str).unwrap_or_default();
            headers.push(key, value.as_deref());
        }
        headers
    }

    fn piece(&mut self, piece: Option<&[u8]>) {
        let length = piece.map_or(Ok(u32::MAX), |piece| u32::try_from(piece.len()));
        self.bytes.extend_from_slice(&length.unwrap_or(u32::MAX).to_be_bytes());
        if length.is_ok_and(|length| length != u32::MAX) {
            self.bytes.extend_from_slice(piece.unwrap_or_default());
        }
    }
}

/// The headers of [`Headers::as_bytes`].
pub(super) fn each(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let mut piece = move || {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length);
        if length == u32::MAX {
            rest = tail;
            return Some(None);
        }
        let (piece, tail) = tail.split_at_checked(usize::try_from(length).ok()?)?;
        rest = tail;
        Some(Some(piece))
    };
    std::iter::from_fn(move || Some((piece()?.unwrap_or_default(), piece()?)))
}

/// As they are stored: a list of `{"key", "value"}`; a value that is no text is `{"base64"}`.
pub(super) fn to_json(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.is_empty() {
        return None;
    }
    let value = |value: Option<&[u8]>| match value.map(|value| (value, str::from_utf8(value))) {
        None => Value::Null,
        Some((_, Ok(text))) => json!(text),
        Some((bytes, Err(_))) => json!({ "base64": STANDARD.encode(bytes) }),
    };
    let list: Vec<Value> = each(bytes)
        .map(|(key, found)| json!({ "key": String::from_utf8_lossy(key), "value": value(found) }))
        .collect();
    serde_json::to_vec(&list).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_what_came() {
        let mut headers = Headers::default();
        headers.push("__debezium.oldkey", Some(br#"{"ID":1}"#));
        headers.push("none", None);
        headers.push("empty", Some(b""));
        headers.push("bytes", Some(&[0xff, 0]));
        let json = to_json(headers.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(json.clone()).unwrap(),
            r#"[{"key":"__debezium.oldkey","value":"{\"ID\":1}"},{"key":"none","value":null},{"key":"empty","value":""},{"key":"bytes","value":{"base64":"/wA="}}]"#
        );
        assert_eq!(Headers::from_json(&json).as_bytes(), headers.as_bytes());
        assert_eq!(to_json(&[]), None);
        assert_eq!(Headers::from_json(b"nonsense").as_bytes(), b"");
    }
}
