//! Numbers: exact or rejected.

use super::{Converted, Fault, Wrote, wrong_type};
use crate::{
    decimal::{self, Misfit, Round},
    encode::{self, Mutant},
    value::{Decimal, LegacyValue},
};

/// How a number becomes `numeric` or money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NumberRule {
    /// Digits after the point.
    pub(crate) scale: u8,
    /// All digits, where the target column limits them.
    pub(crate) precision: Option<u8>,
    pub(crate) round: Round,
    /// Whether a float was a `real`, whose shortest form is shorter.
    pub(crate) single: bool,
}

pub(super) fn bool(value: &LegacyValue<'_>, out: &mut Vec<u8>) -> Converted {
    let value = match value {
        LegacyValue::Bool(value) => *value,
        LegacyValue::Int(0) => false,
        LegacyValue::Int(1) => true,
        LegacyValue::Int(_) => return Err(Fault::new("bool.range", "is neither 0 nor 1")),
        _ => return Err(wrong_type()),
    };
    encode::put_bool(out, value);
    Ok(Wrote::Field)
}

fn integer(value: &LegacyValue<'_>) -> Result<i128, Fault> {
    let decimal = match value {
        LegacyValue::Int(value) => return Ok(i128::from(*value)),
        LegacyValue::Bool(value) => return Ok(i128::from(*value)),
        LegacyValue::Decimal(value) => Some(*value),
        LegacyValue::Float(value) => decimal::from_float(*value, false),
        _ => return Err(wrong_type()),
    };
    let decimal = decimal.ok_or_else(|| Fault::new("int.range", RANGE))?;
    decimal::rescale(decimal, 0, Round::Never).map_err(|misfit| match misfit {
        Misfit::Inexact => Fault::new("int.inexact", "is not a whole number; use another `as`"),
        Misfit::Range => Fault::new("int.range", RANGE),
    })
}

const RANGE: &str = "does not fit the target column; use a wider `as`";

pub(super) fn int2(value: &LegacyValue<'_>, out: &mut Vec<u8>) -> Converted {
    let value = i16::try_from(integer(value)?).map_err(|_| Fault::new("int.range", RANGE))?;
    encode::put_i16(out, value);
    Ok(Wrote::Field)
}

pub(super) fn int4(value: &LegacyValue<'_>, out: &mut Vec<u8>) -> Converted {
    let value = i32::try_from(integer(value)?).map_err(|_| Fault::new("int.range", RANGE))?;
    encode::put_i32(out, value);
    Ok(Wrote::Field)
}

pub(super) fn int8(value: &LegacyValue<'_>, out: &mut Vec<u8>) -> Converted {
    let value = i64::try_from(integer(value)?).map_err(|_| Fault::new("int.range", RANGE))?;
    encode::put_i64(out, value);
    Ok(Wrote::Field)
}

pub(super) fn float8(value: &LegacyValue<'_>, single: bool, out: &mut Vec<u8>) -> Converted {
    let value = match value {
        // A `real` that came as text (an event) was read as the nearest double, one that came
        // over TDS was widened: through `f32` both are the same.
        LegacyValue::Float(value) if single => f64::from(decimal::to_single(*value)),
        LegacyValue::Float(value) => *value,
        LegacyValue::Int(value) => f64::from(i32::try_from(*value).map_err(|_| wrong_type())?),
        _ => return Err(wrong_type()),
    };
    if !value.is_finite() {
        return Err(Fault::new("float.range", "is not a number that the legacy server can hold"));
    }
    encode::put_f64(out, value);
    Ok(Wrote::Field)
}

/// The unscaled value that a number or a numeric text has at the target's scale. A float is its
/// shortest form; what no decimal holds is rounded all the same where the file says so.
fn scaled(value: &LegacyValue<'_>, rule: &NumberRule) -> Result<i128, Misfitting> {
    let (scale, round) = (rule.scale, rule.round);
    let exact = match value {
        LegacyValue::Decimal(value) => Some(*value),
        LegacyValue::Int(value) => Some(Decimal { unscaled: i128::from(*value), scale: 0 }),
        LegacyValue::Float(value) => decimal::from_float(*value, rule.single),
        LegacyValue::Text(text) => decimal::parse(text.trim_matches(' ').as_bytes()),
        _ => return Err(Misfitting::Fault(wrong_type())),
    };
    let unscaled = match (exact, value) {
        (Some(exact), _) => decimal::rescale(exact, scale, round),
        (None, LegacyValue::Float(value)) => {
            let long = decimal::rescale_float((*value, rule.single), scale, round);
            beyond(long.ok_or_else(too_long)?)?
        }
        (None, LegacyValue::Text(text)) => {
            let long = decimal::rescale_text(text.trim_matches(' ').as_bytes(), scale, round);
            let fault =
                || Fault::new("number.text", "is a text that is not a plain decimal number");
            beyond(long.ok_or_else(|| Misfitting::Fault(fault()))?)?
        }
        (None, _) => return Err(too_long()),
    };
    let unscaled = unscaled.map_err(Misfitting::Misfit)?;
    match rule.precision.and_then(decimal::power_of_ten) {
        Some(limit) if unscaled.unsigned_abs() >= limit.unsigned_abs() => {
            Err(Misfitting::Misfit(Misfit::Range))
        }
        _ => Ok(unscaled),
    }
}

/// Of a number that no decimal holds: too large is another fault than too many digits.
fn beyond(unscaled: Result<i128, Misfit>) -> Result<Result<i128, Misfit>, Misfitting> {
    if unscaled == Err(Misfit::Range) { Err(too_long()) } else { Ok(unscaled) }
}

fn too_long() -> Misfitting {
    Misfitting::Fault(Fault::new("number.range", "has more digits than a decimal can hold"))
}

enum Misfitting {
    Fault(Fault),
    Misfit(Misfit),
}

pub(super) fn numeric(value: &LegacyValue<'_>, rule: &NumberRule, out: &mut Vec<u8>) -> Converted {
    let unscaled = scaled(value, rule).map_err(|misfitting| match misfitting {
        Misfitting::Fault(fault) => fault,
        Misfitting::Misfit(Misfit::Inexact) => Fault::new(
            "numeric.inexact",
            format!("has more than {} digits after the point; raise `scale`, say `round`, or correct the row", rule.scale),
        ),
        Misfitting::Misfit(Misfit::Range) => {
            Fault::new("numeric.range", "has more digits than the target column holds")
        }
    })?;
    encode::put_numeric(out, unscaled, rule.scale);
    Ok(Wrote::Field)
}

pub(super) fn money(value: &LegacyValue<'_>, rule: &NumberRule, out: &mut Vec<u8>) -> Converted {
    let unscaled = scaled(value, rule).map_err(|misfitting| match misfitting {
        Misfitting::Fault(fault) => fault,
        Misfitting::Misfit(Misfit::Inexact) => Fault::new(
            "money.inexact",
            format!("is not a whole number of minor units ({} digits); correct the row, or say `round` in the mapping file", rule.scale),
        ),
        Misfitting::Misfit(Misfit::Range) => Fault::new("money.range", MONEY_RANGE),
    })?;
    let minor = i64::try_from(unscaled).map_err(|_| Fault::new("money.range", MONEY_RANGE))?;
    encode::put_i64(out, minor + i64::from(Mutant::MinorUnit.is_on()));
    Ok(Wrote::Field)
}

const MONEY_RANGE: &str = "is more money than 64 bits of minor units hold";

/// A `TimeSpan` as XPO stores it: seconds in a float.
pub(super) fn seconds(value: &LegacyValue<'_>, out: &mut Vec<u8>) -> Converted {
    let seconds = integer(value).map_err(|fault| match fault.rule {
        "int.inexact" => {
            Fault::new("seconds.inexact", "is not a whole number of seconds; use `as = \"float8\"`")
        }
        "int.range" => Fault::new("seconds.range", RANGE),
        _ => fault,
    })?;
    let seconds = i32::try_from(seconds).map_err(|_| Fault::new("seconds.range", RANGE))?;
    encode::put_i32(out, seconds);
    Ok(Wrote::Field)
}
