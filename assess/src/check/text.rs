//! Texts: what Postgres refuses, and what makes two texts differ that look alike.

use mapping::{catalog::SqlType, value::LegacyValue};

use super::{Check, Told};
use crate::{
    advice, code,
    row::{Row, Tally},
    subject::{Read, Subject},
};

/// Of one column.
pub(super) struct Text<'a> {
    read: Read<'a>,
    /// In the key a lone surrogate is the key's own hazard.
    is_key: bool,
    /// Whether its values are compared with others.
    is_compared: bool,
    /// `char` and `nchar`: blanks behind are padding.
    is_padded: bool,
    nul: Tally,
    broken: Tally,
    blanks: Tally,
    empty: Tally,
    invisible: Tally,
    look_alike: Tally,
    units_max: Option<u64>,
}

impl<'a> Text<'a> {
    pub(super) fn new(subject: &Subject<'_>, read: Read<'a>) -> Self {
        let name = &read.column.name;
        Self {
            read,
            is_key: subject.is_key(name),
            is_compared: subject.is_compared(name),
            is_padded: matches!(read.column.sql_type, SqlType::Char { .. } | SqlType::NChar { .. }),
            nul: Tally::default(),
            broken: Tally::default(),
            blanks: Tally::default(),
            empty: Tally::default(),
            invisible: Tally::default(),
            look_alike: Tally::default(),
            units_max: None,
        }
    }

    fn look_at(&mut self, text: &str, row: &Row<'_>) {
        let stored = if self.is_padded { text.trim_end_matches(' ') } else { text };
        let units = u64::try_from(stored.encode_utf16().count()).unwrap_or(u64::MAX);
        self.units_max = self.units_max.max(Some(units));
        if stored.as_bytes().contains(&0) {
            self.nul.add(row);
        }
        let trimmed = stored.trim_matches(' ');
        if trimmed.is_empty() {
            self.empty.add(row);
        } else if trimmed.len() != stored.len() && !self.read.column.sql_type.is_lob() {
            self.blanks.add(row);
        }
        if self.is_compared && !trimmed.is_ascii() {
            if trimmed.chars().any(is_invisible) {
                self.invisible.add(row);
            }
            if mixes_alphabets(trimmed) {
                self.look_alike.add(row);
            }
        }
    }
}

impl Check for Text<'_> {
    fn look(&mut self, row: &Row<'_>) {
        match row.value(self.read.place) {
            LegacyValue::Text(text) => self.look_at(text, row),
            LegacyValue::BrokenText(text) => {
                if !self.is_key {
                    self.broken.add(row);
                }
                self.look_at(text, row);
            }
            _ => {}
        }
    }

    fn tell(self: Box<Self>, told: &mut Told<'_>) {
        let name = self.read.column.name.as_str();
        let nulls = told.facts.get(self.read.at).map_or(0, |facts| facts.nulls);
        if let Some(facts) = told.facts(self.read.at) {
            facts.length_max = self.units_max;
        }
        let line = |option: &str, value: &str| advice::line(name, "text", &[(option, value)]);
        told.rows(
            code::TEXT_NUL,
            &[name],
            self.nul,
            "U+0000 inside the text, which Postgres refuses",
            line("nul", "\"strip\""),
        );
        told.rows(
            code::TEXT_SURROGATE,
            &[name],
            self.broken,
            "half a surrogate pair or U+FFFD, which Postgres refuses or nobody can read",
            line("surrogate", "\"replace\""),
        );
        if nulls > 0 {
            let message =
                format!("'' in these rows and NULL in {nulls}: both say that there is none");
            told.rows(code::TEXT_EMPTY, &[name], self.empty, message, line("empty", "\"null\""));
        }
        let message = "blanks before or behind; SQL Server ignores those behind, Postgres does not";
        told.rows(code::TEXT_BLANKS, &[name], self.blanks, message, line("trim", "\"both\""));
        let correct = "correct the rows in the legacy application: a key or a search misses them";
        told.rows(
            code::TEXT_INVISIBLE,
            &[name],
            self.invisible,
            "a no-break space or an invisible letter in a text that is compared",
            correct,
        );
        told.rows(
            code::TEXT_LOOK_ALIKE,
            &[name],
            self.look_alike,
            "Latin and Cyrillic letters in one word of a text that is compared",
            correct,
        );
    }
}

/// No-break spaces, zero-width letters, the soft hyphen and the byte order mark.
fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{00a0}' | '\u{00ad}' | '\u{2007}' | '\u{200b}'
            ..='\u{200f}' | '\u{202f}' | '\u{2060}' | '\u{feff}'
    )
}

/// Whether a word has letters of both alphabets, as when `C` was typed for `С`.
fn mixes_alphabets(text: &str) -> bool {
    text.split(|letter: char| !letter.is_alphabetic()).any(|word| {
        word.chars().any(|letter| letter.is_ascii_alphabetic())
            && word.chars().any(|letter| matches!(letter, '\u{0400}'..='\u{04ff}'))
    })
}
