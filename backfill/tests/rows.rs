//! What the fixture's tables hold, and what of it must arrive.

use mapping::value::{Decimal, LegacyValue};
use sandbox::legacy::{Database, Values};
use uuid::Uuid;

use crate::setup::{decimal, text};

const TEXTS: [&str; 9] = ["a", "B ", "Ba", "b-a", "Ё1", "е2", "Ж", "ж1", "_"];

pub(crate) fn fill(database: &Database) {
    let types = (1..4).map(|n| vec![LegacyValue::Int(n), text(format!("Type{n}")), text("Module")]);
    database.load("dbo.XPObjectType", types).unwrap();
    let contracts = TEXTS.iter().flat_map(|company| {
        (0..120_usize).map(move |n| {
            let number = format!("{}{n:03}", TEXTS[n % TEXTS.len()]);
            let inexact = i128::from(n == 7 && *company == "Ж");
            let account = if n == 9 && *company == "_" { "MN\0" } else { "MN12" };
            let total = i128::try_from(n).unwrap() * 100 + inexact;
            vec![text(*company), text(number), decimal(total, 4), text(account)]
        })
    });
    database.load("dbo.Contract", contracts).unwrap();
    let payment = |n: i64| {
        let seed = u128::try_from(n).unwrap();
        let guid = Uuid::from_u128(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
        let note = match n {
            500 => text("U+0000 \0"),
            900 => LegacyValue::BrokenText("a\u{FFFD}".into()),
            _ => text(format!("Бат {n}")),
        };
        let amount = decimal(i128::from(i64::MAX - n), 4);
        // Another spelling of the contract's key, as the collation allows.
        vec![LegacyValue::Guid(guid), amount, note, text("A "), text("A000")]
    };
    database.load("dbo.Payment", (1..3000).map(payment)).unwrap();
    let rates = (0..1200_i64).map(|n| {
        let milliseconds = n / 3 * 10 + (n % 3 * 10 + 1) / 3;
        let moment = LegacyValue::Timestamp(17_092_124_550_000_000 + milliseconds * 10_000);
        let code = text(TEXTS[usize::try_from(n % 9).unwrap()]);
        vec![LegacyValue::Int(n % 5), code, moment, decimal(i128::from(n), 10)]
    });
    database.load("dbo.Rate", rates).unwrap();
}

/// U+0000 or a lone surrogate.
fn has_bad_text(row: &Values) -> bool {
    row.iter().any(|value| match value {
        LegacyValue::Text(text) => text.contains('\0'),
        other => matches!(other, LegacyValue::BrokenText(_)),
    })
}

/// Whether a row can't be mapped; a contract's total has two digits.
fn is_bad(name: &str, row: &Values) -> bool {
    let inexact = |value: &LegacyValue<'_>| {
        name == "Contract" && matches!(value, LegacyValue::Decimal(d) if d.unscaled % 100 != 0)
    };
    has_bad_text(row) || row.iter().any(inexact)
}

pub(crate) fn bad(database: &Database, name: &str) -> u64 {
    let rows = database.rows(name).unwrap();
    u64::try_from(rows.iter().filter(|row| is_bad(name, row)).count()).unwrap()
}

pub(crate) fn remove_bad_texts(database: &Database) {
    for (name, key) in [("Contract", 2), ("Payment", 1)] {
        let rows = database.rows(name).unwrap();
        for row in rows.iter().filter(|row| has_bad_text(row)) {
            database.transaction(|t| t.delete(name, &row[..key]).map(drop)).unwrap();
        }
    }
}

/// The target's rows of a table as arrays of texts, and what they must be, sorted.
pub(crate) fn expected(
    database: &Database,
    name: &str,
) -> (&'static str, Vec<Vec<Option<String>>>) {
    let query = match name {
        "Contract" => "select array[company, number, total::text, account] from contracts",
        "Payment" => "select array[amount::text, note] from payments",
        "Rate" => {
            "select array[space::text, code, to_char(valid_from, 'YYYY-MM-DD HH24:MI:SS.MS'), rate::text] from rates"
        }
        other => panic!("{other}"),
    };
    let row = |row: &Values| -> Vec<Option<String>> {
        match (name, row.as_slice()) {
            ("Contract", [company, number, LegacyValue::Decimal(total), account]) => {
                let total = Decimal { unscaled: total.unscaled / 100, scale: 0 };
                vec![
                    shown(company),
                    shown(number),
                    shown(&LegacyValue::Decimal(total)),
                    shown(account),
                ]
            }
            ("Payment", [_, amount, note, ..]) => vec![shown(amount), shown(note)],
            _ => row.iter().map(shown).collect(),
        }
    };
    let rows = database.rows(name).unwrap();
    let mut rows: Vec<_> = rows.iter().filter(|row| !is_bad(name, row)).map(row).collect();
    rows.sort();
    (query, rows)
}

/// As Postgres shows it.
fn shown(value: &LegacyValue<'static>) -> Option<String> {
    match value {
        LegacyValue::Null => None,
        LegacyValue::Text(text) => Some(text.to_string()),
        LegacyValue::Timestamp(ticks) => {
            let at = chrono::DateTime::from_timestamp_millis(ticks / 10_000).unwrap();
            Some(at.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
        }
        other => Some(other.to_string()),
    }
}
