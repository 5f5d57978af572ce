//! A page of HTML, written from top to bottom.

use std::fmt::{Arguments, Write as _};

/// The page as far as it is written. What it is given stands in it as it is: see [`escape`].
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Adds to its end.
    pub fn add(&mut self, text: Arguments<'_>) {
        // Writing to a String can't fail.
        let _written = self.0.write_fmt(text).is_ok();
    }

    /// All of it.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Text that can stand anywhere in a page, attributes included. Control characters, which no
/// page may hold, become U+FFFD.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(letter),
            letter if letter.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_stand_anywhere() {
        let mut page = Page::default();
        page.add(format_args!("<p title=\"{}\">", escape("a\"b'<c>&\u{7}\n")));
        assert_eq!(page.into_string(), "<p title=\"a&quot;b&#39;&lt;c&gt;&amp;\u{fffd}\n\">");
    }
}
