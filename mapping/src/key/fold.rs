//! Text as a collation compares it.

/// What a collation's `=` ignores, beside trailing blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    /// Nothing: `_CS`, `_BIN`, `_BIN2`.
    Exact,
    /// Case.
    Case,
    /// Case, where `I` goes with `ı` and `İ` with `i`.
    TurkicCase,
}

const PIECE: usize = 32;

impl Fold {
    /// By the collation's name.
    pub(crate) fn of(collation: &str) -> Self {
        let name = collation.to_ascii_uppercase();
        let words = || name.split('_');
        if !words().any(|word| word == "CI") {
            Self::Exact
        } else if words().any(|word| word == "TURKISH" || word.starts_with("AZERI")) {
            Self::TurkicCase
        } else {
            Self::Case
        }
    }

    /// Appends the folded text. Trailing blanks are the caller's.
    pub(crate) fn append(self, text: &str, mut push: impl FnMut(&[u8])) {
        if self == Self::Exact {
            push(text.as_bytes());
            return;
        }
        if self == Self::Case && text.is_ascii() {
            // Nearly every key: in pieces of a register's size or two, without decoding.
            for piece in text.as_bytes().chunks(PIECE) {
                let mut upper = [0; PIECE];
                for (to, from) in upper.iter_mut().zip(piece) {
                    *to = from.to_ascii_uppercase();
                }
                push(upper.get(..piece.len()).unwrap_or_default());
            }
            return;
        }
        let mut piece = [0; PIECE];
        let mut length = 0;
        for letter in text.chars() {
            let letter = self.letter(letter);
            if length + letter.len_utf8() > PIECE {
                push(piece.get(..length).unwrap_or_default());
                length = 0;
            }
            if let Some(room) = piece.get_mut(length..length + letter.len_utf8()) {
                length += letter.encode_utf8(room).len();
            }
        }
        push(piece.get(..length).unwrap_or_default());
    }

    fn letter(self, letter: char) -> char {
        match (self, letter) {
            (Self::Exact, letter) => letter,
            (Self::TurkicCase, 'i') => 'İ',
            (Self::TurkicCase, 'ı') => 'I',
            (_, 'a'..='z') => letter.to_ascii_uppercase(),
            (_, '\0'..='\x7f') => letter,
            // What keys of a Cyrillic collation are made of, without asking the tables.
            (_, 'А'..='Я' | 'Ө' | 'Ү') => letter,
            (_, 'а'..='я') => char::from_u32(u32::from(letter) - 0x20).unwrap_or(letter),
            (_, 'ө') => 'Ө',
            (_, 'ү') => 'Ү',
            (_, letter) => upper(letter),
        }
    }
}

/// The upper case of a letter whose pair is unambiguous and known to all collations.
fn upper(letter: char) -> char {
    if !is_old(letter) {
        return letter;
    }
    match only(letter.to_uppercase()) {
        Some(upper) if only(upper.to_lowercase()) == Some(letter) && is_old(upper) => upper,
        Some(_) | None => letter,
    }
}

fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
    let first = letters.next()?;
    letters.next().is_none().then_some(first)
}

/// Letters of blocks that were complete in Unicode 3.0, on which the oldest Windows collations
/// stand: a letter that a collation does not know compares as if it were not there, so the
/// folded form of a known letter must never be an unknown one.
fn is_old(letter: char) -> bool {
    matches!(letter,
        '\u{00c0}'..='\u{0217}'
        | '\u{0370}'..='\u{03ff}'
        | '\u{0400}'..='\u{04bf}'
        | '\u{04d0}'..='\u{04f9}'
        | '\u{0531}'..='\u{0586}'
        | '\u{1e00}'..='\u{1fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_by_heart_is_what_the_tables_say() {
        for letter in '\u{80}'..='\u{2fff}' {
            assert_eq!(Fold::Case.letter(letter), upper(letter), "{letter}");
        }
    }

    #[test]
    fn pieces_end_between_letters() {
        let text = "өА€😀".repeat(40);
        let mut folded = Vec::new();
        Fold::Case.append(&text, |bytes| folded.extend_from_slice(bytes));
        assert_eq!(String::from_utf8(folded).as_deref(), Ok(&*"ӨА€😀".repeat(40)));
    }
}
