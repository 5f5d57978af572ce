use mapping::{
    catalog::{LegacyTable, SqlType},
    plan::SourceColumn,
    position::Lsn,
    value::{Decimal, LegacyValue},
};

use super::{range::Source, *};
use crate::{Error, KeyRange, LegacyRow};

/// A table as text: `key: name type` or `name type`, one a line.
struct Table {
    table: LegacyTable,
    columns: Vec<SourceColumn>,
    key: Vec<usize>,
}

fn table(name: &str, columns: &[(&str, &str)], key: &[usize]) -> Table {
    let column = |(index, (name, sql_type)): (usize, &(&str, &str))| {
        let sql_type: SqlType = sql_type.parse().unwrap();
        SourceColumn {
            name: (*name).to_owned(),
            lob: sql_type.is_lob(),
            sql_type,
            key: key.contains(&index),
        }
    };
    Table {
        table: LegacyTable::new("dbo", name),
        columns: columns.iter().enumerate().map(column).collect(),
        key: key.to_vec(),
    }
}

impl Table {
    fn source(&self) -> Source<'_> {
        let Self { table, columns, key } = self;
        Source { table, columns, key, condition: None }
    }
}

fn contract() -> Table {
    let columns = [
        ("CompanyNo", "nvarchar(4)"),
        ("ContractNo", "nvarchar(20)"),
        ("MonthlyTotal", "money"),
        ("Terms", "nvarchar(max)"),
    ];
    table("Contract", &columns, &[0, 1])
}

fn space_rate() -> Table {
    let columns = [
        ("RATE", "smallmoney"),
        ("SPACE_ID", "int"),
        ("RATE_CODE", "nvarchar(15)"),
        ("VALID_FROM", "datetime"),
    ];
    table("SpaceRate", &columns, &[1, 2, 3])
}

fn text(text: &'static str) -> LegacyValue<'static> {
    LegacyValue::Text(text.into())
}

/// 2024-02-29T13:14:15.1230000.
const MOMENT: i64 = 17_092_124_551_230_000;

fn rate_key(space: i64) -> LegacyRow {
    vec![LegacyValue::Int(space), text("A b "), LegacyValue::Timestamp(MOMENT)]
}

/// Too much to do for so few processors: an example.
const BUSY: &str =
    "SELECT COUNT(*) FROM sys.dm_exec_requests WHERE status = 'runnable' HAVING COUNT(*) > 8";

/// Text and parameters, one a line.
fn shown(statement: &Statement) -> String {
    let mut shown = statement.text.clone();
    for (index, parameter) in statement.parameters.iter().enumerate() {
        shown += &format!("\n@P{} = {parameter:?}", index + 1);
    }
    shown
}

/// Every statement that this crate sends, under the heading of the document.
fn every_statement() -> Vec<(&'static str, Statement)> {
    let (contract, rate) = (contract(), space_rate());
    let (contract, rate) = (contract.source(), rate.source());
    let key = |number| vec![text("AB12"), text(number)];
    let both = KeyRange { after: Some(key("00017")), up_to: Some(key("00042")) };
    let start = KeyRange { after: None, up_to: Some(rate_key(7)) };
    let end = KeyRange { after: Some(key("00017")), up_to: None };
    let unpaid = Condition::new("[MonthlyTotal] > 0 OR [Terms] IS NULL -- unpaid").unwrap();
    let token = uuid::Uuid::nil();
    let lsn = Lsn::from_bytes([0, 0, 0, 0x27, 0, 0, 1, 0xf4, 0, 3]);
    vec![
        ("Session options", Statement::options()),
        ("Session options", Statement::lock_timeout()),
        ("Session options", Statement::isolation(Isolation::ReadCommitted)),
        ("Session options", Statement::isolation(Isolation::Snapshot)),
        ("Catalogue", Statement::database()),
        ("Catalogue", Statement::columns()),
        ("Catalogue", Statement::keys()),
        ("Catalogue", Statement::unique_indexes()),
        ("Catalogue", Statement::foreign_keys()),
        ("Catalogue", Statement::sizes()),
        ("Catalogue", Statement::row_count(contract.table)),
        ("Catalogue", Statement::count(contract.table)),
        ("CDC", Statement::cdc_enabled()),
        ("CDC", Statement::capture_instances()),
        ("CDC", Statement::captured_columns()),
        ("CDC", Statement::max_lsn()),
        ("CDC", Statement::min_lsn("dbo_Contract")),
        ("CDC", Statement::last_change("dbo_Contract")),
        ("CDC", changed(contract, "dbo_Contract", (Lsn::ZERO, lsn), 100_000).unwrap()),
        ("CDC", changed(rate, "dbo_SpaceRate", (lsn, lsn), 7).unwrap()),
        ("Type names", Statement::object_types(&LegacyTable::new("dbo", "XPObjectType"))),
        ("Cutting a table into ranges", split(rate, 50_000).unwrap()),
        ("Reading a range", range(contract, &KeyRange::default(), None).unwrap()),
        ("Reading a range", range(contract, &both, None).unwrap()),
        ("Reading a range", range(rate, &start, None).unwrap()),
        ("Reading a range", range(contract, &end, Some(25_000)).unwrap()),
        ("What the operator wrote", range(contract.only(Some(&unpaid)), &end, None).unwrap()),
        ("What the operator wrote", split(contract.only(Some(&unpaid)), 50_000).unwrap()),
        ("What the operator wrote", Statement::operator(BUSY)),
        ("Reading a table without a key", heap(contract)),
        ("Rows by key", by_keys(contract, &[key("00017"), key("00042")]).unwrap()),
        ("Rows by key", by_keys(rate, &[rate_key(7)]).unwrap()),
        (
            "Rows by key, as text",
            texts_by_keys(contract, &contract.columns.iter().collect::<Vec<_>>(), &[key("00017")])
                .unwrap(),
        ),
        (
            "Rows by key, as text",
            texts_by_keys(rate, &rate.columns.iter().collect::<Vec<_>>(), &[rate_key(7)]).unwrap(),
        ),
        ("Totals", every_total()),
        ("The marker", Statement::put_marker(token)),
        ("The marker", Statement::find_marker(token)),
    ]
}

/// Each kind of total.
fn every_total() -> Statement {
    let total = |column: Option<&str>, kind| Total { column: column.map(str::to_owned), kind };
    let signed = || Some("SignedOn");
    let mut columns = contract().columns;
    columns.push(SourceColumn {
        name: "SignedOn".to_owned(),
        sql_type: SqlType::DateTime,
        lob: false,
        key: false,
    });
    let totals = [
        total(None, TotalKind::Count),
        total(Some("Terms"), TotalKind::Count),
        total(Some("MonthlyTotal"), TotalKind::Sum),
        total(signed(), TotalKind::Min(vec!["1753-01-01".to_owned(), "1900-01-01".to_owned()])),
        total(signed(), TotalKind::Max(Vec::new())),
    ];
    super::totals((&contract().table, &columns), &totals).unwrap()
}

#[test]
fn every_statement_is_as_agreed() {
    let shown: Vec<String> =
        every_statement().iter().map(|(_, statement)| shown(statement)).collect();
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn the_document_lists_every_statement() {
    let document = include_str!("../../../docs/statements.md");
    for (heading, statement) in every_statement() {
        let text = &statement.text;
        assert!(document.contains(&format!("## {heading}\n")), "docs/statements.md: ## {heading}");
        assert!(document.contains(&format!("```sql\n{text}\n```")), "docs/statements.md:\n{text}");
    }
}

#[test]
fn the_grants_are_as_agreed() {
    let table = |name: &str, instance: Option<&str>| {
        let name = LegacyTable::new("dbo", name);
        let mut table = mapping::catalog::Table::new(name, Vec::new(), Vec::new());
        table.capture_instance = instance.map(str::to_owned);
        table
    };
    let tables = [table("Contract", Some("dbo_Contract")), table("it's]", None)];
    let tables = tables.iter().collect();
    let grants = Grants { database: "Spacehub23", reader: "o'ficus", marker: "marker", tables };
    let script = grants.script();
    insta::assert_snapshot!(script);
    let document = include_str!("../../../docs/statements.md");
    for line in script.lines().filter(|line| line.contains("[Contract]") || line.contains("cdc")) {
        assert!(
            document.contains(line.split(" TO ").next().unwrap()),
            "docs/statements.md: {line}"
        );
    }
}

#[test]
fn names_are_quoted_so_that_they_stay_names() {
    let odd = table("a]b; DROP TABLE x--", &[("k]", "int"), ("Төлбөр ний", "money")], &[0]);
    let statement = range(odd.source(), &KeyRange::default(), None).unwrap();
    assert_eq!(
        statement.text,
        "SELECT [k]]], CAST([Төлбөр ний] AS decimal(19,4)) AS [Төлбөр ний] \
         FROM [dbo].[a]]b; DROP TABLE x--] ORDER BY [k]]]; SELECT ROWCOUNT_BIG() AS [rows]"
    );
}

#[test]
fn a_key_is_compared_in_its_columns_type() {
    let of = |sql_type: &str, value: LegacyValue<'static>| {
        let table = table("T", &[("k", sql_type)], &[0]);
        let after = KeyRange { after: Some(vec![value]), up_to: None };
        let statement = range(table.source(), &after, None).unwrap();
        let predicate = statement.text.split_once("[k] > ").unwrap().1;
        let predicate = predicate.split_once(" ORDER").unwrap().0.to_owned();
        format!("{sql_type}: {predicate} {:?}", statement.parameters[0])
    };
    let decimal = || LegacyValue::Decimal(Decimal { unscaled: -12_345, scale: 4 });
    let offset = LegacyValue::TimestampOffset { utc_ticks: MOMENT, offset_minutes: 480 };
    let shown = [
        of("tinyint", LegacyValue::Int(255)),
        of("int", LegacyValue::Int(-7)),
        of("int", LegacyValue::Int(i64::MAX)),
        of("bigint", LegacyValue::Int(7)),
        of("bit", LegacyValue::Bool(true)),
        of("decimal(28,10)", decimal()),
        of("money", decimal()),
        of("float", LegacyValue::Float(0.1)),
        of("nvarchar(20)", text("Бат ")),
        of("varchar(20)", text("x")),
        of("nchar(3)", text("A  ")),
        of("uniqueidentifier", LegacyValue::Guid(uuid::Uuid::nil())),
        of("varbinary(8)", LegacyValue::Bytes(vec![1, 2].into())),
        of("date", LegacyValue::Date(0)),
        of("time(3)", LegacyValue::Time(10)),
        of("datetime", LegacyValue::Timestamp(MOMENT)),
        of("smalldatetime", LegacyValue::Timestamp(MOMENT)),
        of("datetime2(0)", LegacyValue::Timestamp(MOMENT)),
        of("datetime2(7)", LegacyValue::Timestamp(MOMENT + 7)),
        of("datetime2(7)", LegacyValue::Timestamp(-621_355_968_000_000_000)),
        of("datetimeoffset(7)", offset),
    ];
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_table_that_cant_be_walked_is_refused() {
    let none = table("T", &[("k", "int")], &[]);
    assert!(matches!(split(none.source(), 9), Err(Error::NoKey { .. })));
    let xml = table("T", &[("k", "xml")], &[0]);
    assert!(matches!(split(xml.source(), 9), Err(Error::KeyType { .. })));
    let contract = contract();
    for key in [vec![text("AB12")], vec![text("AB12"), LegacyValue::Null]] {
        let wrong = KeyRange { after: Some(key), up_to: None };
        assert!(matches!(range(contract.source(), &wrong, None), Err(Error::KeyShape { .. })));
    }
}
