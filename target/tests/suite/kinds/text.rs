//! Texts, bytes and GUIDs.

use std::io::Write;

use flate2::{Compression, write::DeflateEncoder, write::GzEncoder, write::ZlibEncoder};
use mapping::value::LegacyValue;
use proptest::prelude::*;
use uuid::Uuid;

use super::cell::{Cell, Pair, cell, pair};

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("'\\x{digits}'::bytea")
}

/// Texts that Postgres takes, with what tends to go wrong: quotes, backslashes, COPY's own marks,
/// line ends, letters of four bytes, blanks at both ends.
fn texts() -> BoxedStrategy<String> {
    let words = prop::sample::select(vec![
        "", " ", "'", "\\N", "\\.", "\t\n\r", "Бат", "ӨҮөү", "😀", "\u{FEFF}", "\u{FFFD}",
        "\u{7f}", "\u{a0}", "ß", "NULL", "a,b", "\"", "  x  ",
    ]);
    let any_text = any::<String>().prop_map(|text| text.replace('\0', ""));
    prop_oneof![any_text, prop::collection::vec(words, 0..6).prop_map(|words| words.concat())]
        .boxed()
}

fn text(value: impl Into<String>) -> LegacyValue<'static> {
    LegacyValue::Text(value.into().into())
}

pub(super) fn cells() -> Vec<BoxedStrategy<Cell>> {
    let padded = "[a-zө ]{0,8}".prop_map(|word| {
        let width = word.chars().count();
        format!("{word}{}", " ".repeat(8 - width))
    });
    let numbers = any::<i32>();
    let mut cells = vec![
        cell("text_plain", "Text", "null", texts().prop_map(|t| pair(text(&*t), quoted(&t)))),
        cell(
            "text_both",
            "Text2",
            "null",
            texts().prop_map(|t| {
                let trimmed = format!("nullif(btrim({}, ' '), '')", quoted(&t));
                pair(text(t), trimmed)
            }),
        ),
        cell(
            "text_end",
            "Char",
            "null",
            padded.prop_map(|t: String| {
                let trimmed = format!("rtrim({}, ' ')", quoted(&t));
                pair(text(t), trimmed)
            }),
        ),
        cell("text_strip", "Note", "null", (any::<String>(), any::<bool>()).prop_map(stripped)),
        cell(
            "text_int",
            "Whole3",
            "null",
            numbers.prop_map(|n| pair(LegacyValue::Int(n.into()), format!("'{n}'::int4::text"))),
        ),
    ];
    let bytes = prop::collection::vec(any::<u8>(), 0..80);
    cells.push(cell(
        "bytea_plain",
        "Bytes",
        "null",
        bytes.prop_map(|bytes| {
            let sql = hex(&bytes);
            pair(LegacyValue::Bytes(bytes.into()), sql)
        }),
    ));
    cells.push(file());
    cells.extend(guids());
    cells.extend(composed());
    cells
}

/// Several columns to one text, and one text to a part of it.
fn composed() -> Vec<BoxedStrategy<Cell>> {
    let name = || prop_oneof![3 => texts().prop_map(Some), 1 => Just(None)];
    let whole = (name(), name()).prop_map(|(first, last)| {
        let part = |name: &Option<String>| match name {
            Some(name) => format!("nullif(btrim({}, ' '), '')", quoted(name)),
            None => "null::text".to_owned(),
        };
        let sql = format!("nullif(concat_ws(' ', {}, {}), '')", part(&first), part(&last));
        let value = |name: Option<String>| name.map_or(LegacyValue::Null, text);
        let values = vec![("FirstName", value(first)), ("LastName", value(last))];
        Cell { target: "text_concat", values, sql }
    });
    let listed = prop::collection::vec(prop_oneof![texts(), Just(" x ".to_owned())], 0..4);
    let part = listed.prop_map(|words| {
        let stored = words.join(",");
        let sql = format!("nullif(btrim(split_part({}, ',', 2), ' '), '')", quoted(&stored));
        pair(text(stored), sql)
    });
    vec![whole.boxed(), cell("text_split", "FullName", "null", part)]
}

fn guids() -> Vec<BoxedStrategy<Cell>> {
    let guids = any::<u128>().prop_map(Uuid::from_u128);
    vec![
        cell(
            "text_guid",
            "Guid2",
            "null",
            guids.clone().prop_map(|guid| {
                pair(LegacyValue::Guid(guid), format!("{}::uuid::text", guid_literal(guid)))
            }),
        ),
        cell(
            "uuid_guid",
            "Guid",
            "null",
            guids.clone().prop_map(|guid| {
                pair(LegacyValue::Guid(guid), format!("{}::uuid", guid_literal(guid)))
            }),
        ),
        cell(
            "uuid_text",
            "GuidText",
            "null",
            (guids, any::<bool>()).prop_map(|(guid, upper)| {
                let spelled = guid.hyphenated().to_string();
                let spelled = if upper { spelled.to_uppercase() } else { spelled };
                pair(text(format!("{spelled} ")), format!("{}::uuid", guid_literal(guid)))
            }),
        ),
    ]
}

/// U+0000 goes, and half a surrogate pair has been replaced by the reader.
fn stripped((value, broken): (String, bool)) -> Pair {
    let sql = quoted(&value.replace('\0', ""));
    let value = value.into();
    (if broken { LegacyValue::BrokenText(value) } else { LegacyValue::Text(value) }, sql)
}

/// From the sixteen bytes, whatever a library prints.
fn guid_literal(guid: Uuid) -> String {
    let digits: String = guid.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("'{digits}'")
}

/// XAF's files: compressed in one of three ways, or not.
fn file() -> BoxedStrategy<Cell> {
    let line = prop::sample::select(vec!["Гэрээ ", "%PDF-1.7 ", "\u{0}\u{1}", "aaaaaaaaaaaaaaaa"]);
    let content = prop::collection::vec(line, 0..40).prop_map(|lines| lines.concat().into_bytes());
    (content, 0_usize..5)
        .prop_map(|(content, way)| {
            let best = Compression::best();
            let packed = match way {
                0 => {
                    let mut encoder = GzEncoder::new(Vec::new(), best);
                    encoder.write_all(&content).and_then(|()| encoder.finish())
                }
                1 => {
                    let mut encoder = ZlibEncoder::new(Vec::new(), best);
                    encoder.write_all(&content).and_then(|()| encoder.finish())
                }
                2 => {
                    let mut encoder = DeflateEncoder::new(Vec::new(), best);
                    encoder.write_all(&content).and_then(|()| encoder.finish())
                }
                _ => Ok(content.clone()),
            };
            let packed = packed.expect("memory");
            // Bare deflate of the very length of its content looks like the content.
            let stored = if packed.len() == content.len() { content.clone() } else { packed };
            let size = i64::try_from(content.len()).expect("small");
            let null = way == 4;
            let sql = if null { "null".to_owned() } else { hex(&content) };
            let stored = if null { LegacyValue::Null } else { LegacyValue::Bytes(stored.into()) };
            let values = vec![("Content", stored), ("size", LegacyValue::Int(size))];
            Cell { target: "bytea_file", values, sql }
        })
        .boxed()
}
