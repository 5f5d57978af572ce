//! Any bytes as Debezium's messages: decoding ends in a message or in the reason why it is none,
//! and reading its rows ends in values or in faults. Nothing panics, whatever came before.

use cdc_consumer::{
    Decoder, Modes, Types,
    canonical::canonical,
    decode::{Image, Message, RowCodec},
    decode_line,
};
use mapping::plan::{Plan, TablePlan};

const TOPIC: &str = "p.Kinds.dbo.Sample";

/// One input: the connector's modes, then messages parted by the byte 0xFF.
pub(crate) fn run(plan: &Plan, data: &[u8]) {
    let Some((choice, data)) = data.split_first_chunk::<3>() else { return };
    let modes = modes(*choice);
    let types = Types::from_plan(plan);
    let mut decoder = Decoder::default();
    let table = plan.table("dbo", "Sample").expect("the table of the fixture");
    for message in data.split(|byte| *byte == 0xFF).take(16) {
        check(&mut decoder, table, &modes, message);
        let line = decode_line(&mut decoder, message, &types, &modes);
        assert!(line.starts_with('{') && !line.contains('\n'), "one line of JSON: {line}");
        // As a line of `ficus decode`, with the message inside.
        let mut wrapped = br#"{"topic":"p.Kinds.dbo.Sample","key":null,"value":"#.to_vec();
        wrapped.extend_from_slice(message);
        wrapped.push(b'}');
        let line = decode_line(&mut decoder, &wrapped, &types, &modes);
        assert!(line.starts_with('{') && !line.contains('\n'), "one line of JSON: {line}");
    }
}

fn modes(choice: [u8; 3]) -> Modes {
    const DECIMAL: [&str; 3] = ["precise", "string", "double"];
    const TIME: [&str; 4] = ["adaptive", "adaptive_time_microseconds", "connect", "isostring"];
    const BINARY: [&str; 3] = ["bytes", "base64", "hex"];
    let [decimal, time, binary] = choice;
    let pick = |words: &[&'static str], byte: u8| words[usize::from(byte) % words.len()];
    Modes {
        decimal: pick(&DECIMAL, decimal).parse().expect("a mode"),
        time: pick(&TIME, time).parse().expect("a mode"),
        binary: pick(&BINARY, binary).parse().expect("a mode"),
        ..Modes::default()
    }
}

fn check(decoder: &mut Decoder, table: &TablePlan, modes: &Modes, message: &[u8]) {
    let columns = &table.columns;
    // The same bytes as a key, and as a row.
    if let Ok(Some(key)) = decoder.decode_key(TOPIC, Some(message)) {
        let mut codec = RowCodec::new(columns, Vec::new(), None, modes);
        read(&mut codec, table, key, Image::Whole);
    }
    let mut codec = RowCodec::new(columns, Vec::new(), None, modes);
    read(&mut codec, table, message, Image::Updated);
    match decoder.decode(TOPIC, Some(message)) {
        Err(foreign) => assert!(!foreign.rule.is_empty() && !foreign.detail.is_empty()),
        Ok(Message::Data(event)) => {
            let mut codec = RowCodec::new(columns, Vec::new(), event.schema.as_deref(), modes);
            for row in [event.before, event.after, event.before].into_iter().flatten() {
                read(&mut codec, table, row, event.after_image(false));
            }
            for offset in [None, Some(-1), Some(7)] {
                let position = event.position(offset);
                assert!(position.is_none_or(|position| !position.to_string().is_empty()));
            }
        }
        Ok(_) => {}
    }
}

/// One value for each column, readable or not.
fn read(codec: &mut RowCodec, table: &TablePlan, row: &[u8], image: Image) {
    let mut values = Vec::new();
    let outcome = codec.read(row, image, &mut values);
    if outcome.is_err() && values.is_empty() {
        return;
    }
    assert_eq!(values.len(), table.columns.len());
    for (column, value) in table.columns.iter().zip(&values) {
        assert!(
            canonical(value, &column.sql_type).is_none_or(|text| text.len() < row.len() * 3 + 400)
        );
    }
}
