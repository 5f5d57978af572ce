//! Canonical keys are equal when SQL Server's `=` says so, and only then.
//!
//! The other side of each comparison is written here a second time, from the documented rules and
//! on other grounds: letters by a table of pairs, numbers digit by digit, times by their step of
//! 1/300 s.

use super::*;

/// A key column of some type, a value of it, and the same value or another in any spelling.
#[derive(Debug, Clone)]
struct Two {
    kind: KeyKind,
    left: LegacyValue<'static>,
    right: LegacyValue<'static>,
    equal: bool,
}

/// Letters and their other case, as every Windows collation knows them; no other letter is used.
const PAIRS: [(char, char); 12] = [
    ('a', 'A'),
    ('b', 'B'),
    ('z', 'Z'),
    ('é', 'É'),
    ('ä', 'Ä'),
    ('а', 'А'),
    ('я', 'Я'),
    ('ё', 'Ё'),
    ('ө', 'Ө'),
    ('ү', 'Ү'),
    ('є', 'Є'),
    ('σ', 'Σ'),
];
/// What has no case: digits, marks, a tab and a no-break blank (neither is a trailing blank), a
/// letter beyond 16 bits.
const CASELESS: [char; 10] = ['0', '1', '/', '-', '.', ' ', '\t', '\u{a0}', '№', '😀'];

fn letters() -> Vec<char> {
    let cased = PAIRS.iter().flat_map(|(lower, upper)| [*lower, *upper]);
    cased.chain(CASELESS).collect()
}

/// Trailing U+0020 never counts; case does not under `_CI`.
fn texts_equal(ignore_case: bool, left: &str, right: &str) -> bool {
    let without_end = |text: &str| -> Vec<char> {
        let letters: Vec<char> = text.chars().collect();
        let end = letters.iter().rposition(|letter| *letter != ' ').map_or(0, |last| last + 1);
        letters[..end].to_vec()
    };
    let same = |left: char, right: char| {
        let paired = |pair: &(char, char)| *pair == (left, right) || *pair == (right, left);
        left == right || (ignore_case && PAIRS.iter().any(paired))
    };
    let (left, right) = (without_end(left), without_end(right));
    left.len() == right.len() && left.iter().zip(&right).all(|(l, r)| same(*l, *r))
}

/// A number as its digits, without zeros that say nothing: no arithmetic.
fn plain(value: &LegacyValue<'_>) -> String {
    let (unscaled, scale) = match value {
        LegacyValue::Int(number) => (i128::from(*number), 0),
        LegacyValue::Decimal(Decimal { unscaled, scale }) => (*unscaled, usize::from(*scale)),
        other => panic!("{other:?} is no number"),
    };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let whole = whole.trim_start_matches('0');
    format!("{sign}{whole}.{}", fraction.trim_end_matches('0'))
}

fn text_pairs() -> impl Strategy<Value = Two> {
    let collations = prop::sample::select(vec![
        ("Cyrillic_General_CI_AS", true),
        ("SQL_Latin1_General_CP1_CI_AS", true),
        ("Mongolian_100_CI_AS", true),
        ("Latin1_General_CS_AS", false),
        ("Latin1_General_BIN2", false),
    ]);
    let word = || prop::collection::vec(prop::sample::select(letters()), 0..6);
    // The other text: the same with other cases and blanks at its end, or any.
    let respelled = (any::<u64>(), 0_usize..3);
    (collations, word(), word(), respelled, any::<bool>()).prop_map(
        |((collation, ignore_case), word, other, (cases, blanks), same)| {
            let left: String = word.iter().collect();
            let mut right: String = if same {
                word.iter()
                    .enumerate()
                    .map(|(n, letter)| other_case(*letter, cases >> n & 1 == 1))
                    .collect()
            } else {
                other.iter().collect()
            };
            right.push_str(&" ".repeat(blanks));
            let equal = texts_equal(ignore_case, &left, &right);
            Two {
                kind: KeyKind::Text(Fold::of(collation)),
                left: LegacyValue::Text(left.into()),
                right: LegacyValue::Text(right.into()),
                equal,
            }
        },
    )
}

fn other_case(letter: char, change: bool) -> char {
    let pair = PAIRS.iter().find(|(lower, upper)| *lower == letter || *upper == letter);
    match pair {
        Some((lower, upper)) if change => {
            if letter == *lower {
                *upper
            } else {
                *lower
            }
        }
        _ => letter,
    }
}

fn number_pairs() -> impl Strategy<Value = Two> {
    let decimal = |(unscaled, scale): (i128, u8)| LegacyValue::Decimal(Decimal { unscaled, scale });
    let near = (-2000_i128..2000, 0_u8..=6);
    let far = (any::<i64>().prop_map(i128::from), 0_u8..=19);
    let any_decimal = prop_oneof![near.clone(), far];
    let decimals = (any_decimal.clone(), any_decimal, 0_u8..=12, any::<bool>()).prop_map(
        move |(left, other, more, same)| {
            // The same number in a column of a larger scale.
            let scaled = (left.0 * 10_i128.pow(u32::from(more)), left.1 + more);
            let (left, right) = (decimal(left), decimal(if same { scaled } else { other }));
            let equal = plain(&left) == plain(&right);
            Two { kind: KeyKind::Decimal, left, right, equal }
        },
    );
    // A reference may be wider than the key, or a decimal without a fraction.
    let integers = (any::<i64>(), any::<i64>(), 0_u8..=4, any::<bool>()).prop_map(
        move |(left, other, scale, same)| {
            let number = i128::from(if same { left } else { other });
            let right = decimal((number * 10_i128.pow(u32::from(scale)), scale));
            let left = LegacyValue::Int(left);
            let equal = plain(&left) == plain(&right);
            Two { kind: KeyKind::Int, left, right, equal }
        },
    );
    prop_oneof![decimals, integers]
}

/// GUIDs as texts of either case, as events and drivers spell them.
fn guid_pairs() -> impl Strategy<Value = Two> {
    let hex = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    (hex, hex, any::<bool>()).prop_map(|(left, other, same)| {
        let right = if same { left.to_uppercase() } else { other };
        let equal = left.to_lowercase() == right.to_lowercase();
        let guid = |text: &str| LegacyValue::Guid(text.parse().expect("a GUID"));
        Two { kind: KeyKind::Guid, left: guid(&left), right: guid(&right), equal }
    })
}

/// Two steps of a `datetime`: the driver gives 1/300 s, an event gives milliseconds.
fn datetime_pairs() -> impl Strategy<Value = Two> {
    let ticks = |milliseconds: i64| LegacyValue::Timestamp(milliseconds * 10_000);
    let printed = |step: i64| {
        step.div_euclid(3) * 10 + [0, 3, 7][usize::try_from(step.rem_euclid(3)).expect("0 to 2")]
    };
    let rounded = |step: i64| (step * 10 + 1).div_euclid(3);
    (-1_000_000_i64..1_000_000, -3_i64..=3).prop_map(move |(step, apart)| Two {
        kind: KeyKind::Timestamp,
        left: ticks(rounded(step)),
        right: ticks(printed(step + apart)),
        equal: apart == 0,
    })
}

fn other_pairs() -> impl Strategy<Value = Two> {
    let bytes = prop::collection::vec(0_u8..3, 0..4);
    let float = prop_oneof![Just(0.0), Just(-0.0), Just(1.5), prop::num::f64::NORMAL];
    prop_oneof![
        (bytes.clone(), bytes).prop_map(|(left, right)| {
            let equal = left == right;
            let (left, right) = (LegacyValue::Bytes(left.into()), LegacyValue::Bytes(right.into()));
            Two { kind: KeyKind::Bytes, left, right, equal }
        }),
        (float.clone(), float).prop_map(|(left, right)| Two {
            kind: KeyKind::Float,
            left: LegacyValue::Float(left),
            right: LegacyValue::Float(right),
            equal: left == right,
        }),
        // Compared as instants, whatever the offset.
        (0_i64..3, 0_i64..3, -840_i16..840, -840_i16..840).prop_map(|(left, right, east, west)| {
            let at = |utc_ticks, offset_minutes| LegacyValue::TimestampOffset {
                utc_ticks,
                offset_minutes,
            };
            let (one, two) = (at(left, east), at(right, west));
            Two { kind: KeyKind::TimestampOffset, left: one, right: two, equal: left == right }
        }),
        (-2_i32..2, -2_i32..2).prop_map(|(left, right)| Two {
            kind: KeyKind::Date,
            left: LegacyValue::Date(left),
            right: LegacyValue::Date(right),
            equal: left == right,
        }),
    ]
}

fn column() -> impl Strategy<Value = Two> {
    prop_oneof![
        3 => text_pairs(),
        3 => number_pairs(),
        1 => guid_pairs(),
        1 => datetime_pairs(),
        1 => other_pairs(),
    ]
}

fn keys(columns: &[Two]) -> (CanonicalKey, CanonicalKey) {
    let kinds: Vec<KeyKind> = columns.iter().map(|column| column.kind).collect();
    let left: Vec<_> = columns.iter().map(|column| column.left.clone()).collect();
    let right: Vec<_> = columns.iter().map(|column| column.right.clone()).collect();
    (key(&kinds, &left), key(&kinds, &right))
}

proptest! {
    #[test]
    fn a_key_column_is_equal_when_the_server_says_so(column in column()) {
        let (left, right) = keys(std::slice::from_ref(&column));
        prop_assert_eq!(left == right, column.equal);
        // The canonical form is a spelling of the same value to the server.
        let again = key(&[column.kind], &left.parts());
        prop_assert_eq!(again, left);
    }

    #[test]
    fn a_composite_key_is_equal_when_all_its_columns_are(columns in prop::collection::vec(column(), 1..5)) {
        let (left, right) = keys(&columns);
        prop_assert_eq!(left == right, columns.iter().all(|column| column.equal));
    }

    /// ('1', '11') and ('11', '1') are the same letters in a row, and two keys.
    #[test]
    fn the_border_between_columns_counts(word in prop::collection::vec(prop::sample::select(letters()), 1..8), at in 0_usize..8, other in 0_usize..8) {
        let split = |at: usize| {
            let (left, right) = word.split_at(at.min(word.len()));
            [left.iter().collect::<String>(), right.iter().collect::<String>()]
        };
        let (one, two) = (split(at), split(other));
        let kinds = [KeyKind::Text(Fold::Exact); 2];
        let of = |words: &[String; 2]| key(&kinds, &[text(&words[0]), text(&words[1])]);
        let equal = texts_equal(false, &one[0], &two[0]) && texts_equal(false, &one[1], &two[1]);
        prop_assert_eq!(of(&one) == of(&two), equal);
    }
}

#[test]
fn one_and_eleven_is_not_eleven_and_one() {
    let ints =
        |left, right| key(&[KeyKind::Int; 2], &[LegacyValue::Int(left), LegacyValue::Int(right)]);
    assert_ne!(ints(1, 11), ints(11, 1));
    let texts =
        |left: &str, right: &str| key(&[KeyKind::Text(Fold::Case); 2], &[text(left), text(right)]);
    assert_ne!(texts("1", "11"), texts("11", "1"));
    assert_ne!(texts("", "ab"), texts("a", "b"));
}

#[test]
fn every_step_of_a_second_is_one_key_by_either_road() {
    let mut seen = std::collections::BTreeSet::new();
    for step in 0..300_i64 {
        let driver = (step * 10 + 1) / 3;
        let event = step / 3 * 10 + [0, 3, 7][usize::try_from(step % 3).expect("0 to 2")];
        assert_eq!(driver, event, "step {step}");
        assert!(seen.insert(driver), "two steps are one key");
    }
}
