//! Numbers and money.

use mapping::value::{Decimal, LegacyValue};
use proptest::prelude::*;

use super::cell::{Cell, Pair, cell, pair};

/// A decimal's literal, digit by digit.
pub(super) fn literal(unscaled: i128, scale: u8) -> String {
    let digits = unscaled.unsigned_abs().to_string();
    let scale = usize::from(scale);
    let digits = format!("{}{digits}", "0".repeat((scale + 1).saturating_sub(digits.len())));
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{fraction}0", if unscaled < 0 { "-" } else { "" })
}

fn decimal(unscaled: i128, scale: u8) -> LegacyValue<'static> {
    LegacyValue::Decimal(Decimal { unscaled, scale })
}

/// Numbers of so many digits, the limits and small ones among them.
fn digits(count: u32) -> BoxedStrategy<i128> {
    let limit = 10_i128.pow(count) - 1;
    let edges = vec![0, 1, -1, 5, -5, 15, 25, 50, -150, 10_000, limit, -limit];
    prop_oneof![-limit..=limit, prop::sample::select(edges), -100_000_i128..100_000]
        .prop_map(move |number| number.clamp(-limit, limit))
        .boxed()
}

/// An integer as it is.
fn int(number: i64) -> Pair {
    pair(LegacyValue::Int(number), format!("'{number}'::int8"))
}

pub(super) fn cells() -> Vec<BoxedStrategy<Cell>> {
    let mut cells = integers();
    cells.extend(floats());
    cells.extend(numerics());
    cells.extend(money());
    cells
}

fn integers() -> Vec<BoxedStrategy<Cell>> {
    let bit = |value: bool| pair(LegacyValue::Bool(value), format!("{value}"));
    let as_int = |value: bool| pair(LegacyValue::Bool(value), format!("{}", i32::from(value)));
    let whole = |number: i64| decimal(i128::from(number) * 100, 2);
    vec![
        cell("bool_bit", "Bit", "null", any::<bool>().prop_map(bit)),
        cell("bool_default", "BitN", "true", any::<bool>().prop_map(bit)),
        cell("int2_small", "Small", "null", any::<i16>().prop_map(|n| int(n.into()))),
        cell("int2_tiny", "Tiny", "null", any::<u8>().prop_map(|n| int(n.into()))),
        cell("int4_int", "Whole", "null", any::<i32>().prop_map(|n| int(n.into()))),
        cell("int4_bit", "Bit2", "null", any::<bool>().prop_map(as_int)),
        cell("int8_big", "Big", "null", any::<i64>().prop_map(int)),
        cell(
            "int8_decimal",
            "WholeDecimal",
            "null",
            any::<i64>().prop_map(move |n| pair(whole(n), format!("'{n}'::int8"))),
        ),
        // Every integer up to 2^53 is a float.
        cell(
            "int8_float",
            "WholeFloat",
            "null",
            (-(1_i64 << 53)..=1 << 53).prop_map(|n| {
                pair(
                    LegacyValue::Float(n.to_string().parse().expect("a number")),
                    format!("'{n}'::int8"),
                )
            }),
        ),
        cell(
            "seconds_float",
            "Seconds",
            "null",
            any::<i32>()
                .prop_map(|n| pair(LegacyValue::Float(f64::from(n)), format!("'{n}'::int4"))),
        ),
    ]
}

/// A `real` by either road: widened by the driver, or read from an event's digits.
fn real(value: f32, widened: bool) -> LegacyValue<'static> {
    let parsed = || format!("{value:?}").parse().expect("a number");
    LegacyValue::Float(if widened { f64::from(value) } else { parsed() })
}

fn floats() -> Vec<BoxedStrategy<Cell>> {
    let edges = vec![0.0, -0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 0.1, -1e-300, 1e22];
    let any_float = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    let float = prop_oneof![any_float, prop::sample::select(edges)];
    let edges = vec![0.0, -0.0, f32::MAX, f32::MIN_POSITIVE, 1.1, 16_777_216.0];
    let any_real = prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL;
    let single = (prop_oneof![any_real, prop::sample::select(edges)], any::<bool>());
    vec![
        cell(
            "float8_float",
            "Float",
            "null",
            float.prop_map(|value| pair(LegacyValue::Float(value), format!("'{value:?}'::float8"))),
        ),
        cell(
            "float8_real",
            "Real",
            "null",
            single.prop_map(|(value, widened)| {
                pair(real(value, widened), format!("'{value:?}'::float4::float8"))
            }),
        ),
        cell(
            "float8_int",
            "Whole2",
            "null",
            any::<i32>().prop_map(|n| pair(LegacyValue::Int(n.into()), format!("'{n}'::float8"))),
        ),
    ]
}

fn numerics() -> Vec<BoxedStrategy<Cell>> {
    let exact = |target, from, count, scale: u8, to: &'static str| {
        cell(
            target,
            from,
            "null",
            digits(count).prop_map(move |unscaled| {
                pair(decimal(unscaled, scale), format!("'{}'::{to}", literal(unscaled, scale)))
            }),
        )
    };
    let typed = |unscaled: i128, scale| literal(unscaled, scale).parse().expect("a number");
    vec![
        exact("numeric_10", "Decimal", 38, 10, "numeric(38,10)"),
        exact("numeric_38", "Fraction", 38, 38, "numeric(38,38)"),
        exact("numeric_0", "Large", 38, 0, "numeric(38,0)"),
        exact("numeric_money", "Money", 18, 4, "numeric(19,4)"),
        cell(
            "numeric_up",
            "Decimal2",
            "null",
            digits(30).prop_map(|unscaled| {
                let text = literal(unscaled, 10);
                pair(decimal(unscaled, 10), format!("round('{text}'::numeric, 2)::numeric(38,2)"))
            }),
        ),
        // A double tells 15 digits, a real 6: what was typed comes back.
        cell(
            "numeric_float",
            "Rate",
            "null",
            digits(15).prop_map(move |unscaled| {
                let text = literal(unscaled, 6);
                pair(LegacyValue::Float(typed(unscaled, 6)), format!("'{text}'::numeric(28,6)"))
            }),
        ),
        cell(
            "numeric_real",
            "RealRate",
            "null",
            (digits(6), any::<bool>()).prop_map(|(n, widened)| {
                let text = literal(n, 3);
                let value: f32 = text.parse().expect("a number");
                pair(real(value, widened), format!("'{text}'::numeric(28,3)"))
            }),
        ),
        cell(
            "numeric_text",
            "Number",
            "null",
            digits(20).prop_map(|unscaled| {
                let text = literal(unscaled, 5);
                let stored = format!(" {text} ");
                pair(LegacyValue::Text(stored.into()), format!("'{text}'::numeric(28,5)"))
            }),
        ),
    ]
}

fn money() -> Vec<BoxedStrategy<Cell>> {
    let minor = |text: &str| format!("('{text}'::numeric * 100)::int8");
    let largest = i128::from(i64::MAX);
    let stored = prop_oneof![
        -largest..=largest,
        prop::sample::select(vec![largest, -largest, 50, 150, -50])
    ];
    vec![
        cell(
            "money_up",
            "Money2",
            "null",
            stored.prop_map(|unscaled| {
                let text = literal(unscaled, 4);
                pair(decimal(unscaled, 4), format!("(round('{text}'::numeric, 2) * 100)::int8"))
            }),
        ),
        cell(
            "money_exact",
            "SmallMoney",
            "null",
            any::<i32>().prop_map(|unscaled| {
                let text = literal(unscaled.into(), 4);
                pair(decimal(unscaled.into(), 4), format!("('{text}'::numeric * 10000)::int8"))
            }),
        ),
        cell(
            "money_decimal",
            "Amount",
            "null",
            digits(14)
                .prop_map(move |n| pair(decimal(n * 10_000, 6), minor(&literal(n * 10_000, 6)))),
        ),
        cell(
            "money_float",
            "FloatMoney",
            "null",
            digits(15).prop_map(move |n| {
                let text = literal(n, 2);
                pair(LegacyValue::Float(text.parse().expect("a number")), minor(&text))
            }),
        ),
        cell(
            "money_text",
            "TextMoney",
            "0",
            digits(18).prop_map(move |n| {
                let text = literal(n, 2);
                pair(LegacyValue::Text(text.clone().into()), minor(&text))
            }),
        ),
    ]
}
