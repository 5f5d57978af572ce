use super::{check::check, *};
use crate::{
    file::{MappingFile, words::WORDS},
    fixture::MAPPING,
};

const LEVELS: [(&str, Level); 6] = [
    ("file", Level::File),
    ("ignore", Level::Ignore),
    ("sequence", Level::Sequence),
    ("entity", Level::Entity),
    ("unique", Level::Unique),
    ("condition", Level::Condition),
];

fn json(text: &str) -> Value {
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
    // Dates are texts in JSON.
    serde_json::to_value(undated(toml::Value::Table(table))).expect("any TOML is JSON")
}

fn undated(value: toml::Value) -> toml::Value {
    match value {
        toml::Value::Datetime(time) => toml::Value::String(time.to_string()),
        toml::Value::Array(items) => toml::Value::Array(items.into_iter().map(undated).collect()),
        toml::Value::Table(table) => toml::Value::Table(
            table.into_iter().map(|(key, value)| (key, undated(value))).collect(),
        ),
        other => other,
    }
}

fn wrong(text: &str) -> Vec<String> {
    check(&schema(), &json(text))
}

#[test]
fn the_checked_in_schema_is_the_readers() {
    let checked_in: Value =
        serde_json::from_str(include_str!("../../../../docs/mapping.schema.json")).expect("JSON");
    let help = "print it again: cargo run -p ficus -- mapping schema > docs/mapping.schema.json";
    assert!(checked_in == schema(), "{help}");
}

#[test]
fn every_word_is_explained_and_none_is_that_the_reader_does_not_know() {
    let mut unknown: Vec<(&str, &str)> = WORDS.iter().map(|word| (word.of, word.key)).collect();
    let mut meet = |of: &'static str, asked: Asked| {
        for (key, _) in asked {
            assert!(words::text(of, key).is_some(), "{of}: `{key}` is not explained");
            let own = WORDS.iter().any(|word| word.of == of && word.key == key);
            let of = if own { of } else { "column" };
            unknown.retain(|word| *word != (of, key));
        }
    };
    for (of, level) in LEVELS {
        meet(of, asked(level, "const"));
    }
    for (made_as, _) in MADE_AS {
        meet(made_as, asked(Level::Column, made_as));
    }
    assert!(unknown.is_empty(), "the reader never asks for {unknown:?}");
}

/// A value that the reader takes for a key.
fn sample(made_as: &str, key: &str) -> &'static str {
    match (made_as, key) {
        (_, "currency") => "\"MNT\"",
        (_, "scale" | "digits" | "part" | "value") => "2",
        (_, "values") => "{ 1 = \"a\" }",
        (_, "blank") => "\"skip\"",
        (_, "separator" | "in" | "to") => "\"x\"",
        other => panic!("no sample for {other:?}"),
    }
}

fn told(column: &str) -> Vec<String> {
    let text = format!(
        "domain = \"d\"\n[[entity]]\nname = \"e\"\nfrom = \"dbo.T\"\n[entity.columns]\nc = {{ {column} }}\n"
    );
    let files = [MappingFile { name: "t".into(), text }];
    let mut mistakes = Mistakes::new(&files);
    read(0, &files[0].text, &mut mistakes);
    mistakes.into_sorted().into_iter().map(|mistake| mistake.message).collect()
}

#[test]
fn what_is_needed_is_needed_by_the_reader_and_nothing_else_is() {
    for (made_as, _) in MADE_AS {
        let needed =
            NEEDED.iter().find(|(of, _)| *of == made_as).map_or(&[][..], |(_, keys)| *keys);
        let line = |without: Option<&str>| {
            let keys = needed.iter().filter(|key| Some(**key) != without);
            let pairs = keys.map(|key| format!(", {key} = {}", sample(made_as, key)));
            format!("as = \"{made_as}\"{}", pairs.collect::<String>())
        };
        assert_eq!(told(&line(None)), [""; 0], "{made_as}");
        for key in needed {
            assert!(!told(&line(Some(key))).is_empty(), "{made_as} without {key}");
        }
    }
}

#[test]
fn the_fixture_is_valid() {
    assert_eq!(wrong(MAPPING), [""; 0]);
}

#[test]
fn what_the_reader_refuses_is_refused() {
    let entity = "domain = \"d\"\n[[entity]]\nname = \"e\"\nfrom = \"dbo.T\"\n";
    let columns = format!("{entity}[entity.columns]\n");
    for bad in [
        "domian = \"d\"".to_owned(),
        "[[entity]]\nname = \"e\"\nfrom = \"dbo.T\"".to_owned(),
        "domain = \"d\"\n[[entity]]\nfrom = \"dbo.T\"".to_owned(),
        "domain = \"d\"\n[[entity]]\nname = \"e\"".to_owned(),
        format!("{entity}parts = [\"dbo.A\"]"),
        format!("{entity}soft_delete = \"maybe\""),
        format!("{entity}[entity.leave_out]\nA = 1"),
        format!("{entity}[entity.where]\nA = {{ is = [] }}"),
        format!("{entity}[entity.where]\nA = {{ is = 1, nul = true }}"),
        format!("{columns}a = \"A\""),
        format!("{columns}a = {{ from = \"A\" }}"),
        format!("{columns}a = {{ from = \"A\", as = \"txet\" }}"),
        format!("{columns}a = {{ as = \"text\" }}"),
        format!("{columns}a = {{ from = \"A\", as = \"text\", tirm = \"end\" }}"),
        format!("{columns}a = {{ from = \"A\", as = \"text\", trim = \"start\" }}"),
        format!("{columns}a = {{ from = \"A\", as = \"text\", compare = \"skip:\" }}"),
        format!("{columns}a = {{ from = \"A\", as = \"money\", digits = 2 }}"),
        format!("{columns}a = {{ from = \"A\", as = \"money\", currency = \"mnt\", digits = 2 }}"),
        format!("{columns}a = {{ from = \"A\", as = \"numeric\", scale = 39 }}"),
        format!("{columns}a = {{ from = \"A\", as = \"flags\", values = {{ 0 = \"none\" }} }}"),
        format!(
            "{columns}a = {{ from = \"A\", as = \"date\", sentinels = {{ \"1753-01-01\" = \"nil\" }} }}"
        ),
        format!("{columns}a = {{ from = \"A\", as = \"split\", separator = \",\", part = 0 }}"),
        format!("{columns}a = {{ from = \"A\", as = \"ref\" }}"),
        "[[ignore]]\ntable = \"dbo.A\"".to_owned(),
        "[lookup.empty]".to_owned(),
        "[[sequence]]\nname = \"s\"".to_owned(),
        "[[sequence]]\nname = \"s\"\nfrom = \"e.c\"\nstep = 0".to_owned(),
        format!("{entity}[[entity.unique]]\namong = \"live\""),
        format!("{entity}[[entity.unique]]\ncolumns = \"a\"\nnulls = \"same\""),
        format!("{entity}[entity.accept]\nmapping = \"no\""),
    ] {
        assert!(!wrong(&bad).is_empty(), "{bad}");
    }
}

#[test]
fn what_the_reader_takes_is_taken() {
    let entity = "domain = \"d\"\n[[entity]]\nname = \"e\"\nfrom = \"dbo.T\"\n";
    for good in [
        format!(
            "{entity}[entity.where]\nA = 1\nB = [true, \"x\"]\nC = 2024-12-31\nParty.D = {{ not = 1.5, null = false }}"
        ),
        format!("{entity}[entity.leave_out]\nParty.A = \"why\"\n\"Party.B\" = \"why\""),
        format!(
            "{entity}[entity.columns]\nk = {{ from = \"A\", as = \"type\", values = {{ App.Space = \"space\" }} }}"
        ),
        format!("{entity}[entity.columns]\nk = {{ as = \"const\", value = \"x\" }}"),
        format!(
            "{entity}[entity.columns]\nk = {{ from = [\"A\", \"B\"], as = \"ref\", to = \"e\" }}"
        ),
    ] {
        assert_eq!(wrong(&good), [""; 0], "{good}");
    }
}
