//! Legacy rows: functions of a number, so that a row can be made again as it was at any version.
//!
//! They look like Spacehub's: Cyrillic keys, NULLs, datetimes in steps of 1/300 s, money, big
//! texts in a third of the contracts. None is bad: what is measured is the usual road.

use mapping::value::{Decimal, LegacyValue, TICKS_PER_SECOND};
use sandbox::legacy::Values;

type Value = LegacyValue<'static>;

/// Places of the columns that [`contract`] changes with the version.
pub(crate) const CONTRACT_CHANGED: &[usize] = &[6, 8, 11];
/// Those, when the text changes too.
pub(crate) const CONTRACT_CHANGED_TERMS: &[usize] = &[6, 8, 10, 11];

const DAY: i64 = 86_400 * TICKS_PER_SECOND;
/// 2008-01-01.
const FIRST_DAY: i64 = 13_879;
const CLAUSES: [&str; 4] = [
    "Түрээслэгч нь сар бүрийн 5-ны дотор төлбөрөө төлнө. ",
    "Талууд гэрээг 30 хоногийн өмнө мэдэгдэж цуцалж болно. ",
    "Барьцаа мөнгө нь хоёр сарын түрээстэй тэнцэнэ. ",
    "Ашиглалтын зардлыг түрээслэгч хариуцна. ",
];
const SERVICES: [&str; 4] =
    ["Түрээсийн төлбөр", "Цахилгаан", "Халаалт, ус", "Ашиглалтын зардал, 3-р сар"];

/// A random number for a purpose: splitmix64.
fn roll(seed: u64, purpose: u64) -> u64 {
    let mut x =
        seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ purpose.wrapping_mul(0xD1B5_4A32_D192_ED03);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A random number below a bound.
pub(crate) fn below(seed: u64, purpose: u64, bound: u64) -> u64 {
    roll(seed, purpose) % bound.max(1)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn int(number: u64) -> Value {
    LegacyValue::Int(signed(number))
}

fn money(mungo: u64) -> Value {
    LegacyValue::Decimal(Decimal { unscaled: i128::from(mungo) * 100, scale: 4 })
}

fn pick(words: &[&'static str], seed: u64, purpose: u64) -> &'static str {
    let count = u64::try_from(words.len()).unwrap_or(1);
    let index = usize::try_from(below(seed, purpose, count)).unwrap_or(0);
    words.get(index).copied().unwrap_or_default()
}

fn maybe(seed: u64, purpose: u64, null_once_in: u64, value: Value) -> Value {
    if below(seed, purpose, null_once_in) == 0 { LegacyValue::Null } else { value }
}

/// In office hours, in a step of 1/300 s.
fn office_hours(day: i64, seed: u64) -> Value {
    let second = 8 * 3600 + signed(below(seed, 20, 36_000));
    let ms = [0, 3, 7].get(usize::try_from(seed % 3).unwrap_or(0)).copied().unwrap_or(0);
    LegacyValue::Timestamp(day * DAY + second * TICKS_PER_SECOND + ms * TICKS_PER_SECOND / 1000)
}

/// `ГЭ-2024/00012345`: a form that the mapping reads numbers from.
fn contract_no(number: u64) -> Value {
    let year = 2008 + number / 100 % 6_500 / 365;
    LegacyValue::Text(format!("ГЭ-{year}/{number:08}").into())
}

/// The contract with this number, as of a version. Later numbers were signed later.
pub(crate) fn contract(number: u64, version: u64) -> Values {
    let changing = number.wrapping_add(version << 40);
    let day = FIRST_DAY + signed(number / 100 % 6_500) + signed(below(number, 1, 30));
    let terms = match number % 3 {
        0 => {
            let clauses = (0..3).map(|n| pick(&CLAUSES, number, 50 + n + version / 8));
            LegacyValue::Text(clauses.collect::<String>().into())
        }
        _ => LegacyValue::Null,
    };
    vec![
        LegacyValue::Text(pick(&["УБ01", "ХУ02", "БЗ03"], number, 2).into()),
        contract_no(number),
        int(1 + below(number, 3, 20_000)),
        office_hours(day, roll(number, 4)),
        LegacyValue::Timestamp((day + 14) * DAY),
        maybe(number, 5, 6, LegacyValue::Timestamp((day + 379) * DAY)),
        int(below(changing, 6, 5)),
        LegacyValue::Text("MNT".into()),
        maybe(number, 7, 25, money(below(changing, 8, 2_000_000_000))),
        LegacyValue::Float(0.1),
        terms,
        int(version),
    ]
}

/// The invoice with this number.
pub(crate) fn invoice(number: u64) -> Values {
    let contract = below(number, 1, 100_000);
    let day = FIRST_DAY + signed(number / 300 % 6_500);
    let subtotal = below(number, 2, 1_000_000_000);
    vec![
        int(number + 1),
        LegacyValue::Text(format!("НХ-{number:08}").into()),
        LegacyValue::Text(pick(&["УБ01", "ХУ02", "БЗ03"], contract, 2).into()),
        contract_no(contract),
        office_hours(day, roll(number, 3)),
        LegacyValue::Timestamp((day + 14) * DAY),
        LegacyValue::Date(i32::try_from(day).unwrap_or(0)),
        money(subtotal),
        money(subtotal / 10),
        money(subtotal + subtotal / 10),
        LegacyValue::Float(1_234.5),
        int(below(number, 4, 5)),
        int(below(number, 5, 9)),
        LegacyValue::Null,
    ]
}

/// The invoice line with this number.
pub(crate) fn invoice_line(number: u64) -> Values {
    let (quantity, price) = (1 + below(number, 1, 12), below(number, 2, 3_000_000) * 100);
    vec![
        int(number + 1),
        int(1 + number / 4),
        int(1 + number % 4),
        LegacyValue::Text(pick(&SERVICES, number, 3).into()),
        LegacyValue::Float(f64::from(u32::try_from(quantity).unwrap_or(1))),
        money(price),
        money(quantity * price),
        maybe(number, 4, 5, int(below(number, 5, 4))),
        LegacyValue::Null,
    ]
}
