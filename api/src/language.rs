//! Mongolian or English, as the client asks.

use axum::http::{HeaderMap, header};

/// The languages that messages exist in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// The default.
    #[default]
    English,
    /// `mn` in `Accept-Language`.
    Mongolian,
}

impl Language {
    /// The first of the two that `Accept-Language` names, weighed by its `q`.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let mut best = (Self::English, 0_u16);
        for range in wanted.unwrap_or_default().split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim();
            let weight = parts.next().map_or(1000, weight);
            let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
            let language = match primary.as_str() {
                "mn" => Self::Mongolian,
                "en" => Self::English,
                _ => continue,
            };
            if weight > best.1 {
                best = (language, weight);
            }
        }
        best.0
    }

    /// Picks the text.
    #[must_use]
    pub fn pick(self, english: &'static str, mongolian: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::Mongolian => mongolian,
        }
    }
}

/// `q=0.8` in thousandths; 0 for what can't be read.
fn weight(parameter: &str) -> u16 {
    let Some(number) = parameter.trim().strip_prefix("q=") else { return 0 };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    let thousandths = format!("{whole}{fraction}");
    thousandths.parse().unwrap_or(0).min(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_known_language_wins() {
        let cases = [
            ("", Language::English),
            ("mn", Language::Mongolian),
            ("mn-MN,mn;q=0.9,en;q=0.8", Language::Mongolian),
            ("en-US,en;q=0.9,mn;q=0.8", Language::English),
            ("fr, mn;q=0.5", Language::Mongolian),
            ("mn;q=x", Language::English),
            ("MN", Language::Mongolian),
            ("en;q=0.1999,mn;q=0.2", Language::Mongolian),
        ];
        for (header, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("accept-language", header.parse().expect("a header"));
            assert_eq!(Language::of(&headers), expected, "{header}");
        }
    }
}
