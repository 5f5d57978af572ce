//! What people and their tools read: numbers, pages of HTML, pages of metrics. It knows nothing of
//! migrations.

pub mod metrics;
mod page;

pub use page::{Page, escape};

/// `1234567` as `1,234,567`.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun: `1 row`, `2 rows`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", thousands(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_thousands_and_nouns() {
        assert_eq!((thousands(0), thousands(999)), ("0".into(), "999".into()));
        assert_eq!((thousands(1_000), thousands(1_234_567)), ("1,000".into(), "1,234,567".into()));
        assert_eq!(
            (counted(1, "row"), counted(2_000, "row")),
            ("1 row".into(), "2,000 rows".into())
        );
    }
}
