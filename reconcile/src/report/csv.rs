//! The differences as CSV (RFC 4180): a line for each differing column, or for the row where no
//! column is to blame.
//!
//! Spreadsheets run what begins like a formula, so a value that does gets an apostrophe before
//! it; a number with its sign stays as it is.

use super::{Difference, EntityReport, Report};

const HEADER: &str =
    "run,domain,entity,kind,tampered,key,id,position,lsn,column,legacy,target,hint";

impl Report {
    /// All differences that the report holds.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut csv = format!("{HEADER}\r\n");
        for entity in &self.entities {
            for difference in &entity.differences {
                for pair in &difference.columns {
                    let sides = (&*pair.column, pair.legacy.as_deref(), pair.target.as_deref());
                    self.line(&mut csv, (entity, difference), sides);
                }
                if difference.columns.is_empty() {
                    self.line(&mut csv, (entity, difference), ("", None, None));
                }
            }
        }
        csv
    }

    fn line(
        &self,
        csv: &mut String,
        (entity, difference): (&EntityReport, &Difference),
        (column, legacy, target): (&str, Option<&str>, Option<&str>),
    ) {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let cells: [&str; 13] = [
            &self.run,
            &entity.domain,
            &entity.entity,
            difference.kind.word(),
            if difference.tampered { "yes" } else { "no" },
            &text(&difference.key),
            &text(&difference.id),
            &text(&difference.position),
            &text(&difference.low),
            column,
            legacy.unwrap_or_default(),
            target.unwrap_or_default(),
            &difference.hint,
        ];
        let cells: Vec<String> = cells.into_iter().map(cell).collect();
        csv.push_str(&cells.join(","));
        csv.push_str("\r\n");
    }
}

fn cell(text: &str) -> String {
    let is_number = |text: &str| {
        text.chars().skip(1).all(|letter| letter.is_ascii_digit() || ".,:".contains(letter))
    };
    let acts = match text.chars().next() {
        Some('=' | '@' | '\t' | '\r') => true,
        Some('+' | '-') => !is_number(text),
        _ => false,
    };
    let guard = if acts { "'" } else { "" };
    if acts || text.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_start_no_formula() {
        for (text, expect) in [
            ("plain", "plain"),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "\"'=1+1\""),
            ("-5.25", "-5.25"),
            ("-5+cmd", "\"'-5+cmd\""),
            ("+976", "+976"),
            ("@x", "\"'@x\""),
        ] {
            assert_eq!(cell(text), expect);
        }
    }
}
