//! The mapping files as an editor sees them.

use serde_json::Value;

#[path = "../../../mapping/src/file/schema/check.rs"]
mod check;

#[test]
fn every_file_names_the_languages_schema_and_is_valid() {
    let schema: Value = serde_json::from_str(&mapping::file::json_schema()).expect("JSON");
    for file in crate::mappings() {
        let first = file.text.lines().next();
        assert_eq!(first, Some("#:schema ../../docs/mapping.schema.json"), "{}", file.name);
        let table: toml::Table = file.text.parse().expect("TOML");
        let document = serde_json::to_value(table).expect("no dates without quotes");
        assert_eq!(check::check(&schema, &document), [""; 0], "{}", file.name);
    }
}
