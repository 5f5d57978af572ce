mod money;

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    decimal::Round,
    encode::display,
    plan::tests::any_value,
    row::fields,
    value::{Decimal, TICKS_PER_SECOND},
};

fn number(scale: u8, round: Round) -> NumberRule {
    NumberRule { scale, precision: None, round, single: false }
}

fn every_make() -> Vec<Make> {
    let sentinels = Sentinels {
        days: vec![(0, Sentinel::Null), (1, Sentinel::Infinity)],
        ticks: vec![(5, Sentinel::MinusInfinity)],
    };
    let zone = Some(Zone::shared(chrono_tz::Asia::Ulaanbaatar));
    let tz = |zone: Option<Arc<Zone>>, gap, overlap, truncate| Make::Timestamptz {
        zone,
        gap,
        overlap,
        truncate,
        sentinels: sentinels.clone(),
    };
    let loose = TextRule {
        trim: Trim::Both,
        empty_is_null: true,
        strip_nul: true,
        replace_surrogates: true,
    };
    vec![
        Make::Bool,
        Make::Int2,
        Make::Int4,
        Make::Int8,
        Make::Float8 { single: false },
        Make::Float8 { single: true },
        Make::Numeric(number(0, Round::Never)),
        Make::Numeric(NumberRule { precision: Some(5), single: true, ..number(2, Round::HalfUp) }),
        Make::Numeric(number(38, Round::HalfEven)),
        Make::Money(number(2, Round::Never)),
        Make::Money(number(9, Round::HalfEven)),
        Make::Text(TextRule::PLAIN),
        Make::Text(loose),
        Make::Bytea,
        Make::Uuid,
        Make::Date { drop_time: false, sentinels: sentinels.clone() },
        Make::Date { drop_time: true, sentinels: Sentinels::default() },
        Make::Time { truncate: false },
        Make::Time { truncate: true },
        Make::Timestamp { truncate: true, sentinels: sentinels.clone() },
        tz(zone.clone(), Gap::Reject, Overlap::Reject, false),
        tz(zone, Gap::Later, Overlap::Daylight, true),
        tz(None, Gap::Reject, Overlap::Standard, true),
        Make::Enum(EnumValues { numbers: vec![(1, "one".into())], ..EnumValues::default() }),
        Make::Enum(EnumValues {
            texts: vec![("T".into(), "yes".into())],
            unknown: Some("other".into()),
            ..EnumValues::default()
        }),
        Make::Flags(Box::new(Flags {
            named: vec![(1, "a".into()), (1 << 63, "z".into())],
            ignored: 6,
            unknown: Some("other".into()),
            width: u64::MAX,
        })),
        Make::Split(Box::new(Split {
            separator: "a".into(),
            part: 1,
            absent_is_null: true,
            clean: loose,
        })),
        Make::Lookup(Box::new(Lookup {
            kind: crate::key::KeyKind::Int,
            texts: Vec::new(),
            unknown: Some("other".into()),
            name: "l".into(),
        })),
        Make::Color,
        Make::Seconds,
        Make::Type(TypeValues::default()),
    ]
}

fn convert(make: &Make, value: &LegacyValue<'_>) -> Result<Option<String>, &'static str> {
    let types = BTreeMap::from([(1, "Demo.Space".to_owned())]);
    let context = Context { object_types: &types, seen_at_us: 0 };
    let mut out = Vec::new();
    match make.convert(value, &context, &mut out) {
        Ok(Wrote::Field) => {
            let all: Vec<_> = fields(&out).collect();
            assert_eq!(all.len(), 1, "one whole field: {make:?} {value:?}");
            Ok(all[0].map(|bytes| display(make.pg_type(), bytes)))
        }
        Ok(Wrote::Nothing) => {
            assert!(out.is_empty(), "nothing: {make:?} {value:?}");
            Ok(None)
        }
        Err(fault) => Err(fault.rule),
    }
}

proptest! {
    #[test]
    fn no_value_panics_any_converter(value in any_value()) {
        for make in every_make() {
            let converted = convert(&make, &value);
            if let Err(rule) = converted {
                prop_assert!(rule.contains('.'));
            }
        }
        let mut out = Vec::new();
        if let Err(fault) = inflate(&value, &LegacyValue::Int(10), &mut out) {
            prop_assert!(fault.rule.contains('.'));
        }
    }

    #[test]
    fn money_goes_there_and_back(minor: i64, digits in 0_u8..=4) {
        let exact = Decimal { unscaled: i128::from(minor) * 10_i128.pow(u32::from(4 - digits)), scale: 4 };
        let make = Make::Money(number(digits, Round::Never));
        prop_assert_eq!(convert(&make, &LegacyValue::Decimal(exact)), Ok(Some(minor.to_string())));
        let text = crate::decimal::display(exact);
        prop_assert_eq!(convert(&make, &LegacyValue::Text(text.into())), Ok(Some(minor.to_string())));
    }

    #[test]
    fn float_money_is_what_was_typed(minor in -10_i64.pow(14)..10_i64.pow(14)) {
        let typed: f64 = crate::decimal::display(Decimal { unscaled: i128::from(minor), scale: 2 })
            .parse()
            .expect("a number");
        let make = Make::Money(number(2, Round::Never));
        prop_assert_eq!(convert(&make, &LegacyValue::Float(typed)), Ok(Some(minor.to_string())));
    }

    #[test]
    fn a_timestamp_of_microseconds_is_exact(second in -62_135_596_800_i64..253_402_300_800, micro in 0_i64..1_000_000) {
        let ticks = second * TICKS_PER_SECOND + micro * 10;
        let make = Make::Timestamp { truncate: false, sentinels: Sentinels::default() };
        let shown = convert(&make, &LegacyValue::Timestamp(ticks)).expect("in range").expect("a value");
        prop_assert_eq!(parse_timestamp(&shown), Some(ticks));
    }
}

#[test]
fn integers_are_exact_or_rejected() {
    let decimal = |unscaled, scale| LegacyValue::Decimal(Decimal { unscaled, scale });
    for (make, value, expect) in [
        (Make::Int2, LegacyValue::Int(32_767), Ok("32767")),
        (Make::Int2, LegacyValue::Int(32_768), Err("int.range")),
        (Make::Int4, LegacyValue::Bool(true), Ok("1")),
        (Make::Int8, decimal(1700, 2), Ok("17")),
        (Make::Int8, decimal(1750, 2), Err("int.inexact")),
        (Make::Int8, LegacyValue::Float(3.0), Ok("3")),
        (Make::Int8, LegacyValue::Float(f64::NAN), Err("int.range")),
        (Make::Bool, LegacyValue::Int(1), Ok("t")),
        (Make::Bool, LegacyValue::Int(2), Err("bool.range")),
        (Make::Seconds, LegacyValue::Float(-60.0), Ok("-60")),
        (Make::Seconds, LegacyValue::Float(1e12), Err("seconds.range")),
        (Make::Color, LegacyValue::Int(-1), Ok("#ffffffff")),
        (Make::Color, LegacyValue::Int(1 << 40), Err("color.range")),
    ] {
        let expect = expect.map(|text| Some(text.to_owned()));
        assert_eq!(convert(&make, &value), expect, "{make:?} {value:?}");
    }
}

#[test]
fn times_are_exact_or_rejected() {
    let seventh = LegacyValue::Time(36_000_000_001);
    assert_eq!(convert(&Make::Time { truncate: false }, &seventh), Err("time.precision"));
    assert_eq!(convert(&Make::Time { truncate: true }, &seventh), Ok(Some("01:00:00".into())));
    let before = LegacyValue::Timestamp(-1);
    let timestamp = |truncate| Make::Timestamp { truncate, sentinels: Sentinels::default() };
    assert_eq!(convert(&timestamp(false), &before), Err("time.precision"));
    let cut = Ok(Some("1969-12-31 23:59:59.999999".into()));
    assert_eq!(convert(&timestamp(true), &before), cut, "cut, not rounded");

    let offset = LegacyValue::TimestampOffset { utc_ticks: 0, offset_minutes: 480 };
    let make = Make::Timestamptz {
        zone: None,
        gap: Gap::Reject,
        overlap: Overlap::Standard,
        truncate: false,
        sentinels: Sentinels::default(),
    };
    assert_eq!(convert(&make, &offset), Ok(Some("1970-01-01 00:00:00+00".into())));
}

#[test]
fn texts_keep_what_the_file_does_not_name() {
    let rule = |trim, empty_is_null| TextRule { trim, empty_is_null, ..TextRule::PLAIN };
    for (rule, text, expect) in [
        (TextRule::PLAIN, " a ", Some(" a ")),
        (TextRule::PLAIN, "", Some("")),
        (rule(Trim::End, false), " a  ", Some(" a")),
        (rule(Trim::Both, false), " a\u{a0} ", Some("a\u{a0}")),
        (rule(Trim::Both, true), "   ", None),
        (rule(Trim::None, true), " ", Some(" ")),
    ] {
        let converted = convert(&Make::Text(rule), &LegacyValue::Text(text.into()));
        assert_eq!(converted, Ok(expect.map(str::to_owned)), "{text:?}");
    }
}

#[test]
fn a_real_is_the_same_number_by_either_road() {
    let (widened, parsed) = (f64::from(1.1_f32), 1.1_f64);
    let float = Make::Float8 { single: true };
    assert_eq!(
        convert(&float, &LegacyValue::Float(widened)),
        convert(&float, &LegacyValue::Float(parsed))
    );
    let money = Make::Money(NumberRule { single: true, ..number(2, Round::Never) });
    assert_eq!(convert(&money, &LegacyValue::Float(widened)), Ok(Some("110".into())));
}
