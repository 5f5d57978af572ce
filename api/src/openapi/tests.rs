use std::collections::BTreeSet;

use super::DOCUMENT;

#[test]
fn the_checked_in_document_is_the_codes() {
    let checked_in: serde_json::Value =
        serde_json::from_str(include_str!("../../../docs/openapi.json")).expect("JSON");
    let help = "print it again: cargo run -- serve --openapi > docs/openapi.json";
    assert!(checked_in == *DOCUMENT, "{help}");
}

#[test]
fn every_operation_has_an_id_of_its_own_a_tag_and_a_summary() {
    let mut ids = BTreeSet::new();
    for (path, operations) in DOCUMENT["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id), "{id} twice");
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
    }
    assert!(ids.contains("getContractsByIdItems"), "{ids:?}");
}

#[test]
fn every_reference_leads_somewhere() {
    fn visit(value: &serde_json::Value) {
        if let Some(reference) = value["$ref"].as_str() {
            let pointer = reference.strip_prefix('#').expect("a reference within");
            assert!(DOCUMENT.pointer(pointer).is_some(), "{reference}");
        }
        value.as_object().into_iter().flat_map(|map| map.values()).for_each(visit);
        value.as_array().into_iter().flatten().for_each(visit);
    }
    visit(&DOCUMENT);
}
