use proptest::prelude::*;

use super::{MappingFile, Mistakes, closest, read};
use crate::{
    fixture::{MAPPING, catalog},
    plan::Plan,
};

#[test]
fn suggestions_are_near_or_absent() {
    let names = ["CompanyNo", "ContractNo", "Tenant"];
    assert_eq!(closest("ContractNmo", names), Some("ContractNo"));
    assert_eq!(closest("tenant", names), Some("Tenant"));
    assert_eq!(closest("Photo", names), None);
    assert_eq!(closest("x", []), None);
}

#[test]
fn dotted_names_need_no_quotes() {
    let text = "domain = \"d\"\n[[entity]]\nname = \"a\"\nfrom = \"dbo.A\"\n[entity.leave_out]\nOwner.Photo = \"why\"\n";
    let files = [MappingFile { name: "a".into(), text: text.into() }];
    let mut mistakes = Mistakes::new(&files);
    let said = read(0, text, &mut mistakes);
    assert!(mistakes.is_empty());
    let (column, reason) = &said.entities[0].leave_out[0];
    assert_eq!((column.value.as_str(), reason.as_str()), ("Owner.Photo", "why"));
}

proptest! {
    #[test]
    fn no_text_panics_the_compiler(text: String) {
        let files = [MappingFile { name: "any.toml".into(), text }];
        if let Err(mistakes) = Plan::compile(&files, &catalog()) {
            prop_assert!(!mistakes.is_empty());
        }
    }

    #[test]
    fn no_damage_panics_the_compiler(at in 0_usize..10_000, length in 0_usize..40, by in "[a-zө=\\[\\]{}\", 0-9.\n]{0,12}") {
        let mut text: Vec<char> = MAPPING.chars().collect();
        let begin = at.min(text.len());
        let end = (begin + length).min(text.len());
        text.splice(begin..end, by.chars());
        let files = [MappingFile { name: "any.toml".into(), text: text.into_iter().collect() }];
        if let Err(mistakes) = Plan::compile(&files, &catalog()) {
            prop_assert!(!mistakes.is_empty());
        }
    }
}
