//! Numbers that are money, or seconds, and how exact they are (traps 13 and A11).
//!
//! A float's digits are those of its shortest decimal form; nothing is computed with floats.

use mapping::{catalog::SqlType, probe::fraction_digits, value::LegacyValue};

use super::{Check, Told};
use crate::{
    advice,
    code::{self, Code},
    names::{is_money, is_seconds},
    row::{Row, Tally},
    subject::Read,
};

/// Digits of the minor unit of most currencies.
const DIGITS: u8 = 2;
/// What a number that no decimal holds is taken to need.
const DIGITS_MAX: u8 = 38;

/// Of one column.
pub(super) struct Number<'a> {
    read: Read<'a>,
    filled: u64,
    digits_max: Option<u8>,
    /// Rows that need more digits than a currency has.
    beyond: Tally,
    /// Rows that are no whole number.
    broken: Tally,
}

impl<'a> Number<'a> {
    pub(super) fn new(read: Read<'a>) -> Self {
        let (beyond, broken) = (Tally::default(), Tally::default());
        Self { read, filled: 0, digits_max: None, beyond, broken }
    }

    fn is_float(&self) -> bool {
        matches!(self.read.column.sql_type, SqlType::Float | SqlType::Real)
    }

    /// Whether the type says that it is money, or the name does.
    fn is_money(&self) -> bool {
        matches!(self.read.column.sql_type, SqlType::Money | SqlType::SmallMoney)
            || is_money(&self.read.column.name)
    }
}

impl Check for Number<'_> {
    fn look(&mut self, row: &Row<'_>) {
        let value = row.value(self.read.place);
        if !matches!(value, LegacyValue::Decimal(_) | LegacyValue::Float(_)) {
            return;
        }
        let is_single = self.read.column.sql_type == SqlType::Real;
        let digits = fraction_digits(value, is_single).unwrap_or(DIGITS_MAX);
        self.filled += 1;
        self.digits_max = self.digits_max.max(Some(digits));
        if digits > DIGITS {
            self.beyond.add(row);
        }
        if digits > 0 && is_seconds(&self.read.column.name) {
            self.broken.add(row);
        }
    }

    fn tell(self: Box<Self>, told: &mut Told<'_>) {
        let name = self.read.column.name.as_str();
        if let Some(facts) = told.facts(self.read.at) {
            facts.fraction_digits_max = self.digits_max;
        }
        let Some(digits) = self.digits_max else { return };
        if self.is_money() {
            let (code, message) = self.judge(digits);
            let Some(code) = code else { return };
            let line = match code {
                code::MONEY_RATE => {
                    advice::line(name, "numeric", &[("scale", &digits.to_string())])
                }
                _ => advice::line(name, "money", &[("currency", "\"XXX\""), ("digits", "2")]),
            };
            let rows = match code {
                code::MONEY_FLOAT => Tally { count: self.filled, examples: Vec::new() },
                _ => self.beyond,
            };
            told.rows(code, &[name], rows, message, line);
        } else if self.is_float() && is_seconds(name) {
            let message = match self.broken.count {
                0 => "whole numbers in every row: a TimeSpan in seconds, by its name".to_owned(),
                count => format!(
                    "no whole number in {count} of these rows: if it is a TimeSpan in seconds, by \
                     its name, they go to quarantine"
                ),
            };
            let tally = Tally { count: self.filled, examples: self.broken.examples };
            told.rows(
                code::FLOAT_SECONDS,
                &[name],
                tally,
                message,
                advice::line(name, "seconds", &[]),
            );
        }
    }
}

impl Number<'_> {
    fn judge(&self, digits: u8) -> (Option<Code>, String) {
        let by_name = match self.read.column.sql_type {
            SqlType::Money | SqlType::SmallMoney => "",
            _ => " (money by its name)",
        };
        if self.beyond.is_empty() {
            let message = format!("a float{by_name}, exact at {DIGITS} digits in every row");
            return (self.is_float().then_some(code::MONEY_FLOAT), message);
        }
        if self.beyond.count.saturating_mul(2) > self.filled {
            let message = format!(
                "up to {digits} digits after the point{by_name}: a rate rather than an amount"
            );
            return (Some(code::MONEY_RATE), message);
        }
        let message = format!(
            "more than {DIGITS} digits after the point{by_name}: no whole number of minor units. \
             Correct the rows, or let the file say `round = \"half-even\"`"
        );
        (Some(code::MONEY_FRACTION), message)
    }
}
