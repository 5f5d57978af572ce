//! The body of the decoder's fuzz target (`fuzz/`), on generated and on damaged messages: the
//! default tier runs it too.

#[path = "../../../fuzz/bodies/decoder.rs"]
mod decoder;

use std::sync::LazyLock;

use mapping::{file::MappingFile, plan::Plan};
use proptest::prelude::*;

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let catalog = include_str!("../../../tests/kinds/catalog.json");
    let text = include_str!("../../../tests/kinds/mapping.toml").to_owned();
    let file = MappingFile { name: "kinds.toml".to_owned(), text };
    Plan::compile(&[file], &serde_json::from_str(catalog).unwrap()).unwrap()
});

/// Lines of real events.
static LINES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let files = [
        include_str!("../../../tests/golden/excerpt.schemas.jsonl"),
        include_str!("../../../tests/golden/lob.noschemas.jsonl"),
        include_str!("../../../tests/golden/surrogate.noschemas.jsonl"),
    ];
    files.into_iter().flat_map(str::lines).collect()
});

/// The connector's modes and a real line, with some bytes of it replaced. The value stands by
/// itself, so that the envelope is damaged and not the line around it.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let line = (0..LINES.len()).prop_map(|index| {
        let line = LINES[index].strip_suffix('}').unwrap();
        line.split_once("\"value\":").unwrap().1
    });
    let marks =
        prop::sample::select(vec!["\"", "{", "}", "null", "\\u", ",", "1e99", "\\", "\u{0}"]);
    let by = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        marks.prop_map(|mark| mark.as_bytes().to_vec()),
    ];
    let wound = (any::<prop::sample::Index>(), 0_usize..20, by);
    let wounds = prop::collection::vec(wound, 0..4);
    (any::<[u8; 3]>(), line, wounds).prop_map(|(modes, line, wounds)| {
        let mut text = line.as_bytes().to_vec();
        for (at, length, by) in wounds {
            let begin = at.index(text.len().max(1)).min(text.len());
            let end = (begin + length).min(text.len());
            text.splice(begin..end, by);
        }
        [&modes[..], &text].concat()
    })
}

/// A row of the fixture's table with any JSON in its columns.
fn rows() -> impl Strategy<Value = Vec<u8>> {
    let names: Vec<String> =
        PLAN.table("dbo", "Sample").unwrap().columns.iter().map(|c| c.name.clone()).collect();
    let leaf = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
        "[A-Za-z0-9+/=]{0,24}".prop_map(|text| format!("\"{text}\"")),
        "[0-9TZ:.+-]{0,30}".prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(vec![
            "null",
            "true",
            "{}",
            "[]",
            "-0",
            "\"\\ud83d\"",
            "\"\\u0000\"",
            "-"
        ])
        .prop_map(str::to_owned),
    ];
    let columns = prop::collection::vec((prop::sample::select(names), leaf), 0..70);
    (any::<[u8; 3]>(), columns).prop_map(|(modes, columns)| {
        let fields: Vec<String> =
            columns.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let row = format!("{{{}}}", fields.join(","));
        let event = format!(
            "{{\"before\":null,\"after\":{row},\"source\":{{\"schema\":\"dbo\",\"table\":\"Sample\"}},\"op\":\"c\"}}"
        );
        [&modes[..], row.as_bytes(), b"\xFF", event.as_bytes()].concat()
    })
}

proptest! {
    #[test]
    fn no_message_panics_the_decoder(data in prop_oneof![any::<Vec<u8>>(), damaged(), rows()]) {
        decoder::run(&PLAN, &data);
    }
}
