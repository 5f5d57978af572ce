//! See `bodies/decoder.rs`.
#![no_main]

#[path = "../bodies/decoder.rs"]
mod decoder;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mapping::{file::MappingFile, plan::Plan};

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let catalog = include_str!("../../tests/kinds/catalog.json");
    let text = include_str!("../../tests/kinds/mapping.toml").to_owned();
    let catalog = serde_json::from_str(catalog).expect("a catalogue");
    let file = MappingFile { name: "kinds.toml".to_owned(), text };
    Plan::compile(&[file], &catalog).expect("a plan")
});

fuzz_target!(|data: &[u8]| decoder::run(&PLAN, data));
