use proptest::prelude::*;

use crate::{
    fixture::{Bench, file},
    plan::Plan,
    value::LegacyValue::{Int, Null},
};

fn rights(number: i64) -> Result<String, String> {
    let mut bench = Bench::new();
    let row = [("Id", Int(1)), ("FullName", crate::fixture::text("a")), ("Rights", Int(number))];
    match bench.map("Branch", &row) {
        crate::plan::Outcome::Mapped(entity) => Ok(bench.last(entity).get("rights").to_owned()),
        crate::plan::Outcome::Rejected(rejection) => {
            Err(format!("{} {}", rejection.rule, rejection.detail))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn bits_are_names_in_the_order_of_the_bits() {
    assert_eq!(rights(0).as_deref(), Ok("{}"));
    assert_eq!(rights(2).as_deref(), Ok("{write}"));
    assert_eq!(rights(3).as_deref(), Ok("{read,write}"));
    assert_eq!(rights(7).as_deref(), Ok("{read,write}"), "bit 4 is dropped by name");
    assert_eq!(rights(i64::from(i32::MIN) + 1).as_deref(), Ok("{read,own}"), "the sign is a bit");
}

#[test]
fn a_bit_that_nobody_named_is_no_flag() {
    let told = "flags.unknown `Rights` = `27` has bits that nobody named (24); name them in `values` or `ignore`, or say `unknown = \"…\"`";
    assert_eq!(rights(27), Err(told.into()));
}

#[test]
fn null_is_no_empty_array() {
    let mut bench = Bench::new();
    let row = [("Id", Int(1)), ("FullName", crate::fixture::text("a")), ("Rights", Null)];
    assert_eq!(bench.mapped("Branch", &row).get("rights"), "NULL");
}

fn plan_with(options: &str) -> Result<Plan, Vec<crate::file::Mistake>> {
    let mapping =
        crate::fixture::MAPPING.replacen("ignore = { 4 = \"nobody ever set it\" }", options, 1);
    Plan::compile(&[file(&mapping)], &crate::fixture::catalog())
}

#[test]
fn unknown_bits_can_have_one_name_together() {
    let mut bench =
        Bench { plan: plan_with("unknown = \"other\"").expect("a plan"), ..Bench::new() };
    let row = [("Id", Int(1)), ("FullName", crate::fixture::text("a")), ("Rights", Int(29))];
    assert_eq!(bench.mapped("Branch", &row).get("rights"), "{read,other}");
}

#[test]
fn a_default_is_a_number() {
    let mut bench = Bench { plan: plan_with("default = 3").expect("a plan"), ..Bench::new() };
    let row = [("Id", Int(1)), ("FullName", crate::fixture::text("a"))];
    assert_eq!(bench.mapped("Branch", &row).get("rights"), "{read,write}");
}

proptest! {
    #[test]
    fn every_bit_is_one_name(number: i32) {
        let values: Vec<String> = (0..32_u32).map(|bit| format!("{} = \"b{bit}\"", 1_u64 << bit)).collect();
        let all = format!("values = {{ {} }}", values.join(", "));
        let mapping = crate::fixture::MAPPING.replacen(
            "values = { 1 = \"read\", 2 = \"write\", 2147483648 = \"own\" }, ignore = { 4 = \"nobody ever set it\" }",
            &all,
            1,
        );
        let plan = Plan::compile(&[file(&mapping)], &crate::fixture::catalog()).expect("a plan");
        let mut bench = Bench { plan, ..Bench::new() };
        let row = [("Id", Int(1)), ("FullName", crate::fixture::text("a")), ("Rights", Int(i64::from(number)))];
        let shown = bench.mapped("Branch", &row).get("rights").to_owned();
        let names = shown.trim_matches(['{', '}']).split(',').filter(|name| !name.is_empty());
        let back = names.fold(0_u32, |bits, name| bits | 1 << name.trim_start_matches('b').parse::<u32>().expect("a bit"));
        prop_assert_eq!(back.cast_signed(), number);
    }
}
