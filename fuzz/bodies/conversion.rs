//! Any bytes as a legacy row: mapping ends in fields, in a named rule, or in a rejection that
//! leaves the batches as they were. Nothing panics, and what is written is what Postgres reads.

use mapping::{
    catalog::SqlType,
    encode,
    plan::{Context, ObjectTypes, Outcome, PgType, Plan, SourceChange, SourceOp, TablePlan},
    position::Position,
    row::{Batches, fields},
    value::{Decimal, LegacyValue},
};
use uuid::Uuid;

use super::bytes::Bytes;

/// One input: a few rows of any tables.
pub(crate) fn run(plan: &Plan, data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let types: ObjectTypes =
        [(1, "Demo.Space".to_owned()), (2, "Demo.Parking".to_owned())].into_iter().collect();
    let mut batches = Batches::default();
    let mut sequence = 0;
    while !bytes.is_empty() && sequence < 8 {
        let index = usize::from(bytes.byte()) % plan.tables.len();
        let Some(table) = plan.tables.get(index) else { return };
        let op = if bytes.byte() < 32 { SourceOp::Delete } else { SourceOp::Upsert };
        let values: Vec<LegacyValue<'_>> =
            table.columns.iter().map(|column| value(&column.sql_type, &mut bytes)).collect();
        let change = SourceChange { op, values: &values, position: Position::ZERO, sequence };
        let context = Context { object_types: &types, seen_at_us: bytes.number() };
        let before = (batches.row_count(), batches.byte_count());
        let outcome = table.map(&change, &context, &mut batches);
        check_outcome(table, &values, &outcome, before, &batches);
        sequence += 1;
    }
    check_batches(plan, &batches);
}

fn check_outcome(
    table: &TablePlan,
    values: &[LegacyValue<'_>],
    outcome: &Outcome,
    before: (usize, usize),
    batches: &Batches,
) {
    match outcome {
        Outcome::Mapped(_) => assert!(batches.row_count() > before.0, "mapped to no row"),
        Outcome::Ignored(_) | Outcome::Rejected(_) => {
            assert_eq!((batches.row_count(), batches.byte_count()), before, "{outcome:?}");
        }
    }
    if let Outcome::Rejected(rejection) = outcome {
        assert!(!rejection.rule.is_empty() && !rejection.detail.is_empty(), "{rejection:?}");
    }
    if let Some(key) = table.canonical_key(values) {
        assert_eq!(key.parts().len(), table.key.len(), "{key} can't be taken apart");
        assert!(!key.to_string().contains('\n'), "a key is shown on one line");
    }
}

fn check_batches(plan: &Plan, batches: &Batches) {
    for batch in batches.iter() {
        let entity = plan.entities.get(usize::from(batch.entity.0)).expect("an entity");
        let part = entity.parts.get(usize::from(batch.part)).expect("a part");
        for row in batch.rows.iter().filter(|row| !row.fields.is_empty()) {
            let bytes = batch.fields.get(row.fields.clone()).expect("within the batch");
            assert_eq!(fields(bytes).count(), part.columns.len(), "a field for each column");
            for (column, field) in part.columns.iter().zip(fields(bytes)) {
                let column = entity.columns.get(*column).expect("a column");
                if let Some(field) = field {
                    check_field(column.pg_type, field);
                    assert!(!encode::display(column.pg_type, field).contains('\0'));
                }
            }
        }
        for slot in &batch.slots {
            let room = batch.fields.get(slot.offset..slot.offset + 16);
            assert_eq!(room, Some(&[0; 16][..]), "an id's place is empty and inside");
        }
    }
}

/// As Postgres's `…recv` functions want it.
fn check_field(pg_type: PgType, field: &[u8]) {
    let length = match pg_type {
        PgType::Bool => 1,
        PgType::Int2 => 2,
        PgType::Int4 | PgType::Date => 4,
        PgType::Int8 | PgType::Float8 | PgType::Time => 8,
        PgType::Timestamp | PgType::Timestamptz => 8,
        PgType::Uuid => 16,
        PgType::Bytea => return,
        PgType::Text => {
            let text = std::str::from_utf8(field).expect("Postgres refuses other bytes");
            assert!(!text.contains('\0'), "Postgres refuses U+0000");
            return;
        }
        PgType::TextArray => {
            let (head, items) = field.split_at(12);
            // One dimension, or none when the array is empty; no NULLs; of type text.
            assert_eq!(head[..3], [0, 0, 0]);
            assert!(head[3] <= 1 && head[4..8] == [0; 4] && head[8..] == 25_u32.to_be_bytes());
            let texts = fields(items.get(8..).unwrap_or_default());
            texts.flatten().for_each(|text| check_field(PgType::Text, text));
            return;
        }
        PgType::Numeric { scale } => {
            let (head, digits) = field.split_at(8);
            let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
            assert_eq!(usize::from(word(0)) * 2, digits.len(), "as many digits as it says");
            assert_eq!(word(6), u16::from(scale), "the column's own scale");
            let groups = digits.chunks(2).map(|group| u16::from_be_bytes([group[0], group[1]]));
            assert!(groups.clone().all(|group| group < 10_000), "base 10000");
            let ends = [groups.clone().next(), groups.clone().next_back()];
            assert!(!ends.contains(&Some(0)), "no zero at an end");
            return;
        }
    };
    assert_eq!(field.len(), length, "{pg_type:?}");
}

/// A value of the column's type as a rule, of any kind now and then.
fn value<'a>(sql_type: &SqlType, bytes: &mut Bytes<'a>) -> LegacyValue<'a> {
    match bytes.byte() {
        0..16 => LegacyValue::Null,
        16..24 => LegacyValue::Unchanged,
        24..40 => any_kind(bytes),
        _ => of_type(sql_type, bytes),
    }
}

fn of_type<'a>(sql_type: &SqlType, bytes: &mut Bytes<'a>) -> LegacyValue<'a> {
    match sql_type {
        SqlType::Bit => LegacyValue::Bool(bytes.byte() < 128),
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
            LegacyValue::Int(bytes.number())
        }
        SqlType::Decimal { scale, .. } => decimal(*scale, bytes),
        SqlType::Money | SqlType::SmallMoney => decimal(4, bytes),
        SqlType::Real | SqlType::Float => float(bytes),
        SqlType::Date => LegacyValue::Date(i32::try_from(bytes.number()).unwrap_or(i32::MAX)),
        SqlType::Time { .. } => LegacyValue::Time(bytes.number()),
        SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. } => {
            LegacyValue::Timestamp(ticks(bytes))
        }
        SqlType::DateTimeOffset { .. } => LegacyValue::TimestampOffset {
            utc_ticks: ticks(bytes),
            offset_minutes: i16::from_be_bytes(bytes.array()),
        },
        SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Image => {
            LegacyValue::Bytes(bytes.some().into())
        }
        SqlType::RowVersion => LegacyValue::Bytes(bytes.some().into()),
        SqlType::UniqueIdentifier => LegacyValue::Guid(Uuid::from_bytes(bytes.array())),
        _ => text(bytes),
    }
}

fn any_kind<'a>(bytes: &mut Bytes<'a>) -> LegacyValue<'a> {
    const TYPES: [SqlType; 9] = [
        SqlType::Bit,
        SqlType::Int,
        SqlType::Money,
        SqlType::Float,
        SqlType::Date,
        SqlType::DateTime,
        SqlType::Image,
        SqlType::UniqueIdentifier,
        SqlType::Text,
    ];
    let kind = usize::from(bytes.byte()) % TYPES.len();
    TYPES.get(kind).map_or(LegacyValue::Null, |kind| of_type(kind, bytes))
}

fn decimal(scale: u8, bytes: &mut Bytes<'_>) -> LegacyValue<'static> {
    let unscaled = match bytes.byte() % 4 {
        0 => i128::from(bytes.number()) * 10_000,
        1 => i128::from(bytes.number()),
        _ => i128::from_be_bytes(bytes.array()),
    };
    let scale = if bytes.byte() < 16 { bytes.byte() } else { scale };
    LegacyValue::Decimal(Decimal { unscaled, scale })
}

fn float(bytes: &mut Bytes<'_>) -> LegacyValue<'static> {
    LegacyValue::Float(match bytes.byte() % 4 {
        0 => f64::from(i8::from_be_bytes(bytes.array())) / 4.0,
        1 => f64::from(i32::from_be_bytes(bytes.array())),
        2 => f64::from(f32::from_be_bytes(bytes.array())),
        _ => f64::from_be_bytes(bytes.array()),
    })
}

/// Days, so that midnights and sentinels are met, or any tick.
fn ticks(bytes: &mut Bytes<'_>) -> i64 {
    const DAY: i64 = 864_000_000_000;
    match bytes.byte() % 4 {
        0 => DAY * i64::from(i16::from_be_bytes(bytes.array())),
        1 => [-68_478_048_000_000_000, 2_932_896 * DAY, -719_162 * DAY]
            [usize::from(bytes.byte() % 3)],
        2 => i64::from(i32::from_be_bytes(bytes.array())) * 10_000_000,
        _ => bytes.number(),
    }
}

fn text<'a>(bytes: &mut Bytes<'a>) -> LegacyValue<'a> {
    let kind = bytes.byte();
    let text = String::from_utf8_lossy(bytes.some());
    if kind < 16 { LegacyValue::BrokenText(text) } else { LegacyValue::Text(text) }
}
