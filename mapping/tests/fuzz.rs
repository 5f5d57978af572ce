//! The bodies of the fuzz targets (`fuzz/`), on generated inputs: the default tier runs them too.

#[cfg(test)]
#[path = "../../fuzz/bodies/bytes.rs"]
mod bytes;
#[cfg(test)]
#[path = "../../fuzz/bodies/conversion.rs"]
mod conversion;
#[cfg(test)]
#[path = "../../fuzz/bodies/mapping_file.rs"]
mod mapping_file;

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use mapping::{catalog::Catalog, file::MappingFile, plan::Plan};
    use proptest::prelude::*;

    use super::{conversion, mapping_file};

    const MAPPING: &str = include_str!("../../tests/kinds/mapping.toml");

    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
        serde_json::from_str(include_str!("../../tests/kinds/catalog.json")).expect("a catalogue")
    });

    static PLAN: LazyLock<Plan> = LazyLock::new(|| {
        let file = MappingFile { name: "kinds.toml".to_owned(), text: MAPPING.to_owned() };
        Plan::compile(&[file], &CATALOG).expect("a plan")
    });

    /// Pieces that a mapping file is made of, in any order.
    fn pieces() -> impl Strategy<Value = String> {
        let lines: Vec<&'static str> = MAPPING.lines().collect();
        let words = vec![
            "=",
            "{",
            "}",
            "[",
            "]",
            "\"",
            ",",
            "\n",
            "#",
            "''",
            "-1",
            "true",
            "99999999999",
            "1e999",
            "\u{0}",
            "ө",
        ];
        let piece = prop_oneof![
            6 => prop::sample::select(lines).prop_map(|line| format!("{line}\n")),
            1 => prop::sample::select(words).prop_map(str::to_owned),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    /// The whole file with some bytes of it replaced.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let wound = (0..MAPPING.len(), 0_usize..30, prop::collection::vec(any::<u8>(), 0..8));
        prop::collection::vec(wound, 1..4).prop_map(|wounds| {
            let mut text = MAPPING.as_bytes().to_vec();
            for (at, length, by) in wounds {
                let begin = at.min(text.len());
                let end = (begin + length).min(text.len());
                text.splice(begin..end, by);
            }
            text
        })
    }

    proptest! {
        #[test]
        fn no_mapping_file_panics_the_compiler(data in prop_oneof![
            any::<Vec<u8>>(),
            pieces().prop_map(String::into_bytes),
            damaged(),
        ]) {
            mapping_file::run(&CATALOG, &data);
        }

        #[test]
        fn no_value_panics_a_conversion(data in prop::collection::vec(any::<u8>(), 0..3000)) {
            conversion::run(&PLAN, &data);
        }
    }
}
