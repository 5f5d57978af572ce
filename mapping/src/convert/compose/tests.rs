use proptest::prelude::*;

use super::*;
use crate::{
    fixture::{Bench, text},
    plan::tests::any_value,
    row::fields,
    value::LegacyValue::{BrokenText, Int, Null, Unchanged},
};

fn row<'a>(first: LegacyValue<'a>, last: LegacyValue<'a>) -> [(&'static str, LegacyValue<'a>); 4] {
    [("Id", Int(7)), ("FullName", text("a")), ("FirstName", first), ("LastName", last)]
}

#[test]
fn a_blank_part_takes_its_separator_with_it() {
    let mut bench = Bench::new();
    for (first, last, whole) in [
        (text(" Бат "), text("Дорж"), "Бат Дорж"),
        (text("Бат"), Null, "Бат"),
        (text("   "), text("Дорж"), "Дорж"),
        (Null, text(""), "NULL"),
    ] {
        assert_eq!(bench.mapped("Branch", &row(first, last)).get("name"), whole);
    }
}

#[test]
fn a_blank_part_makes_the_whole_null_where_the_file_says_so() {
    let mut bench = Bench::new();
    assert_eq!(bench.mapped("Branch", &row(text("A\0"), Null)).get("strict_name"), "A-7");
    assert_eq!(bench.mapped("Branch", &row(text(" "), Null)).get("strict_name"), "NULL");
    assert_eq!(bench.mapped("Branch", &row(Null, text("x"))).get("strict_name"), "NULL");
}

#[test]
fn a_part_that_can_not_be_a_text_is_named() {
    let mut bench = Bench::new();
    let (rule, detail) = bench.rejected("Branch", &row(text("a"), BrokenText("?".into())));
    assert_eq!(rule, "text.surrogate");
    assert!(detail.starts_with("`LastName` = "), "{detail}");
    let (rule, detail) = bench.rejected("Branch", &row(text("a"), Unchanged));
    assert_eq!(
        (rule.as_str(), detail.as_str().split(' ').next()),
        ("column.missing", Some("`LastName`"))
    );
}

#[test]
fn a_text_is_taken_apart() {
    let mut bench = Bench::new();
    let name = |full| [("Id", Int(7)), ("FullName", full)];
    let whole = bench.mapped("Branch", &name(text(" Дорж , Бат , x")));
    assert_eq!((whole.get("family"), whole.get("given")), ("Дорж", "Бат"));
    let half = bench.mapped("Branch", &name(text("Дорж")));
    assert_eq!((half.get("family"), half.get("given")), ("Дорж", "NULL"), "absent = \"null\"");
    let blank = bench.mapped("Branch", &name(text(",  ")));
    assert_eq!((blank.get("family"), blank.get("given")), ("", "NULL"), "empty = \"null\"");
    assert_eq!(bench.mapped("Branch", &name(Null)).get("family"), "NULL");
    assert_eq!(bench.rejected("Branch", &name(text("a\0,b"))).0, "text.nul");
    assert_eq!(bench.mapped("Branch", &name(text("a,b,\0"))).get("given"), "b", "not its part");
}

#[test]
fn an_absent_part_is_told() {
    let rule =
        Split { separator: "/".into(), part: 2, absent_is_null: false, clean: TextRule::PLAIN };
    let mut out = Vec::new();
    let fault = split(&text("a/b"), &rule, &mut out).expect_err("no part 3");
    assert_eq!(fault.rule, "split.absent");
    assert!(fault.problem.contains("no part 3"), "{}", fault.problem);
    assert!(out.is_empty());
}

#[test]
fn a_lob_that_the_change_does_not_carry_stays_as_it_is() {
    let mut bench = Bench::new();
    let mapped =
        bench.mapped("Branch", &[("Id", Int(7)), ("FullName", text("a")), ("Note", Unchanged)]);
    let plan = bench.entity("branches");
    let column = plan.columns.iter().position(|column| column.name == "head").expect("a column");
    let place = plan.parts[0].columns.iter().position(|index| *index == column).expect("a place");
    assert_eq!(mapped.row.unchanged, 1 << place);
}

proptest! {
    #[test]
    fn what_is_put_together_is_taken_apart(parts in prop::collection::vec("[a-zө ]{0,5}[a-zө]", 1..5)) {
        let values: Vec<LegacyValue<'_>> = parts.iter().map(|part| text(part)).collect();
        let rule = Concat {
            sources: (0..values.len()).collect(),
            separator: "|".into(),
            blank: Blank::Skip,
            clean: TextRule::PLAIN,
        };
        let mut out = Vec::new();
        prop_assert_eq!(concat(&values, &rule, &mut out), Ok(Wrote::Field));
        let whole = fields(&out).next().flatten().expect("a field").to_vec();
        let whole = String::from_utf8(whole).expect("UTF-8");
        prop_assert_eq!(&whole, &parts.join("|"));
        for (part, expected) in parts.iter().enumerate() {
            let rule = Split { separator: "|".into(), part, absent_is_null: false, clean: TextRule::PLAIN };
            let mut out = Vec::new();
            prop_assert_eq!(split(&text(&whole), &rule, &mut out), Ok(Wrote::Field));
            prop_assert_eq!(fields(&out).next().flatten(), Some(expected.as_bytes()));
        }
    }

    #[test]
    fn no_value_panics(values in prop::collection::vec(any_value(), 0..4), null: bool) {
        let blank = if null { Blank::Null } else { Blank::Skip };
        let rule = Concat { sources: vec![0, 1, 9], separator: "-".into(), blank, clean: TextRule::PLAIN };
        let mut out = Vec::new();
        match concat(&values, &rule, &mut out) {
            Ok(Wrote::Field) => prop_assert_eq!(fields(&out).count(), 1),
            Ok(Wrote::Nothing) => prop_assert!(out.is_empty()),
            Err((_, fault)) => prop_assert!(fault.rule.contains('.')),
        }
    }
}
