//! A small legacy database, its mapping, and its events as Debezium writes them.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use cdc_consumer::{
    Settings,
    batch::{Batcher, Incoming, Owned},
};
use mapping::{
    catalog::{Catalog, Column, LegacyTable, Table},
    file::MappingFile,
    plan::Plan,
};

const MAPPING: &str = r#"
domain = "contracts"
object_types = "dbo.XPObjectType"

[[ignore]]
table = "dbo.ModuleInfo"
reason = "XPO's own"

[[entity]]
name = "contracts"
from = "dbo.Contract"

[entity.columns]
company_no = { from = "CompanyNo", as = "int4" }
contract_no = { from = "ContractNo", as = "text", trim = "end" }
monthly_total = { from = "MonthlyTotal", as = "money", currency = "MNT", digits = 2 }
terms = { from = "Terms", as = "text", lob = "inline" }
status = { from = "Status", as = "int4" }
secret = { from = "Secret", as = "text", lob = "inline", sensitive = true }

[entity.leave_out]
Photo = "moves with the attachments"

[[entity]]
name = "payments"
from = "dbo.Payment"

[entity.columns]
number = { from = "ID", as = "int4" }
amount = { from = "Amount", as = "int4" }
"#;

const SCHEMA: &str = "\
dbo.Contract: CompanyNo int key; ContractNo nvarchar(20) key; MonthlyTotal money; \
Terms nvarchar(max); Status int; Secret nvarchar(max); Photo varbinary(max)
dbo.ModuleInfo: ID int key; Version nvarchar(100)
dbo.Payment: ID int key; Amount int
dbo.XPObjectType: OID int key; TypeName nvarchar(254)";

fn table(line: &str) -> Table {
    let (name, columns) = line.split_once(": ").unwrap();
    let (schema, name) = name.split_once('.').unwrap();
    let mut primary_key = Vec::new();
    let columns = columns.split("; ").map(|column| {
        let mut words = column.split(' ');
        let name = words.next().unwrap().to_owned();
        let sql_type = words.next().unwrap().parse().unwrap();
        let key = words.next() == Some("key");
        if key {
            primary_key.push(name.clone());
        }
        let collation = Some("Cyrillic_General_CI_AS".to_owned());
        Column { name, sql_type, nullable: !key, collation, computed: false, identity: false }
    });
    let columns = columns.collect();
    Table::new(LegacyTable::new(schema, name), columns, primary_key)
}

pub(crate) fn plan() -> Arc<Plan> {
    let catalog = Catalog {
        database: "Db".into(),
        collation: "Cyrillic_General_CI_AS".into(),
        tables: SCHEMA.lines().map(table).collect(),
    };
    let file = MappingFile { name: "contracts.toml".into(), text: MAPPING.into() };
    let plan = Plan::compile(&[file], &catalog).unwrap_or_else(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(|m| format!("{m} ({})", m.help)).collect();
        panic!("{}", lines.join("\n"))
    });
    Arc::new(plan)
}

pub(crate) const TOPIC: &str = "p.Db.dbo.Contract";
pub(crate) const PAYMENTS: &str = "p.Db.dbo.Payment";

/// A contract as the legacy database holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contract {
    pub(crate) company: i64,
    pub(crate) number: String,
    pub(crate) status: i64,
    pub(crate) terms: Option<String>,
}

impl Contract {
    pub(crate) fn new(number: &str, status: i64, terms: Option<&str>) -> Self {
        Self { company: 1, number: number.into(), status, terms: terms.map(str::to_owned) }
    }

    pub(crate) fn key(&self) -> String {
        format!(r#"{{"CompanyNo":{},"ContractNo":"{}"}}"#, self.company, self.number)
    }

    /// The row, with its LOBs or as an update writes it that left them alone.
    pub(crate) fn row(&self, lobs: bool) -> String {
        let terms = match &self.terms {
            Some(terms) if lobs => serde_json::to_string(terms).unwrap(),
            _ => "null".into(),
        };
        let secret = if lobs { "\"s3cret\"" } else { "null" };
        format!(
            // 12.3400 as money: unscaled 123400.
            r#"{{"CompanyNo":{},"ContractNo":"{}","MonthlyTotal":"AeII","Terms":{terms},"Status":{},"Secret":{secret},"Photo":null}}"#,
            self.company, self.number, self.status,
        )
    }
}

/// Where an event is in the legacy log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) lsn: u32,
    /// `transaction.total_order`, where the connector gives it.
    pub(crate) order: Option<u64>,
}

impl At {
    pub(crate) fn lsn(self) -> String {
        format!("00000027:{:08x}:0001", self.lsn)
    }
}

/// An envelope.
pub(crate) fn event(
    table: &str,
    op: &str,
    before: Option<&str>,
    after: Option<&str>,
    at: At,
) -> String {
    let mut text = String::new();
    let (before, after) = (before.unwrap_or("null"), after.unwrap_or("null"));
    let lsn = at.lsn();
    write!(
        text,
        r#"{{"before":{before},"after":{after},"source":{{"version":"3.6.1.Final","connector":"sqlserver","name":"p","ts_ms":1753142401037,"snapshot":"false","db":"Db","sequence":null,"schema":"dbo","table":"{table}","change_lsn":"{lsn}","commit_lsn":"{lsn}","event_serial_no":1}},"transaction":"#
    )
    .unwrap();
    match at.order {
        Some(order) => {
            write!(
                text,
                r#"{{"id":"{lsn}","total_order":{order},"data_collection_order":{order}}}"#
            )
            .unwrap();
        }
        None => text.push_str("null"),
    }
    write!(text, r#","op":"{op}","ts_ms":1795244872827}}"#).unwrap();
    text
}

/// A message of a partition's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
}

impl Record {
    pub(crate) fn insert(row: &Contract, at: At) -> Self {
        Self::data(row, event("Contract", "c", None, Some(&row.row(true)), at))
    }

    pub(crate) fn update(row: &Contract, lobs: bool, at: At) -> Self {
        let image = row.row(lobs);
        Self::data(row, event("Contract", "u", Some(&image), Some(&image), at))
    }

    pub(crate) fn read(row: &Contract, at: At) -> Self {
        Self::data(row, event("Contract", "r", None, Some(&row.row(true)), at))
    }

    pub(crate) fn delete(row: &Contract, at: At) -> Self {
        Self::data(row, event("Contract", "d", Some(&row.row(false)), None, at))
    }

    /// A payment, as inserted.
    pub(crate) fn payment(id: u32, amount: i64, at: At) -> Self {
        let row = format!(r#"{{"ID":{id},"Amount":{amount}}}"#);
        let value = event("Payment", "c", None, Some(&row), at);
        Self { key: Some(format!(r#"{{"ID":{id}}}"#)), value: Some(value) }
    }

    pub(crate) fn tombstone(row: &Contract) -> Self {
        Self { key: Some(row.key()), value: None }
    }

    fn data(row: &Contract, value: String) -> Self {
        Self { key: Some(row.key()), value: Some(value) }
    }

    pub(crate) fn of(value: &str) -> Self {
        Self { key: None, value: Some(value.into()) }
    }

    pub(crate) fn incoming<'a>(
        &'a self,
        topic: &'a str,
        partition: i32,
        offset: i64,
    ) -> Incoming<'a> {
        Incoming {
            topic,
            partition,
            offset,
            key: self.key.as_deref().map(str::as_bytes),
            value: self.value.as_deref().map(str::as_bytes),
            headers: &[],
            timestamp_ms: None,
            fingerprint: None,
        }
    }
}

pub(crate) fn settings() -> Settings {
    Settings::new("unused", "g", "p")
}

/// A batcher that owns partition 0 of the topic from offset 0 on.
pub(crate) fn batcher() -> Batcher {
    let mut batcher = Batcher::new(&settings(), plan(), BTreeMap::new());
    batcher.assign(vec![owned(TOPIC, 0)]);
    batcher
}

pub(crate) fn owned(topic: &str, partition: i32) -> Owned {
    Owned {
        topic: topic.into(),
        partition,
        epoch: 1,
        expected: 0,
        next: 0,
        first: false,
        commit_lsn: None,
    }
}

pub(crate) fn push_all(batcher: &mut Batcher, topic: &str, records: &[Record]) {
    for (offset, record) in (0..).zip(records) {
        batcher.push(&record.incoming(topic, 0, offset), 1_700_000_000_000_000).unwrap();
    }
}
