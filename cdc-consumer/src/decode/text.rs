//! The text of a JSON string.

use std::borrow::Cow;

use mapping::value::LegacyValue;

use super::scan::RawText;

/// A text, and whether something in it could not be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    pub(crate) text: Cow<'a, str>,
    /// A lone surrogate (or bytes that are not UTF-8) stand as U+FFFD.
    pub(crate) broken: bool,
}

impl<'a> Text<'a> {
    pub(crate) fn into_value(self) -> LegacyValue<'a> {
        if self.broken { LegacyValue::BrokenText(self.text) } else { LegacyValue::Text(self.text) }
    }
}

impl<'a> RawText<'a> {
    /// The text, borrowed where it has no escapes.
    pub(crate) fn decode(self) -> Text<'a> {
        if self.escaped {
            return unescape(self.bytes);
        }
        match str::from_utf8(self.bytes) {
            Ok(text) => Text { text: Cow::Borrowed(text), broken: false },
            Err(_) => Text { text: String::from_utf8_lossy(self.bytes), broken: true },
        }
    }

    /// The text, for names and short words that are never broken.
    pub(crate) fn to_text(self) -> Cow<'a, str> {
        self.decode().text
    }
}

fn unescape(bytes: &[u8]) -> Text<'static> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut broken = false;
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| *b == b'\\') {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let (character, length) = escaped_character(escape);
        broken |= character.is_none();
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    match String::from_utf8(out) {
        Ok(text) => Text { text: Cow::Owned(text), broken },
        Err(error) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            Text { text: Cow::Owned(text), broken: true }
        }
    }
}

/// The character that an escape stands for, and the escape's length.
fn escaped_character(escape: &[u8]) -> (Option<char>, usize) {
    let simple = match escape.get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(mark @ (b'"' | b'\\' | b'/')) => char::from(*mark),
        Some(b'u') => return code_unit_escape(escape),
        _ => return (None, 2),
    };
    (Some(simple), 2)
}

fn code_unit_escape(escape: &[u8]) -> (Option<char>, usize) {
    let Some(first) = code_unit(escape) else { return (None, 2) };
    match first {
        0xD800..0xDC00 => {
            // A high surrogate: only with its other half is it a character.
            let second = escape.get(6..).and_then(code_unit);
            let pair = second.and_then(|low| char::decode_utf16([first, low]).next()?.ok());
            if pair.is_some() { (pair, 12) } else { (None, 6) }
        }
        _ => (char::from_u32(first.into()), 6),
    }
}

/// `\uXXXX` at the start.
fn code_unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0_u16, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(json: &str) -> Text<'_> {
        let bytes = json.as_bytes();
        RawText { bytes, escaped: bytes.contains(&b'\\') }.decode()
    }

    #[test]
    fn escapes_are_undone() {
        for (json, text, broken) in [
            ("plain Гэрээ", "plain Гэрээ", false),
            (r#"a\"\\\/\b\f\n\r\t"#, "a\"\\/\u{8}\u{c}\n\r\t", false),
            (r"\u0000\u0413", "\0Г", false),
            (r"\uD83D\uDE00", "😀", false),
            (r"a\uD83Db", "a\u{FFFD}b", true),
            (r"\uDE00\uD83D", "\u{FFFD}\u{FFFD}", true),
            (r"\uD83D\u0041", "\u{FFFD}A", true),
            (r"\uD83D\uD83D\uDE00", "\u{FFFD}😀", true),
            (r"\uZZZZ", "\u{FFFD}ZZZZ", true),
        ] {
            assert_eq!(decode(json), Text { text: text.into(), broken }, "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_read(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            let inner = json.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
            prop_assert_eq!(decode(inner), Text { text: text.into(), broken: false });
        }

        #[test]
        fn arbitrary_bytes_end_in_a_text(bytes: Vec<u8>, escaped: bool) {
            let _ = RawText { bytes: &bytes, escaped }.decode();
        }
    }
}
