//! Texts, bytes and GUIDs.

use std::{borrow::Cow, fmt::Write};

use uuid::Uuid;

use super::{Converted, Fault, Wrote, put_sized, wrong_type};
use crate::{encode, value::LegacyValue};

/// Which blanks (U+0020) are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trim {
    None,
    End,
    Both,
}

/// How a text is cleaned. Postgres refuses U+0000 and lone surrogates (trap 18), so each has a
/// policy; nothing is dropped that the file does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextRule {
    pub(crate) trim: Trim,
    pub(crate) empty_is_null: bool,
    pub(crate) strip_nul: bool,
    pub(crate) replace_surrogates: bool,
}

impl TextRule {
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self {
        trim: Trim::None,
        empty_is_null: false,
        strip_nul: false,
        replace_surrogates: false,
    };

    fn trimmed<'a>(&self, text: &'a str) -> &'a str {
        match self.trim {
            Trim::None => text,
            Trim::End => text.trim_end_matches(' '),
            Trim::Both => text.trim_matches(' '),
        }
    }
}

pub(super) fn text(value: &LegacyValue<'_>, rule: &TextRule, out: &mut Vec<u8>) -> Converted {
    match value {
        LegacyValue::Int(number) => short(number, out),
        LegacyValue::Guid(guid) => short(guid, out),
        value => match cleaned(value, rule)? {
            Some(text) => put_sized(out, text.as_bytes()),
            None => Ok(Wrote::Nothing),
        },
    }
}

/// The text, cleaned; `None` when it means NULL.
pub(super) fn cleaned<'v>(
    value: &'v LegacyValue<'_>,
    rule: &TextRule,
) -> Result<Option<Cow<'v, str>>, Fault> {
    let text = match value {
        LegacyValue::Text(text) => clean(text, rule)?,
        LegacyValue::BrokenText(text) if rule.replace_surrogates => clean(text, rule)?,
        LegacyValue::BrokenText(_) => return Err(surrogate()),
        LegacyValue::Int(number) => return Ok(Some(Cow::Owned(number.to_string()))),
        LegacyValue::Guid(guid) => return Ok(Some(Cow::Owned(guid.to_string()))),
        _ => return Err(wrong_type()),
    };
    Ok((!rule.empty_is_null || !text.is_empty()).then_some(text))
}

/// Appends a text's bytes without a length; nothing for NULL.
pub(super) fn append(
    value: &LegacyValue<'_>,
    rule: &TextRule,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let written = match value {
        LegacyValue::Null => return Ok(()),
        LegacyValue::Text(text) => {
            out.extend_from_slice(clean(text, rule)?.as_bytes());
            return Ok(());
        }
        LegacyValue::BrokenText(text) if rule.replace_surrogates => {
            out.extend_from_slice(clean(text, rule)?.as_bytes());
            return Ok(());
        }
        LegacyValue::BrokenText(_) => return Err(surrogate()),
        LegacyValue::Int(number) => write!(Into(out), "{number}"),
        LegacyValue::Guid(guid) => write!(Into(out), "{guid}"),
        _ => return Err(wrong_type()),
    };
    written.map_err(|_| wrong_type())
}

pub(super) fn surrogate() -> Fault {
    Fault::new(
        "text.surrogate",
        "holds half a surrogate pair; say `surrogate = \"replace\"`, or correct the row",
    )
}

/// A text as the rule leaves it.
pub(super) fn clean<'t>(text: &'t str, rule: &TextRule) -> Result<Cow<'t, str>, Fault> {
    match text.as_bytes().contains(&0) {
        false => Ok(Cow::Borrowed(rule.trimmed(text))),
        true if rule.strip_nul => Ok(Cow::Owned(rule.trimmed(&text.replace('\0', "")).to_owned())),
        true => Err(Fault::new(
            "text.nul",
            "holds U+0000, which Postgres refuses; say `nul = \"strip\"`, or correct the row",
        )),
    }
}

/// Formats to the end of a row.
struct Into<'a>(&'a mut Vec<u8>);

impl Write for Into<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Numbers and GUIDs as text, without an allocation.
fn short(value: &dyn std::fmt::Display, out: &mut Vec<u8>) -> Converted {
    let begin = out.len();
    out.extend_from_slice(&encode::NULL);
    let written = write!(Into(out), "{value}");
    let length = u32::try_from(out.len() - begin - 4).unwrap_or_default();
    match out.get_mut(begin..begin + 4) {
        Some(room) if written.is_ok() => room.copy_from_slice(&length.to_be_bytes()),
        _ => return Err(wrong_type()),
    }
    Ok(Wrote::Field)
}

pub(super) fn bytea(value: &LegacyValue<'_>, out: &mut Vec<u8>) -> Converted {
    match value {
        LegacyValue::Bytes(bytes) => put_sized(out, bytes),
        _ => Err(wrong_type()),
    }
}

pub(super) fn uuid(value: &LegacyValue<'_>, out: &mut Vec<u8>) -> Converted {
    let guid = match value {
        LegacyValue::Guid(guid) => *guid,
        LegacyValue::Text(text) => Uuid::try_parse(text.trim_matches(' '))
            .map_err(|_| Fault::new("uuid.text", "is a text that is not a GUID"))?,
        _ => return Err(wrong_type()),
    };
    encode::put_uuid(out, guid.as_bytes());
    Ok(Wrote::Field)
}
