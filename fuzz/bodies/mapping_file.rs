//! Any bytes as mapping files: the parser and the compiler end in a plan or in mistakes, each
//! with a place in its file. Nothing panics.

use mapping::{catalog::Catalog, file::MappingFile, plan::Plan};

/// One input: up to three files, parted by the byte 0xFF, which no text has.
pub(crate) fn run(catalog: &Catalog, data: &[u8]) {
    let files: Vec<MappingFile> = data
        .splitn(3, |byte| *byte == 0xFF)
        .zip(["a.toml", "b.toml", "c.toml"])
        .map(|(text, name)| MappingFile {
            name: name.to_owned(),
            text: String::from_utf8_lossy(text).into_owned(),
        })
        .collect();
    match Plan::compile(&files, catalog) {
        Ok(plan) => {
            assert_eq!(plan.version.len(), 32);
            for entity in &plan.entities {
                assert!(!entity.parts.is_empty(), "{} comes from nothing", entity.name);
                assert_eq!(entity.columns.first().map(|column| &*column.name), Some("id"));
            }
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "no plan, and nothing wrong");
            for mistake in &mistakes {
                let file = files.iter().find(|file| file.name == mistake.file);
                let lines = file.expect("a mistake is in a file").text.split('\n').count();
                assert!((1..=lines).contains(&mistake.line), "{mistake}");
                assert!(mistake.column >= 1 && !mistake.message.is_empty(), "{mistake}");
                assert!(!mistake.help.is_empty(), "{mistake} says not what to do");
            }
        }
    }
}
