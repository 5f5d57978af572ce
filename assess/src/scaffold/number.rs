//! Numbers: amounts, enums, and those that are neither.

use mapping::catalog::SqlType;

use super::{
    Room,
    column::{Cell, ends_in, has_word, plain},
    draft::{ColumnDraft, Made},
    facts::count,
};
use crate::names;

/// Last words of columns whose few numbers stand for names.
const NAMED: [&str; 18] = [
    "status", "state", "kind", "type", "category", "method", "mode", "priority", "gender", "sex",
    "policy", "severity", "stage", "phase", "reason", "class", "level", "flags",
];

pub(super) fn integer<'c>(room: &Room<'c>, cell: Cell<'c>) -> ColumnDraft<'c> {
    let column = cell.column;
    let mut draft = plain(
        cell,
        match column.sql_type {
            SqlType::TinyInt | SqlType::SmallInt => Made::Int2,
            SqlType::BigInt => Made::Int8,
            _ => Made::Int4,
        },
    );
    if cell.is_key() {
        return draft;
    }
    if has_word(column, &["color", "colour"]) {
        draft.ask("a .NET Color? as = \"color\" makes #aarrggbb of it");
        return draft;
    }
    if let Some(made) = enumeration(room, cell, &mut draft) {
        draft.made = made;
    } else if ends_in(column, &NAMED) {
        draft.ask(
            "it looks like an enum: as = \"enum\" with values = { 0 = \"…\" } names them, and the \
             migration checks them",
        );
    }
    draft
}

/// By the values that the assessment found.
fn enumeration<'c>(room: &Room<'c>, cell: Cell<'c>, draft: &mut ColumnDraft<'c>) -> Option<Made> {
    let facts = room.facts.column(cell.table, cell.column)?;
    if facts.values.is_empty() || names::is_counted(&cell.column.name) {
        return None;
    }
    let name = |number: i64| match number {
        0.. => format!("value_{number}"),
        _ => format!("value_minus_{}", number.unsigned_abs()),
    };
    let counts: Vec<String> =
        facts.values.iter().map(|(number, count)| format!("{number}: {count}")).collect();
    let flags = if ends_in(cell.column, &["flags", "options", "permissions"]) {
        " Flags that are combined are better kept as an int4."
    } else {
        ""
    };
    draft.ask(format!("what are the values called? (rows with {}){flags}", counts.join(", ")));
    let has_zero = facts.values.iter().any(|(number, _)| *number == 0);
    let null = (facts.nulls > 0 && has_zero).then(|| name(0));
    if null.is_some() {
        draft.remark(format!(
            "NULL ({}) was never set: XPO reads it as the enum's zero.",
            count(facts.nulls)
        ));
    }
    Some(Made::Enum {
        values: facts.values.iter().map(|(number, _)| (*number, name(*number))).collect(),
        null,
    })
}

pub(super) fn money<'c>(room: &Room<'c>, cell: Cell<'c>) -> ColumnDraft<'c> {
    let mut draft = amount(room, cell);
    too_fine(room, cell, &mut draft);
    draft
}

/// An amount in the currency that was said, or in none.
fn amount<'c>(room: &Room<'c>, cell: Cell<'c>) -> ColumnDraft<'c> {
    let said = room.choices.currency.as_ref();
    let (currency, digits) = said.map_or_else(
        || (NO_CURRENCY.to_owned(), 2),
        |currency| (currency.code.clone(), currency.digits),
    );
    let mut draft = plain(cell, Made::Money { currency, digits });
    if said.is_none() {
        draft.ask("which currency, and how many digits has its minor unit? (--currency, --digits)");
    }
    draft
}

/// ISO 4217's code for no currency.
pub(super) const NO_CURRENCY: &str = "XXX";

/// Values with more digits than the currency has would be quarantined.
fn too_fine<'c>(room: &Room<'c>, cell: Cell<'c>, draft: &mut ColumnDraft<'c>) {
    let Made::Money { digits, .. } = &draft.made else { return };
    let needed =
        room.facts.column(cell.table, cell.column).and_then(|facts| facts.fraction_digits_max);
    let Some(needed) = needed.filter(|needed| needed > digits) else { return };
    // More digits than a person types are what a float is, and no rate.
    let rate = if needed <= TYPED_DIGITS_MAX {
        format!(", or rates (as = \"numeric\", scale = {needed})")
    } else {
        String::new()
    };
    draft.ask(format!(
        "values have up to {needed} digits: do they wait in quarantine, are they rounded (round = \
         \"half-even\"){rate}?"
    ));
}

/// Digits after the point that somebody may have written.
const TYPED_DIGITS_MAX: u8 = 8;

fn is_amount(cell: Cell<'_>) -> bool {
    names::is_money(&cell.column.name)
}

pub(super) fn decimal<'c>(
    room: &Room<'c>,
    cell: Cell<'c>,
    precision: u8,
    scale: u8,
) -> ColumnDraft<'c> {
    if scale == 0 && !is_amount(cell) {
        return plain(
            cell,
            match precision {
                ..=4 => Made::Int2,
                5..=9 => Made::Int4,
                10..=18 => Made::Int8,
                _ => Made::Numeric { precision, scale },
            },
        );
    }
    let needed =
        room.facts.column(cell.table, cell.column).and_then(|facts| facts.fraction_digits_max);
    let digits = room.choices.currency.as_ref().map_or(2, |currency| currency.digits);
    let fits = scale <= digits || needed.is_some_and(|needed| needed <= digits);
    if is_amount(cell) && !cell.is_key() && fits && precision - scale.min(precision) <= 15 {
        let mut draft = amount(room, cell);
        draft.ask("an amount of money by its name: is it one?");
        return draft;
    }
    let mut draft = plain(cell, Made::Numeric { precision, scale });
    if is_amount(cell) {
        draft.ask(format!(
            "money by its name, with {scale} digits: a rate, or an amount that as = \"money\" can hold?"
        ));
    }
    draft
}

pub(super) fn float<'c>(room: &Room<'c>, cell: Cell<'c>) -> ColumnDraft<'c> {
    if is_amount(cell) && !cell.is_key() {
        let mut draft = amount(room, cell);
        draft.ask(
            "money in a float, by its name: its shortest decimal form must be whole minor units, \
             or the row is quarantined",
        );
        too_fine(room, cell, &mut draft);
        return draft;
    }
    let mut draft = plain(cell, Made::Float8);
    if names::is_seconds(&cell.column.name) {
        draft.ask("a .NET TimeSpan? as = \"seconds\" makes whole seconds of it");
    }
    draft
}
