//! Patterns that can be read straight through: pieces one after the other, each of which ends where
//! another letter begins, so that nothing is ever tried twice. For these a general engine takes
//! longer to find one number than everything else that is done to its row. Any other pattern is left
//! to that engine.

use std::{fmt, ops::Range};

use regex_lite::Regex;

/// A pattern with one group, for a whole text.
#[derive(Debug, Clone)]
pub(crate) struct NumberPattern {
    regex: Regex,
    straight: Option<Straight>,
}

impl NumberPattern {
    /// `pattern` as the file has it, and compiled for the whole of a text.
    pub(crate) fn new(pattern: &str, regex: Regex) -> Self {
        Self { regex, straight: Straight::read(pattern) }
    }

    /// What the group holds, in a text that is of this form.
    pub(crate) fn group<'t>(&self, text: &'t str) -> Option<&'t str> {
        match &self.straight {
            Some(straight) => straight.group(text),
            None => Some(self.regex.captures(text)?.get(1)?.as_str()),
        }
    }
}

impl fmt::Display for NumberPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.regex.fmt(f)
    }
}

#[derive(Debug, Clone)]
struct Straight {
    pieces: Vec<Piece>,
    /// The pieces of the group.
    group: Range<usize>,
}

/// So many letters of a kind, and as many as there are.
#[derive(Debug, Clone)]
struct Piece {
    letters: Letters,
    least: u32,
    most: u32,
}

#[derive(Debug, Clone)]
struct Letters {
    ranges: Vec<(char, char)>,
    /// Whether it is all others.
    negated: bool,
}

impl Straight {
    /// `None` for a pattern of another kind.
    fn read(pattern: &str) -> Option<Self> {
        let mut rest = pattern.chars().peekable();
        let (mut pieces, mut begin, mut end) = (Vec::new(), None, None);
        while let Some(letter) = rest.next() {
            match letter {
                '(' if begin.is_none() && rest.peek() != Some(&'?') => begin = Some(pieces.len()),
                ')' if end.is_none() => {
                    end = Some(pieces.len());
                    if rest.peek().is_some_and(|next| "+*?{".contains(*next)) {
                        return None;
                    }
                }
                letter => {
                    let letters = Letters::read(letter, &mut rest)?;
                    let (least, most) = times(&mut rest)?;
                    pieces.push(Piece { letters, least, most });
                }
            }
        }
        let group = begin?..end?;
        let straight = Self { pieces, group };
        (!straight.group.is_empty() && straight.is_straight()).then_some(straight)
    }

    /// Whether no letter that may go on a piece can begin what may come after it.
    fn is_straight(&self) -> bool {
        let open = self.pieces.iter().enumerate().filter(|(_, piece)| piece.least < piece.most);
        open.into_iter().all(|(place, piece)| {
            for next in self.pieces.iter().skip(place + 1) {
                if !piece.letters.is_apart_from(&next.letters) {
                    return false;
                }
                if next.least > 0 {
                    break;
                }
            }
            true
        })
    }

    fn group<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut rest = text;
        let (mut begin, mut end) = (0, 0);
        for (place, piece) in self.pieces.iter().enumerate() {
            if place == self.group.start {
                begin = text.len() - rest.len();
            }
            rest = piece.take(rest)?;
            if place + 1 == self.group.end {
                end = text.len() - rest.len();
            }
        }
        if rest.is_empty() { text.get(begin..end) } else { None }
    }
}

impl Piece {
    /// What is left behind it.
    fn take<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut rest = text.chars();
        let mut count = 0;
        while count < self.most {
            let mut ahead = rest.clone();
            match ahead.next() {
                Some(letter) if self.letters.has(letter) => rest = ahead,
                _ => break,
            }
            count += 1;
        }
        if count >= self.least { Some(rest.as_str()) } else { None }
    }
}

type Rest<'p> = std::iter::Peekable<std::str::Chars<'p>>;

impl Letters {
    fn one(letter: char) -> Self {
        Self { ranges: vec![(letter, letter)], negated: false }
    }

    /// Those of one letter of a pattern, an escape or a class.
    fn read(letter: char, rest: &mut Rest<'_>) -> Option<Self> {
        match letter {
            '\\' => Self::escaped(rest.next()?),
            '[' => Self::class(rest),
            letter if r".^$*+?{}()[]|".contains(letter) => None,
            letter => Some(Self::one(letter)),
        }
    }

    fn escaped(letter: char) -> Option<Self> {
        match letter {
            'd' => Some(Self { ranges: vec![('0', '9')], negated: false }),
            '<' | '>' => None,
            letter => letter.is_ascii_punctuation().then(|| Self::one(letter)),
        }
    }

    /// Behind the `[`. Whatever is not plain letters and ranges of them is of another kind.
    fn class(rest: &mut Rest<'_>) -> Option<Self> {
        let negated = rest.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        loop {
            match rest.next()? {
                ']' if ranges.is_empty() => return None,
                ']' => return Some(Self { ranges, negated }),
                '\\' => ranges.extend(Self::escaped(rest.next()?)?.ranges),
                '[' | '&' | '~' | '-' => return None,
                first if rest.next_if_eq(&'-').is_some() => {
                    let last = rest.next()?;
                    let plain = first.is_alphanumeric() && last.is_alphanumeric() && first <= last;
                    ranges.push(plain.then_some((first, last))?);
                }
                letter => ranges.push((letter, letter)),
            }
        }
    }

    fn has(&self, letter: char) -> bool {
        let among = self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter));
        among != self.negated
    }

    /// Whether it is sure that no letter is of both.
    fn is_apart_from(&self, other: &Self) -> bool {
        let overlap = |a: &(char, char), b: &(char, char)| a.0 <= b.1 && b.0 <= a.1;
        let inside = |a: &(char, char), b: &(char, char)| b.0 <= a.0 && a.1 <= b.1;
        let (these, those) = (&self.ranges, &other.ranges);
        match (self.negated, other.negated) {
            (false, false) => !these.iter().any(|a| those.iter().any(|b| overlap(a, b))),
            (true, false) => those.iter().all(|b| these.iter().any(|a| inside(b, a))),
            (false, true) => these.iter().all(|a| those.iter().any(|b| inside(a, b))),
            (true, true) => false,
        }
    }
}

/// How often the letter before may be there: `+`, `*`, `?`, `{4}`, `{1,3}`, `{2,}` or once.
fn times(rest: &mut Rest<'_>) -> Option<(u32, u32)> {
    let times = match rest.peek() {
        Some('+') => (1, u32::MAX),
        Some('*') => (0, u32::MAX),
        Some('?') => (0, 1),
        Some('{') => {
            rest.next();
            let bounds: String = rest.by_ref().take_while(|letter| *letter != '}').collect();
            let (least, most) = bounds.split_once(',').unwrap_or((&bounds, &bounds));
            let most = if most.is_empty() { u32::MAX } else { most.parse().ok()? };
            let least = least.parse().ok()?;
            let once_more = rest.peek().is_some_and(|next| "+*?{".contains(*next));
            return (least <= most && !once_more).then_some((least, most));
        }
        _ => return Some((1, 1)),
    };
    rest.next();
    // Lazy ones and those of several signs.
    let once_more = rest.peek().is_some_and(|next| "+*?{".contains(*next));
    (!once_more).then_some(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn regex(pattern: &str) -> Option<Regex> {
        Regex::new(&format!("^(?:{pattern})$")).ok()
    }

    #[test]
    fn usual_patterns_are_straight_and_others_are_left_alone() {
        for pattern in [
            r"(\d+)",
            r"[^/]+/(\d+)",
            r"INV-\d{4}/(\d+)",
            r"НХ-[А-ЯЁӨҮ]?(\d+)",
            r"(\d{1,6})[A-Z]{0,2}",
            r"№ *(\d+)\.",
        ] {
            assert!(Straight::read(pattern).is_some(), "{pattern}");
        }
        for pattern in [
            r"\d*(\d+)",
            r"№\s*(\d+)",
            r".*/(\d+)",
            r"(?:A|B)(\d+)",
            r"A|(\d+)",
            r"(\d+)+",
            r"(\d+?)",
            r"[[:digit:]](\d)",
            r"[a-]+(\d)",
            r"\b(\d+)",
            r"(?i)inv(\d+)",
            r"()A",
            r"A",
        ] {
            assert!(Straight::read(pattern).is_none(), "{pattern}");
        }
    }

    /// Patterns of a few pieces, most of which are straight.
    fn patterns() -> impl Strategy<Value = String> {
        let letters =
            vec!["a", "/", r"\d", "[ab]", "[^a]", "[^/]", r"[\d-9]", "[0-5x]", "ө", r"\."];
        let times = vec!["", "", "", "+", "*", "?", "{2}", "{1,3}", "{0,}"];
        let piece = (prop::sample::select(letters), prop::sample::select(times))
            .prop_map(|(letter, times)| format!("{letter}{times}"));
        let pieces = || prop::collection::vec(piece.clone(), 0..3).prop_map(|all| all.concat());
        (pieces(), pieces(), pieces()).prop_map(|(a, b, c)| format!("{a}({b}){c}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn it_reads_what_the_engine_reads(
            pattern in patterns(),
            texts in prop::collection::vec("[ab/0-9xө.]{0,7}", 8),
        ) {
            if let (Some(straight), Some(regex)) = (Straight::read(&pattern), regex(&pattern)) {
                for text in &texts {
                    let told = regex.captures(text).and_then(|found| found.get(1));
                    prop_assert_eq!(
                        straight.group(text), told.map(|group| group.as_str()), "{} in {}", pattern, text
                    );
                }
            }
        }
    }
}
