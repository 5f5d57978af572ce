//! The options of `text`, `concat` and `split`.

use super::{Mistakes, options::Options};
use crate::convert::{Blank, Concat, Split, TextRule, Trim};

const TRIMS: [(&str, Trim); 3] = [("none", Trim::None), ("end", Trim::End), ("both", Trim::Both)];
const BLANKS: [(&str, Blank); 2] = [("skip", Blank::Skip), ("null", Blank::Null)];

/// `text`.
pub(super) fn text(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> TextRule {
    TextRule { empty_is_null: empty(options, m), ..clean_up(options, m) }
}

/// How a text is cleaned, but for what an empty one becomes.
fn clean_up(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> TextRule {
    let trim = options.choice("trim", &TRIMS, m).unwrap_or(Trim::None);
    let nul = options.choice("nul", &[("reject", false), ("strip", true)], m);
    let surrogate = options.choice("surrogate", &[("reject", false), ("replace", true)], m);
    TextRule {
        trim,
        empty_is_null: false,
        strip_nul: nul == Some(true),
        replace_surrogates: surrogate == Some(true),
    }
}

/// `empty = "null"`.
pub(super) fn empty(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> bool {
    options.choice("empty", &[("keep", false), ("null", true)], m) == Some(true)
}

/// `concat`. The places of its columns are the compiler's.
pub(super) fn concat(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Concat {
    let separator = separator(options, m);
    let blank = options.choice("blank", &BLANKS, m);
    if !options.has("blank") {
        m.add(
            options.at,
            "the column does not say what a `blank` part does",
            "write blank = \"skip\" to leave it out, or blank = \"null\" for NULL instead of a half",
        );
    }
    let clean = clean_up(options, m);
    Concat { sources: Vec::new(), separator, blank: blank.unwrap_or(Blank::Skip), clean }
}

/// `split`.
pub(super) fn split(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Split {
    let separator = separator(options, m);
    if separator.is_empty() && options.has("separator") {
        m.add(options.at, "the `separator` of a split is empty", "write separator = \" \", say");
    }
    let part = options.number("part", u8::MAX, m);
    if !options.has("part") {
        m.add(options.at, "the column does not say its `part`", "write part = 1 for the first");
    }
    if part == Some(0) {
        m.add(options.at, "there is no part 0", "parts are counted from 1: write part = 1");
    }
    let absent = options.choice("absent", &[("reject", false), ("null", true)], m);
    let clean = TextRule { empty_is_null: empty(options, m), ..clean_up(options, m) };
    let part = part.map_or(0, |part| usize::from(part.saturating_sub(1)));
    Split { separator, part, absent_is_null: absent == Some(true), clean }
}

fn separator(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Box<str> {
    let said = options.text("separator", m);
    if !options.has("separator") {
        m.add(
            options.at,
            "the column does not say its `separator`",
            "write separator = \" \", for instance",
        );
    }
    said.map_or_else(Box::default, |said| said.value.into())
}
