//! A pull scanner over JSON bytes: no tree, no copies, no recursion.
//!
//! It is lenient on purpose (it doesn't check what it passes over beyond brackets and quotes):
//! a message is read once and most of it is skipped. What is taken out of it is checked where
//! it is used. Strict parsers refuse lone surrogates (`\uD83D`) for a whole message; here one is
//! the business of the text that holds it.

/// A JSON value, still as bytes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raw<'a> {
    Null,
    Bool(bool),
    /// The digits as written.
    Number(&'a [u8]),
    Text(RawText<'a>),
    /// Braces included.
    Object(&'a [u8]),
    /// Brackets included.
    Array(&'a [u8]),
}

impl Raw<'_> {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Object(_) => "an object",
            Self::Array(_) => "an array",
        }
    }
}

/// What stands between the quotes of a JSON string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawText<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether there is a backslash in it.
    pub(crate) escaped: bool,
}

/// The bytes are not JSON from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected at byte {at}")]
pub struct Malformed {
    /// Byte offset.
    pub at: usize,
    /// What should be there.
    pub expected: &'static str,
}

/// A place in the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes are behind.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn malformed(&self, expected: &'static str) -> Malformed {
        Malformed { at: self.at, expected }
    }

    /// The next byte that is not blank, without taking it.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[inline]
    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), Malformed> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.malformed(expected))
        }
    }

    /// Enters an object.
    pub(crate) fn open_object(&mut self) -> Result<(), Malformed> {
        self.take(b'{', "an object")
    }

    /// The next key of an object that was entered, or `None` behind its end. The value must be
    /// taken before the next call.
    #[inline]
    pub(crate) fn next_key(&mut self, first: bool) -> Result<Option<RawText<'a>>, Malformed> {
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b',') if !first => self.at += 1,
            _ if first => {}
            _ => return Err(self.malformed("`,` or `}`")),
        }
        self.take(b'"', "a key")?;
        let key = self.text()?;
        self.take(b':', "`:`")?;
        Ok(Some(key))
    }

    /// Nothing but blanks may follow.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed("the end")),
        }
    }

    /// The next value.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Raw<'a>, Malformed> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                Ok(Raw::Text(self.text()?))
            }
            Some(b'{') => Ok(Raw::Object(self.nested()?)),
            Some(b'[') => Ok(Raw::Array(self.nested()?)),
            Some(b'n') => self.literal(b"null", Raw::Null),
            Some(b't') => self.literal(b"true", Raw::Bool(true)),
            Some(b'f') => self.literal(b"false", Raw::Bool(false)),
            Some(b'-' | b'0'..=b'9') => {
                let rest = self.rest();
                let length = rest
                    .iter()
                    .position(|b| !matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
                    .unwrap_or(rest.len());
                self.at += length;
                Ok(Raw::Number(rest.get(..length).unwrap_or_default()))
            }
            _ => Err(self.malformed("a value")),
        }
    }

    fn literal(&mut self, word: &'static [u8], value: Raw<'a>) -> Result<Raw<'a>, Malformed> {
        if self.rest().starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.malformed("a value"))
        }
    }

    /// A string whose opening quote was taken.
    #[inline]
    fn text(&mut self) -> Result<RawText<'a>, Malformed> {
        let rest = self.rest();
        let (length, escaped) = text_length(rest).ok_or(self.malformed("a closing quote"))?;
        self.at += length + 1;
        Ok(RawText { bytes: rest.get(..length).unwrap_or_default(), escaped })
    }

    /// An object or array, passed over.
    fn nested(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            let rest = self.rest();
            let Some(step) = rest.iter().position(|b| CLASSES.get(usize::from(*b)) != Some(&0))
            else {
                self.at = self.bytes.len();
                return Err(self.malformed("a closing bracket"));
            };
            self.at += step + 1;
            match rest.get(step) {
                Some(b'"') => {
                    self.text()?;
                }
                Some(b'{' | b'[') => depth += 1,
                _ => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(self.bytes.get(start..self.at).unwrap_or_default());
                    }
                }
            }
        }
    }
}

/// 1 for the bytes that matter to brackets and quotes.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let marks = b"\"{}[]";
    let mut index = 0;
    while index < marks.len() {
        #[expect(clippy::as_conversions, reason = "From is not const")]
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            classes[marks[index] as usize] = 1;
        }
        index += 1;
    }
    classes
};

/// The length of a string up to its closing quote, and whether it has escapes.
#[inline]
fn text_length(bytes: &[u8]) -> Option<(usize, bool)> {
    let first = quote_or_backslash(bytes)?;
    if bytes.get(first) == Some(&b'"') {
        return Some((first, false));
    }
    let mut at = first;
    loop {
        // At a backslash: pass over it and the byte that it escapes.
        at += 2;
        at += quote_or_backslash(bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some((at, true));
        }
    }
}

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Sets the high bit of the lowest zero byte (and perhaps of bytes above it).
#[inline]
const fn lowest_zero_byte(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS) & !word & HIGH_BITS
}

/// Eight bytes at a time: most texts are short, so a vectorised search would not pay.
#[inline]
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let hits =
            lowest_zero_byte(word ^ (LOW_BITS * 0x22)) | lowest_zero_byte(word ^ (LOW_BITS * 0x5C));
        if hits != 0 {
            return Some(at + usize::try_from(hits.trailing_zeros() / 8).unwrap_or_default());
        }
        at += 8;
    }
    tail.iter().position(|b| matches!(b, b'"' | b'\\')).map(|index| at + index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(json: &[u8]) -> Result<Vec<(String, Raw<'_>)>, Malformed> {
        let mut scanner = Scanner::new(json);
        let mut found = Vec::new();
        scanner.open_object()?;
        while let Some(key) = scanner.next_key(found.is_empty())? {
            found.push((String::from_utf8_lossy(key.bytes).into_owned(), scanner.value()?));
        }
        scanner.end()?;
        Ok(found)
    }

    #[test]
    fn values_are_found_where_they_are() {
        let json = br#" { "a" : 1.5e3 , "b\"" : "x\\", "c":{"}":["]",{}]} ,"d":null,"e":[true] } "#;
        let found = keys(json).unwrap();
        assert_eq!(found[0], ("a".into(), Raw::Number(b"1.5e3")));
        assert_eq!(
            found[1],
            ("b\\\"".into(), Raw::Text(RawText { bytes: br"x\\", escaped: true }))
        );
        assert_eq!(found[2], ("c".into(), Raw::Object(br#"{"}":["]",{}]}"#)));
        assert_eq!(found[3], ("d".into(), Raw::Null));
        assert_eq!(found[4], ("e".into(), Raw::Array(b"[true]")));
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let json = br#"{"a":{"b":"c\"","d":[1,2]},"e":null}"#;
        for length in 0..json.len() {
            assert!(keys(&json[..length]).is_err(), "{}", String::from_utf8_lossy(&json[..length]));
        }
        for wrong in [&b"{\"a\":1}x"[..], b"{\"a\":1 \"b\":2}", b"{,}", b"{\"a\"}", b"{\"a\":nul}"]
        {
            assert!(keys(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_in_a_result(bytes: Vec<u8>) {
            drop(keys(&bytes));
            prop_assert!(Scanner::new(&bytes).value().is_ok() || !bytes.starts_with(b"null"));
        }

        #[test]
        fn the_first_quote_or_backslash_is_found(bytes: Vec<u8>) {
            let expect = bytes.iter().position(|b| matches!(b, b'"' | b'\\'));
            prop_assert_eq!(quote_or_backslash(&bytes), expect);
        }

        #[test]
        fn what_a_strict_parser_reads_is_read(text: String, number: f64, deep in 0..40_usize) {
            let nested = "[".repeat(deep) + &"]".repeat(deep);
            let json = serde_json::json!({ "t": text, "n": number, "o": { "a": nested } }).to_string();
            let found = keys(json.as_bytes()).unwrap();
            prop_assert_eq!(found.len(), 3);
        }
    }
}
