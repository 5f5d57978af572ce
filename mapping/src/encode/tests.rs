use proptest::prelude::*;

use super::*;
use crate::{decimal, plan::PgType, row::fields, value::Decimal};

fn numeric(unscaled: i128, scale: u8) -> Vec<u16> {
    let mut out = Vec::new();
    put_numeric(&mut out, unscaled, scale);
    let field = fields(&out).next().expect("a field").expect("not NULL");
    field.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

#[test]
fn numeric_is_what_postgres_sends() {
    // As `select … ::numeric(p, s)` with binary results: digits, weight, sign, scale, groups.
    for (unscaled, scale, expect) in [
        (0, 2, vec![0, 0, 0, 2]),
        (150, 2, vec![2, 0, 0, 2, 1, 5000]),
        (-150, 2, vec![2, 0, 0x4000, 2, 1, 5000]),
        (10_000, 0, vec![1, 1, 0, 0, 1]),
        (10_001, 0, vec![2, 1, 0, 0, 1, 1]),
        (1, 4, vec![1, 0xffff, 0, 4, 1]),
        (1, 5, vec![1, 0xfffe, 0, 5, 1000]),
        (123_456_789_012, 4, vec![3, 1, 0, 4, 1234, 5678, 9012]),
        (100_000_000, 4, vec![1, 1, 0, 4, 1]),
        (12_345, 10, vec![2, 0xfffe, 0, 10, 123, 4500]),
    ] {
        assert_eq!(numeric(unscaled, scale), expect, "{unscaled} / 10^{scale}");
    }
}

#[test]
fn fields_are_shown_as_postgres_prints_them() {
    for (pg_type, bytes, expect) in [
        (PgType::Bool, vec![1], "t"),
        (PgType::Int4, vec![0xff; 4], "-1"),
        (PgType::Text, b"abc".to_vec(), "abc"),
        (PgType::Bytea, vec![0xde, 0xad], "\\xdead"),
        (PgType::Date, 0_i32.to_be_bytes().to_vec(), "2000-01-01"),
        (PgType::Date, i32::MAX.to_be_bytes().to_vec(), "infinity"),
        (PgType::Time, 3_600_500_000_i64.to_be_bytes().to_vec(), "01:00:00.500"),
        (PgType::Timestamp, (-1_i64).to_be_bytes().to_vec(), "1999-12-31 23:59:59.999999"),
        (PgType::Timestamptz, i64::MIN.to_be_bytes().to_vec(), "-infinity"),
        (PgType::Int8, vec![1], "\\x01"),
    ] {
        assert_eq!(display(pg_type, &bytes), expect);
    }
}

proptest! {
    #[test]
    fn numeric_reads_back(unscaled in -(10_i128.pow(38) - 1)..10_i128.pow(38), scale in 0_u8..=38) {
        let mut out = Vec::new();
        put_numeric(&mut out, unscaled, scale);
        let field = fields(&out).next().flatten().expect("a field");
        let shown = display(PgType::Numeric { scale }, field);
        prop_assert_eq!(shown, decimal::display(Decimal { unscaled, scale }));
    }

    #[test]
    fn display_never_panics(bytes: Vec<u8>, scale in 0_u8..=38) {
        let types = [
            PgType::Bool, PgType::Int2, PgType::Int4, PgType::Int8, PgType::Float8,
            PgType::Numeric { scale }, PgType::Text, PgType::Bytea, PgType::Uuid, PgType::Date,
            PgType::Time, PgType::Timestamp, PgType::Timestamptz,
        ];
        for pg_type in types {
            prop_assert!(!display(pg_type, &bytes).is_empty() || pg_type == PgType::Text);
        }
        prop_assert!(fields(&bytes).count() <= bytes.len());
    }
}
