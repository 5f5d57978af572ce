use proptest::prelude::*;

use super::*;
use crate::fixture::{Bench, text as text_value};

fn read<'a>(sql_type: &str, text: &'a str) -> Option<LegacyValue<'a>> {
    from_text(text.into(), &sql_type.parse().expect("any text is a type"))
}

fn ticks(text: &str) -> LegacyValue<'static> {
    LegacyValue::Timestamp(parse_timestamp(text).expect("a time"))
}

#[test]
fn a_text_is_read_as_its_column_holds_it() {
    let decimal = |unscaled, scale| Some(LegacyValue::Decimal(Decimal { unscaled, scale }));
    for (sql_type, text, expect) in [
        ("bit", "true", Some(LegacyValue::Bool(true))),
        ("bit", "2", None),
        ("tinyint", "255", Some(LegacyValue::Int(255))),
        ("tinyint", "256", None),
        ("int", "-17", Some(LegacyValue::Int(-17))),
        ("int", "3000000000", None),
        ("int", "1.0", None),
        ("decimal(9,2)", "12.5", decimal(1250, 2)),
        ("decimal(9,2)", "12.505", None),
        ("decimal(4,2)", "100", None),
        ("money", "1234.5", decimal(12_345_000, 4)),
        ("money", "1e30", None),
        ("smallmoney", "214748.3648", None),
        ("float", "0.1", Some(LegacyValue::Float(0.1))),
        ("real", "0.1", Some(LegacyValue::Float(f64::from(0.1_f32)))),
        ("float", "inf", None),
        ("date", "2024-02-29", Some(LegacyValue::Date(19_782))),
        ("date", "2023-02-29", None),
        ("time(3)", "01:00:00.5", Some(LegacyValue::Time(36_005_000_000))),
        ("time(0)", "01:00:00.5", None),
        ("time(0)", "01:00", Some(LegacyValue::Time(36_000_000_000))),
        ("datetime2(7)", "2024-01-01 00:00:00.0000001", Some(ticks("2024-01-01T00:00:00.0000001"))),
        ("datetime2(7)", "2024-01-01T00:00:00.00000001", None),
        ("datetime2(3)", "2024-01-01T00:00:00.0001", None),
        ("datetime2(0)", "2016-12-31T23:59:60", None),
        ("smalldatetime", "2024-01-01T00:01:00", Some(ticks("2024-01-01T00:01:00"))),
        ("smalldatetime", "2024-01-01T00:01:01", None),
        ("smalldatetime", "1899-12-31", None),
        ("binary(3)", "0x00FF", Some(LegacyValue::Bytes(vec![0, 255, 0].into()))),
        ("binary(1)", "0x00FF", None),
        ("varbinary(4)", "0x0", None),
        ("varbinary(4)", "00", None),
        ("varbinary(4)", "0x", Some(LegacyValue::Bytes(Vec::new().into()))),
        ("nvarchar(4)", "ab ", Some(text_value("ab "))),
        ("uniqueidentifier", "nil", None),
        ("geography", "POINT(1 1)", None),
    ] {
        assert_eq!(read(sql_type, text), expect, "{sql_type} {text}");
    }
}

#[test]
fn an_offset_is_kept_and_compared_as_an_instant() {
    let read = |text| read("datetimeoffset(7)", text);
    let Some(LegacyValue::TimestampOffset { utc_ticks, offset_minutes }) =
        read("1970-01-01T08:00:00+08:00")
    else {
        panic!("an instant");
    };
    assert_eq!((utc_ticks, offset_minutes), (0, 480));
    assert!(read("1970-01-01T08:00:00").is_none(), "no offset, no instant");
}

/// `datetime` steps by 1/300 s; a key that is typed to the millisecond means the stored one.
#[test]
fn a_datetime_is_the_step_that_the_server_stores() {
    for (typed, stored) in [
        ("2024-01-01T00:00:00.004", "2024-01-01T00:00:00.003"),
        ("2024-01-01T00:00:00.005", "2024-01-01T00:00:00.007"),
        ("2024-01-01T00:00:00.998", "2024-01-01T00:00:00.997"),
        ("2024-01-01T00:00:00.999", "2024-01-01T00:00:01"),
        ("1753-01-01", "1753-01-01"),
    ] {
        assert_eq!(read("datetime", typed), Some(ticks(stored)), "{typed}");
    }
    assert_eq!(read("datetime", "9999-12-31T23:59:59.999"), None);
    assert_eq!(read("datetime", "1752-12-31"), None);
    assert_eq!(read("datetime", "2024-01-01T00:00:00.0033"), None);
}

#[test]
fn a_key_with_a_date_is_known_from_a_text() {
    let bench = Bench::new();
    let rates = bench.table("SpaceRate");
    let key = rates.parse_key("17/байр /2024-01-01").expect("a key");
    assert_eq!(key.to_string(), "17/БАЙР/2024-01-01T00:00:00");
    assert_eq!(rates.parse_key(&key.to_text()), Ok(key));
}

#[test]
fn what_is_no_key_is_told_with_what_would_be() {
    let bench = Bench::new();
    let rates = bench.table("SpaceRate");
    let told = |text| {
        let error = rates.parse_key(text).expect_err("no key");
        format!("{error}; {}", error.hint())
    };
    assert_eq!(
        told("17/A"),
        "a key of dbo.SpaceRate has 3 parts (SPACE_ID, RATE_CODE, VALID_FROM), and the text has 2; \
         write <SPACE_ID>/<RATE_CODE>/<VALID_FROM>, and inside a part ~1 for / and ~0 for ~"
    );
    assert_eq!(
        told("17/A/yesterday"),
        "the part for dbo.SpaceRate.VALID_FROM is no value of type datetime; \
         write it as a time, such as 2024-12-31T23:59:59.997"
    );
    assert_eq!(
        told("x/A/2024-01-01"),
        "the part for dbo.SpaceRate.SPACE_ID is no value of type int; \
         write it as a whole number, such as 17"
    );
    let long = format!("17/{}/2024-01-01", "x".repeat(70_000));
    assert!(told(&long).contains("dbo.SpaceRate.RATE_CODE"));
}

/// A value as the column of a type holds it.
fn held() -> impl Strategy<Value = (SqlType, LegacyValue<'static>)> {
    let second = -53_000_000_000_i64..253_000_000_000;
    let day = -719_162_i32..=2_932_896;
    prop_oneof![
        any::<bool>().prop_map(|b| (SqlType::Bit, LegacyValue::Bool(b))),
        any::<i64>().prop_map(|n| (SqlType::BigInt, LegacyValue::Int(n))),
        (-(10_i128.pow(38) - 1)..10_i128.pow(38), 0_u8..=38).prop_map(|(unscaled, scale)| {
            (
                SqlType::Decimal { precision: 38, scale },
                LegacyValue::Decimal(Decimal { unscaled, scale }),
            )
        }),
        any::<i64>().prop_filter("money is symmetric here", |n| *n != i64::MIN).prop_map(|n| {
            (SqlType::Money, LegacyValue::Decimal(Decimal { unscaled: n.into(), scale: 4 }))
        }),
        any::<f64>()
            .prop_filter("the server holds no others", |f| f.is_finite())
            .prop_map(|f| (SqlType::Float, LegacyValue::Float(f))),
        any::<f32>()
            .prop_filter("the server holds no others", |f| f.is_finite())
            .prop_map(|f| (SqlType::Real, LegacyValue::Float(f.into()))),
        day.prop_map(|days| (SqlType::Date, LegacyValue::Date(days))),
        (0_i64..864_000_000_000)
            .prop_map(|ticks| (SqlType::Time { scale: 7 }, LegacyValue::Time(ticks))),
        (-6_800_000_000_i64..253_000_000_000, 0_i64..300).prop_map(|(second, step)| {
            let ticks = (second * 1000 + (step * 10 + 1) / 3) * TICKS_PER_MILLISECOND;
            (SqlType::DateTime, LegacyValue::Timestamp(ticks))
        }),
        (second.clone(), 0_i64..TICKS_PER_SECOND).prop_map(|(second, rest)| {
            let ticks = second * TICKS_PER_SECOND + rest;
            (SqlType::DateTime2 { scale: 7 }, LegacyValue::Timestamp(ticks))
        }),
        (second, 0_i64..TICKS_PER_SECOND).prop_map(|(second, rest)| {
            let utc_ticks = second * TICKS_PER_SECOND + rest;
            let value = LegacyValue::TimestampOffset { utc_ticks, offset_minutes: 0 };
            (SqlType::DateTimeOffset { scale: 7 }, value)
        }),
        any::<String>()
            .prop_map(|s| (SqlType::NVarChar { length: Some(40) }, LegacyValue::Text(s.into()))),
        any::<Vec<u8>>()
            .prop_map(|b| (SqlType::VarBinary { length: None }, LegacyValue::Bytes(b.into()))),
        any::<[u8; 9]>().prop_map(|b| {
            (SqlType::Binary { length: 9 }, LegacyValue::Bytes(b.to_vec().into()))
        }),
        any::<u128>()
            .prop_map(|n| (SqlType::UniqueIdentifier, LegacyValue::Guid(Uuid::from_u128(n)))),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_back((sql_type, value) in held()) {
        let text = to_text(&value);
        prop_assert_eq!(from_text(text.clone().into(), &sql_type), Some(value), "{}", text);
    }

    #[test]
    fn no_text_panics(text: String, other in "[-+0-9.:TZeEx ]{0,40}", which in 0_usize..30) {
        let types = [
            "bit", "tinyint", "smallint", "int", "bigint", "decimal(38,38)", "decimal(9,0)", "money",
            "smallmoney", "real", "float", "date", "time(7)", "time(0)", "datetime",
            "smalldatetime", "datetime2(7)", "datetime2(0)", "datetimeoffset(7)", "char(3)",
            "varchar(max)", "ntext", "xml", "binary(2)", "varbinary(max)", "image", "rowversion",
            "uniqueidentifier", "geography", "numeric",
        ];
        for text in [text, other] {
            if let Some(value) = read(types[which], &text) {
                let again = to_text(&value);
                prop_assert_eq!(read(types[which], &again), Some(value.clone()));
            }
        }
    }

    /// Whatever the parts hold: a slash and a tilde inside a part are no separators.
    #[test]
    fn a_key_as_text_is_the_same_key(
        space: i32,
        code in prop_oneof![any::<String>(), "[aA/~01 ]{0,8}"],
        second in -6_800_000_000_i64..253_000_000_000,
        step in 0_i64..300,
    ) {
        let bench = Bench::new();
        let rates = bench.table("SpaceRate");
        let mut values = vec![LegacyValue::Unchanged; rates.columns.len()];
        let ticks = (second * 1000 + (step * 10 + 1) / 3) * TICKS_PER_MILLISECOND;
        let parts = [LegacyValue::Int(space.into()), LegacyValue::Text(code.into()), LegacyValue::Timestamp(ticks)];
        for (index, part) in rates.key.iter().zip(parts) {
            values[*index] = part;
        }
        let key = rates.canonical_key(&values).expect("a key");
        let text = key.to_text();
        prop_assert_eq!(rates.parse_key(&text), Ok(key), "{}", text);
    }
}
