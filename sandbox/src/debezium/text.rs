//! JSON text as Kafka's `JsonConverter` writes it: Jackson's escapes, Java's numbers.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use mapping::{position::Lsn, value::Decimal};
use uuid::Uuid;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A JSON string. U+FFFD stays what it is; see [`broken_string`] for text that is not Unicode.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    // 0xF0 begins a character of two UTF-16 units.
    if text.bytes().any(|byte| !(0x20..0xF0).contains(&byte) || byte == b'"' || byte == b'\\') {
        text.chars().for_each(|character| escaped(out, character));
    } else {
        out.push_str(text);
    }
    out.push('"');
}

/// Text with a lone surrogate, whose place U+FFFD holds. Jackson writes such a unit as an
/// escape that strict parsers refuse; which unit it was is not known any more, so it is the
/// usual one: the first half of an emoji.
pub(super) fn broken_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '\u{FFFD}' => out.push_str("\\uD83D"),
            _ => escaped(out, character),
        }
    }
    out.push('"');
}

fn escaped(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{C}' => out.push_str("\\f"),
        control if control < ' ' => number(out, format_args!("\\u{:04X}", u32::from(control))),
        pair if pair > '\u{FFFF}' => {
            for unit in pair.encode_utf16(&mut [0; 2]) {
                number(out, format_args!("\\u{unit:04X}"));
            }
        }
        other => out.push(other),
    }
}

/// Anything that formats itself; writing to a `String` can't fail.
pub(super) fn number(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a String takes everything");
}

/// `Double.toString`: plain between 10^-3 and 10^7, else with an exponent, always with a point.
pub(super) fn double(out: &mut String, value: f64) {
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&magnitude) {
        number(out, format_args!("{value:?}"));
    } else {
        exponent(out, &format!("{value:e}"));
    }
}

/// `Float.toString`, by the same rule with a float's fewer digits.
pub(super) fn float(out: &mut String, value: f32) {
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&magnitude) {
        number(out, format_args!("{value:?}"));
    } else {
        exponent(out, &format!("{value:e}"));
    }
}

/// Rust's `1e-7` in Java's form, `1.0E-7`.
fn exponent(out: &mut String, rust: &str) {
    let (digits, power) = rust.split_once('e').unwrap_or((rust, "0"));
    out.push_str(digits);
    if !digits.contains('.') {
        out.push_str(".0");
    }
    out.push('E');
    out.push_str(power);
}

/// `BigDecimal.toPlainString`.
pub(super) fn decimal(out: &mut String, value: Decimal) {
    let digits = value.unscaled.unsigned_abs().to_string();
    let scale = usize::from(value.scale);
    if value.unscaled < 0 {
        out.push('-');
    }
    if scale == 0 {
        out.push_str(&digits);
        return;
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    out.push_str(whole);
    out.push('.');
    out.push_str(fraction);
}

/// Connect's `Decimal`: the unscaled number, big-endian two's complement, as short as it can be.
pub(super) fn decimal_bytes(out: &mut String, unscaled: i128) {
    let bytes = unscaled.to_be_bytes();
    let sign = if unscaled < 0 { 0xFF } else { 0 };
    let mut rest: &[u8] = &bytes;
    while let [first, second, ..] = rest
        && *first == sign
        && (second ^ sign) & 0x80 == 0
    {
        rest = rest.get(1..).unwrap_or_default();
    }
    base64(out, rest);
}

/// A JSON string of base64.
pub(super) fn base64(out: &mut String, bytes: &[u8]) {
    out.push('"');
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

/// A JSON string of lower-case hexadecimal digits.
pub(super) fn hex(out: &mut String, bytes: &[u8]) {
    out.push('"');
    bytes.iter().for_each(|byte| hex_byte(out, *byte));
    out.push('"');
}

fn hex_byte(out: &mut String, byte: u8) {
    for nibble in [byte >> 4, byte & 15] {
        out.push(HEX.get(usize::from(nibble)).copied().map_or('0', char::from));
    }
}

/// `00000027:00000758:0005`.
pub(super) fn lsn(out: &mut String, lsn: Lsn) {
    for (index, byte) in lsn.as_bytes().iter().enumerate() {
        if index == 4 || index == 8 {
            out.push(':');
        }
        hex_byte(out, *byte);
    }
}

/// The driver gives GUIDs in upper case.
pub(super) fn guid(out: &mut String, guid: Uuid) {
    let mut buffer = Uuid::encode_buffer();
    out.push('"');
    out.push_str(guid.hyphenated().encode_upper(&mut buffer));
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl Fn(&mut String), expect: &str) {
        let mut out = String::new();
        write(&mut out);
        assert_eq!(out, expect);
    }

    #[test]
    fn numbers_look_like_java() {
        for (value, expect) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (123_456.789, "123456.789"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (0.001, "0.001"),
            (0.000_99, "9.9E-4"),
            (f64::MAX, "1.7976931348623157E308"),
            (-f64::MIN_POSITIVE, "-2.2250738585072014E-308"),
        ] {
            check(|out| double(out, value), expect);
        }
        check(|out| float(out, 16_777_216.0), "1.6777216E7");
        check(|out| float(out, 0.1), "0.1");
    }

    #[test]
    fn decimals_are_exact() {
        for (unscaled, scale, plain, bytes) in [
            (0, 0, "0", "\"AA==\""),
            (-1, 4, "-0.0001", "\"/w==\""),
            (127, 0, "127", "\"fw==\""),
            (128, 0, "128", "\"AIA=\""),
            (-128, 0, "-128", "\"gA==\""),
            (-129, 2, "-1.29", "\"/38=\""),
            (2_500_000_000, 2, "25000000.00", "\"AJUC+QA=\""),
        ] {
            check(|out| decimal(out, Decimal { unscaled, scale }), plain);
            check(|out| decimal_bytes(out, unscaled), bytes);
        }
    }

    #[test]
    fn text_is_escaped_as_jackson_does() {
        check(
            |out| string(out, "a\u{0}\u{1f}\"\\/\n\u{7f}Ү"),
            "\"a\\u0000\\u001F\\\"\\\\/\\n\u{7f}Ү\"",
        );
        check(|out| string(out, "😀"), "\"\\uD83D\\uDE00\"");
        check(|out| broken_string(out, "a\u{FFFD}b"), "\"a\\uD83Db\"");
    }
}
