use mapping::value::{Decimal, LegacyValue};
use uuid::Uuid;

use super::*;

/// What comes back of a value that was stored.
fn stored(sql_type: &str, value: LegacyValue<'_>) -> Result<LegacyValue<'static>, u32> {
    let sql_type: SqlType = sql_type.parse().expect("a type");
    let mut bytes = b"before".to_vec();
    encode(&sql_type, None, &value, &mut bytes).map_err(|refusal| refusal.number)?;
    bytes.extend_from_slice(b"after");
    let (field, rest) = split(&bytes[6..], Width::of(&sql_type)).expect("stored");
    assert_eq!(rest, b"after", "{sql_type}");
    Ok(match field.payload {
        None => LegacyValue::Null,
        Some(payload) => decode(&sql_type, None, payload).expect("of this type"),
    })
}

fn decimal(unscaled: i128, scale: u8) -> LegacyValue<'static> {
    LegacyValue::Decimal(Decimal { unscaled, scale })
}

#[test]
fn values_come_back_as_they_were() {
    let text = |text: &str| LegacyValue::Text(text.to_owned().into());
    let bytes = |bytes: &[u8]| LegacyValue::Bytes(bytes.to_vec().into());
    let nines = 10_i128.pow(38) - 1;
    let offset = |utc_ticks| LegacyValue::TimestampOffset { utc_ticks, offset_minutes: -480 };
    for (sql_type, value) in [
        ("bit", LegacyValue::Bool(true)),
        ("tinyint", LegacyValue::Int(255)),
        ("smallint", LegacyValue::Int(-32_768)),
        ("int", LegacyValue::Int(i64::from(i32::MIN))),
        ("bigint", LegacyValue::Int(i64::MIN)),
        ("real", LegacyValue::Float(1.5)),
        ("float", LegacyValue::Float(-0.1)),
        ("decimal(38,10)", decimal(-nines, 10)),
        ("decimal(9,2)", decimal(999_999_999, 2)),
        ("decimal(19,4)", decimal(-1, 4)),
        ("money", decimal(i128::from(i64::MIN), 4)),
        ("money", decimal(i128::from(i64::MAX), 4)),
        ("smallmoney", decimal(i128::from(i32::MIN), 4)),
        ("date", LegacyValue::Date(-719_162)),
        ("date", LegacyValue::Date(2_932_896)),
        ("time(7)", LegacyValue::Time(863_999_999_999)),
        ("time(0)", LegacyValue::Time(10_000_000)),
        ("datetime", LegacyValue::Timestamp(-1_234_567_890_030_000)),
        ("smalldatetime", LegacyValue::Timestamp(600_000_000)),
        ("datetime2(7)", LegacyValue::Timestamp(-62_135_596_800 * 10_000_000)),
        ("datetime2(3)", LegacyValue::Timestamp(1_230_000)),
        ("datetimeoffset(7)", offset(1_234_567)),
        ("char(3)", text("ab ")),
        ("varchar(9)", text("caf\u{e9}")),
        ("varchar(max)", text("")),
        ("nchar(2)", text("Ү ")),
        ("nvarchar(20)", text("Бат-Өлзий ")),
        ("nvarchar(max)", text("\u{0}😀")),
        ("ntext", text("x")),
        ("xml", text("<a/>")),
        ("binary(2)", bytes(&[1, 0])),
        ("varbinary(8)", bytes(&[])),
        ("varbinary(max)", bytes(&[7; 70_000])),
        ("image", bytes(&[1])),
        ("rowversion", bytes(&[0, 0, 0, 0, 0, 0, 7, 0xD1])),
        ("uniqueidentifier", LegacyValue::Guid(Uuid::from_u128(0x0011_2233_4455_6677_8899))),
        ("nvarchar(4)", LegacyValue::BrokenText("a\u{FFFD}".into())),
    ] {
        assert_eq!(stored(sql_type, value.clone()), Ok(value), "{sql_type}");
        assert_eq!(stored(sql_type, LegacyValue::Null), Ok(LegacyValue::Null), "{sql_type}");
    }
}

#[test]
fn padding_and_rounding_are_the_types() {
    let text = |text: &str| LegacyValue::Text(text.to_owned().into());
    assert_eq!(stored("nchar(3)", text("Ө")), Ok(text("Ө  ")));
    assert_eq!(
        stored("binary(2)", LegacyValue::Bytes(b"\x01".into())),
        Ok(LegacyValue::Bytes(b"\x01\0".into()))
    );
    assert_eq!(stored("datetime", LegacyValue::Timestamp(10_000)), Ok(LegacyValue::Timestamp(0)));
    assert_eq!(
        stored("datetime", LegacyValue::Timestamp(50_000)),
        Ok(LegacyValue::Timestamp(70_000))
    );
    assert_eq!(stored("money", decimal(5, 0)), Ok(decimal(50_000, 4)));
    assert_eq!(stored("varchar(9)", text("Ө")), Ok(text("?")));
}

#[test]
fn what_does_not_fit_is_refused() {
    let text = |text: &'static str| LegacyValue::Text(text.into());
    for (sql_type, value, number) in [
        ("tinyint", LegacyValue::Int(256), 8115),
        ("int", LegacyValue::Int(1 << 31), 8115),
        ("decimal(3,1)", decimal(1_000, 1), 8115),
        ("money", decimal(12_345, 5), 8115),
        ("float", LegacyValue::Float(f64::NAN), 8115),
        ("nvarchar(2)", text("abc"), 2628),
        ("nvarchar(1)", text("😀"), 2628),
        ("datetime", LegacyValue::Timestamp(-62_135_596_800 * 10_000_000), 242),
        ("int", text("1"), 206),
        ("nvarchar(9)", LegacyValue::Unchanged, 206),
    ] {
        assert_eq!(stored(sql_type, value), Err(number), "{sql_type}");
    }
}

#[test]
fn a_lone_surrogate_is_stored_as_one() {
    let mut bytes = Vec::new();
    let broken = LegacyValue::BrokenText("a\u{FFFD}".into());
    encode(&SqlType::NVarChar { length: Some(4) }, None, &broken, &mut bytes).expect("fits");
    assert_eq!(bytes, [4, 0, b'a', 0, 0x3D, 0xD8]);
}
