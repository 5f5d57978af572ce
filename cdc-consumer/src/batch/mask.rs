//! What may not be stored outside of the target (trap 20) doesn't enter the quarantine.

use std::borrow::Cow;

use crate::decode::{Malformed, Raw, Scanner};

/// Envelope, row, and one more for a schema around them.
const DEPTH_MAX: usize = 4;

/// The message with the values of these columns replaced by the placeholder, which is what
/// Debezium writes for a value that an event does not carry: so a retry leaves them alone.
///
/// A message that can't be read can't be masked: only its length is kept.
pub(crate) fn mask<'a>(message: &'a [u8], columns: &[String], placeholder: &str) -> Cow<'a, [u8]> {
    if columns.is_empty() {
        return Cow::Borrowed(message);
    }
    let mut out = Vec::with_capacity(message.len());
    match mask_object(message, columns, placeholder, DEPTH_MAX, &mut out) {
        Ok(()) => Cow::Owned(out),
        Err(_) => Cow::Owned(
            format!("{{\"masked\":\"an unreadable message of {} bytes\"}}", message.len()).into(),
        ),
    }
}

fn mask_object(
    object: &[u8],
    columns: &[String],
    placeholder: &str,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let mut scanner = Scanner::new(object);
    scanner.open_object()?;
    let mut copied = 0;
    let mut first = true;
    while let Some(name) = scanner.next_key(first)? {
        first = false;
        let start = scanner.at();
        let value = scanner.value()?;
        let name = name.to_text();
        let secret = columns.iter().any(|column| column.eq_ignore_ascii_case(&name));
        let nested = match value {
            Raw::Object(inner) if depth > 0 && !secret => Some(inner),
            _ => None,
        };
        if (!secret || value == Raw::Null) && nested.is_none() {
            continue;
        }
        out.extend_from_slice(object.get(copied..start).unwrap_or_default());
        copied = scanner.at();
        match nested {
            Some(inner) => mask_object(inner, columns, placeholder, depth - 1, out)?,
            None => {
                let text = serde_json::to_string(placeholder).unwrap_or_default();
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
    scanner.end()?;
    out.extend_from_slice(object.get(copied..).unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(message: &str) -> String {
        let columns = ["StoredPassword".to_owned()];
        String::from_utf8(mask(message.as_bytes(), &columns, "-").into_owned()).unwrap()
    }

    #[test]
    fn secrets_are_replaced_wherever_they_stand() {
        assert_eq!(
            masked(r#"{"payload":{"before":null,"after":{"a":1,"StoredPassword":"x\"y","b":2}}}"#),
            r#"{"payload":{"before":null,"after":{"a":1,"StoredPassword":"-","b":2}}}"#
        );
        assert_eq!(masked(r#"{"storedpassword":{"x":1}}"#), r#"{"storedpassword":"-"}"#);
        assert_eq!(masked(r#"{"StoredPassword":null}"#), r#"{"StoredPassword":null}"#);
        assert!(masked(r#"{"StoredPassword":"secret"#).starts_with(r#"{"masked""#));
        assert_eq!(mask(b"anything", &[], "-"), Cow::Borrowed(b"anything"));
    }
}
