use proptest::prelude::*;
use tiberius::{
    numeric::Numeric,
    time::{Date, DateTime, DateTime2, DateTimeOffset, SmallDateTime, Time},
    xml::XmlData,
};
use uuid::Uuid;

use super::*;

fn check(data: ColumnData<'static>, expect: LegacyValue<'static>) {
    assert_eq!(from_driver(data, true), expect);
}

#[test]
fn numbers_keep_every_digit() {
    check(ColumnData::U8(Some(255)), LegacyValue::Int(255));
    check(ColumnData::I16(Some(i16::MIN)), LegacyValue::Int(-32768));
    check(ColumnData::I32(Some(i32::MIN)), LegacyValue::Int(-2_147_483_648));
    check(ColumnData::I64(Some(i64::MAX)), LegacyValue::Int(i64::MAX));
    check(ColumnData::F32(Some(1.5)), LegacyValue::Float(1.5));
    check(ColumnData::F64(Some(0.1)), LegacyValue::Float(0.1));
    check(ColumnData::Bit(Some(true)), LegacyValue::Bool(true));
    let digits = 99_999_999_999_999_999_999_999_999_999_999_999_999_i128;
    for scale in [0, 10, 38] {
        check(
            ColumnData::Numeric(Some(Numeric::new_with_scale(-digits, scale))),
            LegacyValue::Decimal(Decimal { unscaled: -digits, scale }),
        );
    }
}

#[test]
fn every_type_has_null() {
    for data in [
        ColumnData::U8(None),
        ColumnData::I16(None),
        ColumnData::I32(None),
        ColumnData::I64(None),
        ColumnData::F32(None),
        ColumnData::F64(None),
        ColumnData::Bit(None),
        ColumnData::String(None),
        ColumnData::Guid(None),
        ColumnData::Binary(None),
        ColumnData::Numeric(None),
        ColumnData::Xml(None),
        ColumnData::DateTime(None),
        ColumnData::SmallDateTime(None),
        ColumnData::Time(None),
        ColumnData::Date(None),
        ColumnData::DateTime2(None),
        ColumnData::DateTimeOffset(None),
    ] {
        check(data, LegacyValue::Null);
    }
}

#[test]
fn text_that_was_no_unicode_is_marked() {
    let text = |text: &'static str| ColumnData::String(Some(text.into()));
    check(text("Бат\0 x "), LegacyValue::Text("Бат\0 x ".into()));
    check(text("a\u{FFFD}b"), LegacyValue::BrokenText("a\u{FFFD}b".into()));
    // A code page is decoded strictly, so what it holds is what is stored.
    assert_eq!(from_driver(text("a\u{FFFD}b"), false), LegacyValue::Text("a\u{FFFD}b".into()));
    check(
        ColumnData::Xml(Some(Cow::Owned(XmlData::new("<a/>")))),
        LegacyValue::Text("<a/>".into()),
    );
}

#[test]
fn bytes_and_guids_pass_unchanged() {
    check(ColumnData::Binary(Some(vec![0, 255].into())), LegacyValue::Bytes(vec![0, 255].into()));
    let guid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    check(ColumnData::Guid(Some(guid)), LegacyValue::Guid(guid));
}

#[test]
fn texts_are_moved_not_copied() {
    let text = "long enough to be on the heap".to_owned();
    let address = text.as_ptr();
    match from_driver(ColumnData::String(Some(text.into())), true) {
        LegacyValue::Text(moved) => assert_eq!(moved.as_ptr(), address),
        other => panic!("{other:?}"),
    }
}

/// Ticks of a wall time, the other way round than the code under test computes them.
fn ticks(year: i32, month: u32, day: u32, nanosecond_of_day: i64) -> i64 {
    let date = chrono::NaiveDate::from_ymd_opt(year, month, day).unwrap();
    let seconds = date.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp();
    seconds * 10_000_000 + nanosecond_of_day / 100
}

#[test]
fn datetime_is_what_sql_server_prints() {
    // 00:00:00.000, .003, .007, .010 and 23:59:59.997.
    for (fragments, milliseconds) in [(0, 0), (1, 3), (2, 7), (3, 10), (25_919_999, 86_399_997)] {
        check(
            ColumnData::DateTime(Some(DateTime::new(0, fragments))),
            LegacyValue::Timestamp(ticks(1900, 1, 1, milliseconds * 1_000_000)),
        );
    }
    check(
        ColumnData::DateTime(Some(DateTime::new(-53_690, 0))),
        LegacyValue::Timestamp(ticks(1753, 1, 1, 0)),
    );
    check(
        ColumnData::SmallDateTime(Some(SmallDateTime::new(45_000, 1_439))),
        LegacyValue::Timestamp(ticks(2023, 3, 17, (23 * 60 + 59) * 60_000_000_000)),
    );
}

#[test]
fn the_newer_types_are_exact_to_100_ns() {
    let end_of_day = Time::new(863_999_999_999, 7);
    check(ColumnData::Time(Some(end_of_day)), LegacyValue::Time(863_999_999_999));
    check(ColumnData::Time(Some(Time::new(86_399, 0))), LegacyValue::Time(863_990_000_000));
    check(ColumnData::Date(Some(Date::new(0))), LegacyValue::Date(-719_162));
    check(ColumnData::Date(Some(Date::new(719_162))), LegacyValue::Date(0));
    check(
        ColumnData::DateTime2(Some(DateTime2::new(Date::new(3_652_058), end_of_day))),
        LegacyValue::Timestamp(ticks(9999, 12, 31, 86_399_999_999_900)),
    );
    let noon = DateTime2::new(Date::new(738_000), Time::new(432_000_000_000, 7));
    check(
        ColumnData::DateTimeOffset(Some(DateTimeOffset::new(noon, -480))),
        LegacyValue::TimestampOffset {
            utc_ticks: (738_000 - 719_162) * TICKS_PER_DAY + 432_000_000_000,
            offset_minutes: -480,
        },
    );
}

proptest! {
    #[test]
    fn datetime_keeps_the_order_of_its_steps(days in -53_690_i32..2_958_463, a in 0_u32..25_920_000, b in 0_u32..25_920_000) {
        let of = |fragments| datetime_ticks(DateTime::new(days, fragments));
        prop_assert_eq!(a.cmp(&b), of(a).cmp(&of(b)));
        prop_assert!(of(a).rem_euclid(TICKS_PER_MILLISECOND) == 0);
    }
}
