use super::*;

fn said(meaning: &Meaning, legacy: Option<&str>, target: Option<&str>) -> Said {
    let types = BTreeMap::from([(7, "A.B.Space".to_owned())]);
    meaning.compare(&[legacy], target, (None, &types))
}

#[test]
fn meanings_of_single_values() {
    use Said::{Nothing, Other, Same};
    let words = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, word)| ((*key).to_owned(), (*word).to_owned())).collect()
    };
    let money = Meaning::Number { shift: 2 };
    let number = Meaning::Number { shift: 0 };
    let text = Meaning::Text { trim: Trim::Both, empty_is_null: true, strip_nul: false };
    let plain = Meaning::Text { trim: Trim::None, empty_is_null: false, strip_nul: true };
    let sentinels = Sentinels(words(&[("1753-01-01", "null"), ("9999-12-31", "infinity")]));
    let day = Meaning::Date(sentinels.clone());
    let zone = Meaning::Zoned { zone: chrono_tz::Asia::Ulaanbaatar, sentinels };
    let status = Meaning::Word { values: words(&[("0", "draft"), ("1", "active")]), unknown: None };
    let kind = Meaning::Type { values: words(&[("A.B.Space", "space")]) };
    for (meaning, legacy, target, expect) in [
        (&money, "1234.5600", "123456", Same),
        (&money, "-0.0100", "-1", Same),
        (&money, "1234.5600", "1234560", Other),
        (&money, "0.0000", "0", Same),
        (&number, "1.50", "1.5000000000", Same),
        (&number, "1e5", "100000", Nothing),
        (&text, "  a ", "a", Same),
        (&text, "a", "a ", Other),
        (
            &text,
            "6F9619FF-8B86-D011-B42D-00CF4FC964FF",
            "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            Same,
        ),
        (&plain, "a\0b ", "ab ", Same),
        (&plain, "ab ", "ab", Other),
        (&day, "2024-02-29T00:00:00", "2024-02-29", Same),
        (&day, "2024-02-29T00:00:00", "2024-03-01", Other),
        (&day, "9999-12-31T00:00:00", "infinity", Same),
        // UTC+8 today; +9 in the summers of 2015 and 2016.
        (&zone, "2024-06-01T08:00:00.123", "2024-06-01 00:00:00.123+00", Same),
        (&zone, "2024-06-01T08:00:00.123", "2024-05-31 23:00:00.123+00", Other),
        (&zone, "2015-07-01T09:00:00", "2015-07-01 00:00:00+00", Same),
        (&zone, "2015-03-28T02:30:00", "2015-03-27 18:30:00+00", Nothing),
        (&status, "1", "active", Same),
        (&status, "1", "draft", Other),
        (&status, "7", "active", Nothing),
        (&kind, "7", "space", Same),
        (&kind, "7", "parking_space", Other),
        (&Meaning::Bool, "1", "true", Same),
        (&Meaning::Bool, "1", "false", Other),
        (&Meaning::Float, "1.1000000000000001e+000", "1.1", Same),
        (&Meaning::Float, "1.1000000000000001e+000", "1.2", Other),
        (&Meaning::Color, "-16776961", "#ff0000ff", Same),
        (&Meaning::Hex, "00FF", "\\x00ff", Same),
        (&Meaning::Hex, "00FF", "\\x00fe", Other),
    ] {
        assert_eq!(said(meaning, Some(legacy), Some(target)), expect, "{legacy} {target}");
    }
    for (meaning, legacy, target, expect) in [
        (&text, Some("  "), None, Same),
        (&text, Some("  "), Some(""), Other),
        (&text, Some("a"), None, Other),
        (&text, None, None, Same),
        (&day, Some("1753-01-01T00:00:00"), None, Same),
        (&day, Some("1753-01-01T00:00:00"), Some("1753-01-01"), Other),
        (&money, None, Some("0"), Other),
    ] {
        assert_eq!(said(meaning, legacy, target), expect, "{legacy:?} {target:?}");
    }
}

#[test]
fn a_default_stands_for_null() {
    let types = BTreeMap::new();
    let of = |meaning: &Meaning, null: &str, target| {
        let null = meaning.default_text(null.to_owned());
        meaning.compare(&[None], target, (Some(&null), &types))
    };
    assert_eq!(of(&Meaning::Bool, "false", Some("false")), Said::Same);
    assert_eq!(of(&Meaning::Bool, "false", None), Said::Other);
    let version = Meaning::Number { shift: 0 };
    assert_eq!(of(&version, "0", Some("0")), Said::Same);
    assert_eq!(of(&version, "0", Some("1")), Said::Other);
}

#[test]
fn an_id_is_taken_back_to_its_key() {
    let meaning = Meaning::Ref { empty_is_null: true };
    let of =
        |legacy: &[Option<&str>], target| meaning.compare(legacy, target, (None, &BTreeMap::new()));
    assert_eq!(of(&[Some("ub"), Some("17 ")], Some("UB\n17")), Said::Same);
    assert_eq!(of(&[Some("ub"), Some("17 ")], Some("UB\n18")), Said::Other);
    assert_eq!(of(&[Some("ub"), None], None), Said::Same);
    assert_eq!(of(&[Some("ub"), Some(" ")], Some("UB\n")), Said::Other);
    assert_eq!(of(&[Some("ub")], None), Said::Other);
    assert_eq!(of(&[Some("2024-01-01T00:00:00")], Some("2024-01-01T00:00:00.000")), Said::Same);
}
