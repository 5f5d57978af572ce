use std::{cmp::Ordering, sync::Arc};

use mapping::{catalog, value::Decimal};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::legacy::codec::Width;

fn column(sql_type: SqlType) -> Column {
    let textual = matches!(sql_type, SqlType::NVarChar { .. } | SqlType::NChar { .. });
    let collation =
        textual.then(|| Arc::new(Collation::parse("Cyrillic_General_CI_AS").expect("simulated")));
    Column {
        width: Width::of(&sql_type),
        column: catalog::Column {
            name: "k".into(),
            sql_type,
            nullable: false,
            collation: None,
            computed: false,
            identity: false,
        },
        collation,
    }
}

fn key(column: &Column, value: LegacyValue<'_>) -> Vec<u8> {
    let mut key = Vec::new();
    assert_eq!(push_value(column, &value, &mut key), Ok(true), "{value:?}");
    // The stored form gives the same bytes as the value.
    let mut stored = Vec::new();
    codec::encode(&column.column.sql_type, None, &value, &mut stored).expect("fits");
    let (field, _) = codec::split(&stored, column.width).expect("stored");
    let mut of_stored = Vec::new();
    push(column, field.payload, &mut of_stored).expect("a key");
    assert_eq!(key, of_stored, "{value:?}");
    key
}

fn text(text: &str) -> LegacyValue<'_> {
    LegacyValue::Text(text.into())
}

/// How SQL Server compares GUIDs: by these bytes of the stored form, in turn.
fn guid_order(a: Uuid, b: Uuid) -> Ordering {
    let (a, b) = (a.to_bytes_le(), b.to_bytes_le());
    let turns = [10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3];
    turns.iter().map(|at| a[*at].cmp(&b[*at])).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

/// How the simulated collation compares texts.
fn text_order(a: &str, b: &str) -> Ordering {
    let fold = |text: &str| -> Vec<u16> {
        let one = |c: char| {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(u), None) if c.len_utf16() == 1 && u.len_utf16() == 1 => u,
                _ => c,
            }
        };
        text.trim_end_matches(' ').chars().map(one).collect::<String>().encode_utf16().collect()
    };
    fold(a).cmp(&fold(b))
}

const TEXTS: &str = "[ aAbBеЕёЁөӨяЯ_\u{0}\u{1}\u{2}\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}😀ß]{0,6}";

proptest! {
    #[test]
    fn guids_sort_as_sql_server_sorts_them(a: u128, b: u128, same_tail: bool) {
        let b = if same_tail { (b & !0xFFFF_FFFF_FFFF) | (a & 0xFFFF_FFFF_FFFF) } else { b };
        let (a, b) = (Uuid::from_u128(a), Uuid::from_u128(b));
        let column = column(SqlType::UniqueIdentifier);
        let keys = (key(&column, LegacyValue::Guid(a)), key(&column, LegacyValue::Guid(b)));
        prop_assert_eq!(keys.0.cmp(&keys.1), guid_order(a, b));
    }

    #[test]
    fn texts_sort_folded_without_trailing_blanks(a in TEXTS, b in TEXTS) {
        let column = column(SqlType::NVarChar { length: Some(20) });
        let keys = (key(&column, text(&a)), key(&column, text(&b)));
        prop_assert_eq!(keys.0.cmp(&keys.1), text_order(&a, &b));
    }

    #[test]
    fn composite_keys_sort_by_their_parts(
        a in (TEXTS, -3..3_i64), b in (TEXTS, -3..3_i64),
    ) {
        let columns = (column(SqlType::NVarChar { length: Some(20) }), column(SqlType::Int));
        let both = |(head, tail): &(String, i64)| {
            let mut both = key(&columns.0, text(head));
            both.extend(key(&columns.1, LegacyValue::Int(*tail)));
            both
        };
        let expected = text_order(&a.0, &b.0).then(a.1.cmp(&b.1));
        prop_assert_eq!(both(&a).cmp(&both(&b)), expected);
        // The rows after a prefix begin at its successor.
        let prefix = key(&columns.0, text(&a.0));
        let after = successor(&prefix).expect("the prefix is not all ones");
        prop_assert_eq!(both(&b) >= after, text_order(&b.0, &a.0).is_gt());
    }

    #[test]
    fn numbers_sort_by_value(a: i64, b: i64, x: f64, y: f64) {
        let column_of = column;
        let column = column_of(SqlType::BigInt);
        let keys = (key(&column, LegacyValue::Int(a)), key(&column, LegacyValue::Int(b)));
        prop_assert_eq!(keys.0.cmp(&keys.1), a.cmp(&b));
        let decimal = |n: i64| {
            LegacyValue::Decimal(Decimal { unscaled: i128::from(n) << 50, scale: 10 })
        };
        let column = column_of(SqlType::Decimal { precision: 38, scale: 10 });
        let keys = (key(&column, decimal(a)), key(&column, decimal(b)));
        prop_assert_eq!(keys.0.cmp(&keys.1), a.cmp(&b));
        let money = |n: i64| LegacyValue::Decimal(Decimal { unscaled: i128::from(n), scale: 4 });
        let column = column_of(SqlType::Money);
        let keys = (key(&column, money(a)), key(&column, money(b)));
        prop_assert_eq!(keys.0.cmp(&keys.1), a.cmp(&b));
        if x.is_finite() && y.is_finite() {
            let column = column_of(SqlType::Float);
            let keys = (key(&column, LegacyValue::Float(x)), key(&column, LegacyValue::Float(y)));
            prop_assert_eq!(Some(keys.0.cmp(&keys.1)), x.partial_cmp(&y));
        }
    }

    #[test]
    fn times_sort_by_time(
        a in -68_000_000_000_000_000..2_000_000_000_000_000_000_i64, step in -100_000..100_000_i64,
    ) {
        let b = a + step * 33_333;
        for sql_type in [SqlType::DateTime, SqlType::DateTime2 { scale: 7 }] {
            let column = column(sql_type.clone());
            let stored = |ticks: i64| {
                let mut bytes = Vec::new();
                codec::encode(&sql_type, None, &LegacyValue::Timestamp(ticks), &mut bytes)
                    .expect("in range");
                let (field, _) = codec::split(&bytes, column.width).expect("stored");
                codec::decode(&sql_type, None, field.payload.expect("not NULL")).expect("a time")
            };
            let (LegacyValue::Timestamp(x), LegacyValue::Timestamp(y)) = (stored(a), stored(b))
            else { panic!("timestamps") };
            let keys = (key(&column, stored(a)), key(&column, stored(b)));
            prop_assert_eq!(keys.0.cmp(&keys.1), x.cmp(&y));
        }
    }
}

#[test]
fn nothing_equals_null() {
    let mut key = Vec::new();
    assert_eq!(push_value(&column(SqlType::Int), &LegacyValue::Null, &mut key), Ok(false));
    assert!(key.is_empty());
}

#[test]
fn the_successor_of_all_ones_is_nowhere() {
    assert_eq!(successor(&[0xFF, 0xFF]), None);
    assert_eq!(successor(&[1, 0xFF]), Some(vec![2]));
}
