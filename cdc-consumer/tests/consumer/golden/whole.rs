//! The road that the consumer takes: whole rows, read by one codec for a table, which has learnt
//! the order of the columns from the row before.

use std::collections::{BTreeMap, HashMap};

use cdc_consumer::{
    Decoder,
    canonical::canonical,
    decode::{Image, Message, RowCodec, RowFault},
};
use mapping::{catalog::Table, plan::SourceColumn, value::LegacyValue};

use super::{Cell, file::Golden};

/// Codecs by table, settings and schema, as the batcher keeps them.
#[derive(Default)]
pub(super) struct Codecs {
    codecs: HashMap<String, (RowCodec, Vec<SourceColumn>)>,
}

impl Codecs {
    /// Checks that the row's image reads the same as column by column.
    pub(super) fn check(
        &mut self,
        golden: &Golden<'_>,
        table: &Table,
        wanted: &BTreeMap<String, Cell>,
    ) {
        let mut decoder = Decoder::default();
        let value = golden.value.unwrap().get().as_bytes();
        let Message::Data(event) = decoder.decode(&golden.topic, Some(value)).unwrap() else {
            panic!("{}: no data", golden.name);
        };
        let (row, image) = match event.after {
            Some(row) => (row, event.after_image(golden.has_old_key())),
            None => (event.before.unwrap(), Image::Before),
        };
        let like = format!("{table:?} {}", golden.settings.combination());
        let (codec, columns) = self.codecs.entry(like).or_insert_with(|| {
            let columns: Vec<SourceColumn> = table
                .columns
                .iter()
                .filter(|column| wanted.contains_key(&column.name))
                .map(|column| SourceColumn {
                    name: column.name.clone(),
                    sql_type: column.sql_type.clone(),
                    key: false,
                    lob: column.sql_type.is_lob(),
                })
                .collect();
            let modes = golden.settings.modes();
            (RowCodec::new(&columns, Vec::new(), event.schema.as_deref(), &modes), columns)
        });
        let mut values = Vec::new();
        let read = codec.read(row, image, &mut values);
        let faults = wanted.values().filter(|cell| cell.fault.is_some()).count();
        match read {
            Ok(()) => assert_eq!(faults, 0, "{}", golden.name),
            Err(RowFault::Value { .. }) => assert!(faults > 0, "{}", golden.name),
            Err(other) => panic!("{}: {other:?}", golden.name),
        }
        for (column, value) in columns.iter().zip(&values) {
            let cell = &wanted[&column.name];
            if cell.fault.is_some() {
                assert_eq!(*value, LegacyValue::Unchanged, "{}: {}", golden.name, column.name);
                continue;
            }
            let text = canonical(value, &column.sql_type);
            assert_eq!(text, cell.value, "{}: {}", golden.name, column.name);
            assert_eq!(*value == LegacyValue::Unchanged, cell.unchanged, "{}", column.name);
        }
    }
}
