//! Several columns to one text, and one text to a part of it.

use super::{Converted, Fault, Wrote, put_sized, text, text::TextRule, wrong_type};
use crate::{
    encode::{self, FIELD_BYTES_MAX},
    value::LegacyValue,
};

/// What a part that is NULL or blank does to the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blank {
    /// It is left out, and its separator with it.
    Skip,
    /// The whole is NULL.
    Null,
}

/// Several columns with a separator between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Concat {
    /// The columns' places in the row.
    pub(crate) sources: Vec<usize>,
    pub(crate) separator: Box<str>,
    pub(crate) blank: Blank,
    /// How each part is cleaned.
    pub(crate) clean: TextRule,
}

/// One part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) separator: Box<str>,
    /// Which part, from 0.
    pub(crate) part: usize,
    /// Whether a text without such a part gives NULL; rejected otherwise.
    pub(crate) absent_is_null: bool,
    /// How the part is cleaned.
    pub(crate) clean: TextRule,
}

/// Writes the parts of a row. A fault comes with the place of the part that has it.
pub(crate) fn concat(
    values: &[LegacyValue<'_>],
    rule: &Concat,
    out: &mut Vec<u8>,
) -> Result<Wrote, (usize, Fault)> {
    let begin = out.len();
    out.extend_from_slice(&encode::NULL);
    let mut is_first = true;
    for source in &rule.sources {
        let before = out.len();
        if !is_first {
            out.extend_from_slice(rule.separator.as_bytes());
        }
        let part = out.len();
        let value = values.get(*source).unwrap_or(&LegacyValue::Null);
        text::append(value, &rule.clean, out).map_err(|fault| (*source, fault))?;
        let is_blank = out.iter().skip(part).all(|byte| *byte == b' ');
        match (is_blank, rule.blank) {
            (false, _) => is_first = false,
            (true, Blank::Skip) => out.truncate(before),
            (true, Blank::Null) => {
                out.truncate(begin);
                return Ok(Wrote::Nothing);
            }
        }
    }
    if is_first {
        out.truncate(begin);
        return Ok(Wrote::Nothing);
    }
    let length = out.len() - begin - 4;
    let size = u32::try_from(length).ok().filter(|_| length <= FIELD_BYTES_MAX);
    match (size, out.get_mut(begin..begin + 4)) {
        (Some(size), Some(room)) => room.copy_from_slice(&size.to_be_bytes()),
        _ => return Err((rule.sources.first().copied().unwrap_or_default(), super::too_large())),
    }
    Ok(Wrote::Field)
}

pub(super) fn split(value: &LegacyValue<'_>, rule: &Split, out: &mut Vec<u8>) -> Converted {
    let text = match value {
        LegacyValue::Text(text) => text,
        LegacyValue::BrokenText(text) if rule.clean.replace_surrogates => text,
        LegacyValue::BrokenText(_) => return Err(text::surrogate()),
        _ => return Err(wrong_type()),
    };
    match text.split(&*rule.separator).nth(rule.part) {
        Some(part) => {
            let part = text::clean(part, &rule.clean)?;
            if rule.clean.empty_is_null && part.is_empty() {
                return Ok(Wrote::Nothing);
            }
            put_sized(out, part.as_bytes())
        }
        None if rule.absent_is_null => Ok(Wrote::Nothing),
        None => Err(Fault::new(
            "split.absent",
            format!(
                "has no part {}; correct the row, or say `absent = \"null\"`",
                rule.part.saturating_add(1)
            ),
        )),
    }
}

#[cfg(test)]
mod tests;
