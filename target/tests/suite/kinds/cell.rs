//! One target column: the legacy values that it is made from, and what it should be, as SQL.

use mapping::value::LegacyValue;
use proptest::prelude::*;

use super::{number, text, time};

/// A column of a generated row.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// The target column.
    pub(super) target: &'static str,
    /// The legacy columns that it is made from.
    pub(super) values: Vec<(&'static str, LegacyValue<'static>)>,
    /// What it should be: an SQL expression of literals.
    pub(super) sql: String,
}

/// A legacy value and what it should become.
pub(super) type Pair = (LegacyValue<'static>, String);

/// A column that is NULL now and then, and then is what `null` says.
pub(super) fn cell<S>(
    target: &'static str,
    from: &'static str,
    null: &'static str,
    pairs: S,
) -> BoxedStrategy<Cell>
where
    S: Strategy<Value = Pair> + 'static,
{
    let given =
        pairs.prop_map(move |(value, sql)| Cell { target, values: vec![(from, value)], sql });
    let absent = Cell { target, values: vec![(from, LegacyValue::Null)], sql: null.to_owned() };
    prop_oneof![8 => given, 1 => Just(absent)].boxed()
}

/// A column that is made from nothing.
fn constant(target: &'static str, sql: &str) -> BoxedStrategy<Cell> {
    Just(Cell { target, values: Vec::new(), sql: sql.to_owned() }).boxed()
}

/// A value as it is, with its SQL.
pub(super) fn pair(value: LegacyValue<'static>, sql: impl Into<String>) -> Pair {
    (value, sql.into())
}

/// All columns of a row.
pub(super) fn row() -> Vec<BoxedStrategy<Cell>> {
    let mut cells = number::cells();
    cells.extend(text::cells());
    cells.extend(time::cells());
    cells.extend(codes());
    cells.extend([
        constant("const_text", "'legacy'"),
        constant("const_int", "'-9223372036854775808'::int8"),
        constant("const_float", "1.5"),
        constant("const_bool", "false"),
    ]);
    cells
}

fn codes() -> Vec<BoxedStrategy<Cell>> {
    let int = |number: i64| LegacyValue::Int(number);
    let status = prop::sample::select(vec![(0, "draft"), (1, "active"), (-7, "odd")]);
    let flag = prop::sample::select(vec![
        ("T", "yes"),
        ("F ", "no"),
        ("F", "no"),
        ("t", "other"),
        ("", "other"),
        ("ҮГҮЙ", "other"),
    ]);
    let typed = prop::sample::select(vec![(1, "space"), (2, "parking")]);
    let word = |text: &str| LegacyValue::Text(text.to_owned().into());
    vec![
        cell(
            "enum_int",
            "Status",
            "'draft'",
            status.prop_map(move |(n, name)| pair(int(n), format!("'{name}'"))),
        ),
        cell(
            "enum_text",
            "Flag",
            "null",
            flag.prop_map(move |(text, name)| pair(word(text), format!("'{name}'"))),
        ),
        cell(
            "color_argb",
            "Color",
            "null",
            any::<i32>().prop_map(move |argb| {
                pair(int(argb.into()), format!("'#' || lpad(to_hex('{argb}'::int4), 8, '0')"))
            }),
        ),
        cell(
            "type_named",
            "ObjectType",
            "null",
            typed.prop_map(move |(n, name)| pair(int(n), format!("'{name}'"))),
        ),
        cell(
            "version",
            "OptimisticLockField",
            "0",
            any::<i32>().prop_map(move |n| pair(int(n.into()), format!("'{n}'::int4"))),
        ),
        cell(
            "deleted_at",
            "GCRecord",
            "null",
            any::<i32>().prop_map(move |mark| {
                pair(int(mark.into()), "'2023-11-14 22:13:20Z'::timestamptz")
            }),
        ),
        lookup(),
        flags(),
        parent(),
    ]
}

/// A look-up finds texts as the collation compares them.
fn lookup() -> BoxedStrategy<Cell> {
    let code = prop::sample::select(vec![
        ("MNT", "tugrik"),
        ("mnt ", "tugrik"),
        ("UsD", "dollar"),
        ("EUR", "other"),
        ("", "other"),
    ]);
    let named =
        code.prop_map(|(text, name)| pair(LegacyValue::Text(text.into()), format!("'{name}'")));
    cell("lookup_text", "Currency", "'tugrik'", named)
}

/// Bits in their order: one that is ignored, and all that nobody named as one.
fn flags() -> BoxedStrategy<Cell> {
    let bits = prop_oneof![any::<i32>(), -16_i32..16].prop_map(|bits| {
        let name = |mask: &str, name: &str| {
            format!("case when '{bits}'::int4 & {mask} <> 0 then '{name}' end")
        };
        let names = [name("1", "read"), name("2", "write"), name("(~7)", "other")];
        let sql = format!("array_remove(array[{}], null)", names.join(", "));
        pair(LegacyValue::Int(bits.into()), sql)
    });
    cell("flags_int", "Rights", "null", bits)
}

const PARENTS: [(&str, i64); 4] = [("UB", 1), ("UB", 11), ("UB1", 1), ("ӨВ", -3)];

/// The rows that references point to. Their names are their keys.
pub(super) fn parents() -> Vec<Vec<(&'static str, LegacyValue<'static>)>> {
    let row = |(a, n): (&'static str, i64)| {
        let name = LegacyValue::Text(format!("{a}/{n}").into());
        vec![("A", LegacyValue::Text(a.into())), ("N", LegacyValue::Int(n)), ("Name", name)]
    };
    PARENTS.map(row).to_vec()
}

/// A reference, spelled in another way than the parent's key, or partly NULL.
fn parent() -> BoxedStrategy<Cell> {
    let spelled = (prop::sample::select(PARENTS.to_vec()), any::<bool>(), 0_usize..3);
    let given = spelled.prop_map(|((a, n), lower, blanks)| {
        let text = if lower { a.to_lowercase() } else { a.to_owned() };
        let text = LegacyValue::Text(format!("{text}{}", " ".repeat(blanks)).into());
        Cell {
            target: "parent_id",
            values: vec![("ParentA", text), ("ParentN", LegacyValue::Int(n))],
            sql: format!("(select id from parents where name = '{a}/{n}')"),
        }
    });
    let partly = any::<bool>().prop_map(|first| {
        let text = LegacyValue::Text("UB".into());
        let half = if first { ("ParentA", text) } else { ("ParentN", LegacyValue::Int(1)) };
        Cell { target: "parent_id", values: vec![half], sql: "null".to_owned() }
    });
    prop_oneof![4 => given, 1 => partly].boxed()
}
