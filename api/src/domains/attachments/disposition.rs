//! File names in headers (RFC 6266): a plain one for old clients, and the real one in UTF-8.

use axum::http::HeaderValue;

/// Characters of a file name at most.
const NAME_CHARS_MAX: usize = 255;

/// `Content-Disposition` of a download. The name may be anything that a database holds.
pub(super) fn attachment(name: &str) -> HeaderValue {
    let name: String = name.chars().filter(|c| !is_dangerous(*c)).take(NAME_CHARS_MAX).collect();
    let name = if name.trim().is_empty() { "file" } else { name.trim() };
    let plain: String = name
        .chars()
        .map(|c| match c {
            // A % would be decoded by some.
            '"' | '%' | '\'' | ';' => '_',
            ' '..='~' => c,
            _ => '_',
        })
        .collect();
    let mut text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

/// Why a name is not taken.
pub(super) fn fault(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() || name.trim() != name {
        return Some("must not be empty, nor begin or end with a blank");
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Some("must have 255 characters at most");
    }
    let is_path = |c| matches!(c, '/' | '\\');
    if name.chars().any(|c| is_dangerous(c) || is_path(c)) || matches!(name, "." | "..") {
        return Some("must be a file's name, without a path, control characters or text direction");
    }
    None
}

/// Control characters, path separators, and what turns text around (`exe.fdp`).
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '/' | '\\')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mongolian_names_arrive_and_nothing_breaks_out() {
        let told = |name| attachment(name).to_str().expect("ASCII").to_owned();
        assert_eq!(
            told("Гэрээ №1.pdf"),
            "attachment; filename=\"_____ _1.pdf\"; \
             filename*=UTF-8''%D0%93%D1%8D%D1%80%D1%8D%D1%8D%20%E2%84%961.pdf"
        );
        assert_eq!(
            told("a\"; filename=\"evil.exe\r\nSet-Cookie: x=y"),
            "attachment; filename=\"a__ filename=_evil.exeSet-Cookie: x=y\"; \
             filename*=UTF-8''a%22%3B%20filename%3D%22evil.exeSet-Cookie%3A%20x%3Dy"
        );
        assert_eq!(
            told("../../etc/passwd"),
            "attachment; filename=\"....etcpasswd\"; filename*=UTF-8''....etcpasswd"
        );
        assert_eq!(
            told("\u{202e}fdp.exe"),
            "attachment; filename=\"fdp.exe\"; filename*=UTF-8''fdp.exe"
        );
        assert_eq!(told(" \u{7}"), "attachment; filename=\"file\"; filename*=UTF-8''file");
        assert!(told(&"ө".repeat(9_000)).len() < 2_000);
    }

    #[test]
    fn names_that_are_no_names_are_refused() {
        assert_eq!(fault("Гэрээ №1 (2).pdf"), None);
        let long = "a".repeat(256);
        for name in ["", " ", " a", "a/b", "a\\b", "a\0", "..", "\u{202e}fdp.exe", long.as_str()] {
            assert!(fault(name).is_some(), "{name:?}");
        }
    }
}
