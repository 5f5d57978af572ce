//! The options of `flags`.

use toml::{Spanned, de::DeValue};

use super::{
    Mistakes, Said,
    options::{Options, place},
};
use crate::convert::Flags;

/// `flags`.
pub(super) fn flags(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Flags {
    let mut flags = Flags::default();
    for (key, value) in options.entries("values", m) {
        let Some((bit, name)) = entry(&key, value, "name", m) else { continue };
        if let Some((_, twice)) = flags.named.iter().find(|(_, known)| *known == name) {
            m.add(key.at, format!("two bits are called `{twice}`"), "give each its own name");
        }
        if flags.named.iter().any(|(known, _)| *known == bit) {
            m.add(key.at, format!("bit {bit} is named twice"), "keep one of them");
        }
        flags.named.push((bit, name));
    }
    flags.named.sort_unstable_by_key(|(bit, _)| *bit);
    if flags.named.is_empty() {
        m.add(
            options.at,
            "the flags have no values",
            "write values = { 1 = \"read\", 2 = \"write\" }",
        );
    }
    for (key, value) in options.entries("ignore", m) {
        let Some((bit, _)) = entry(&key, value, "reason", m) else { continue };
        if flags.named.iter().any(|(known, _)| *known == bit) {
            m.add(key.at, format!("bit {bit} is named and ignored"), "drop one of the two");
        }
        flags.ignored |= bit;
    }
    flags.unknown = unknown(options, m);
    flags
}

/// `1 = "text"`.
fn entry(
    key: &Said<String>,
    value: &Spanned<DeValue<'_>>,
    what: &str,
    m: &mut Mistakes<'_>,
) -> Option<(u64, Box<str>)> {
    let text = match value.get_ref() {
        DeValue::String(text) if !text.trim().is_empty() => Some(Box::from(&**text)),
        _ => {
            let at = place(key.at.file, value);
            m.add(at, format!("the {what} of bit {key} is no text"), "write it in quotes");
            None
        }
    };
    let bit = key.value.parse::<u64>().ok();
    if bit == Some(0) {
        m.add(key.at, "0 is no bit", "drop it: a column without a bit is an empty array");
        return None;
    }
    let Some(bit) = bit.filter(|bit| bit.is_power_of_two()) else {
        let message = format!("`{key}` is not a single bit");
        m.add(key.at, message, "name 1, 2, 4, 8, …: a value of several is several names");
        return None;
    };
    Some((bit, text?))
}

fn unknown(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Option<Box<str>> {
    let said = options.text("unknown", m)?;
    if said.value == "reject" {
        return None;
    }
    if said.value == "ignore" || said.value.trim().is_empty() {
        let message = format!("`unknown` can't be `{said}`");
        let help =
            "write ignore = { 64 = \"why\" } for each bit, \"reject\", or a name for all of them";
        m.add(said.at, message, help);
        return None;
    }
    Some(said.value.into())
}
