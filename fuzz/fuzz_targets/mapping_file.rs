//! See `bodies/mapping_file.rs`.
#![no_main]

#[path = "../bodies/mapping_file.rs"]
mod mapping_file;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mapping::catalog::Catalog;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../tests/kinds/catalog.json")).expect("a catalogue")
});

fuzz_target!(|data: &[u8]| mapping_file::run(&CATALOG, data));
