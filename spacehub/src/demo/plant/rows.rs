//! The planted rows, table by table.

use std::borrow::Cow;

use mapping::value::LegacyValue;

use super::{FIRST_OID, Planting, planted_guid};
use crate::demo::{
    attachments::{self, Storage},
    types,
    value::{
        self, NULL, Value, bytes, date, decimal10, flag, float, guid, int, midnight, moment, money,
        number, ten_thousandths, text,
    },
};

type Defect = (&'static [usize], &'static str, &'static str, &'static str);

/// Half a mungo.
const INEXACT: i64 = 1_234_550;

pub(super) fn all() -> Vec<Planting> {
    let mut rows = Vec::new();
    tenants(&mut rows);
    properties(&mut rows);
    spaces(&mut rows);
    contracts(&mut rows);
    invoices(&mut rows);
    lines(&mut rows);
    payments(&mut rows);
    users(&mut rows);
    files(&mut rows);
    rows
}

fn add(
    rows: &mut Vec<Planting>,
    table: &'static str,
    row: Vec<Value>,
    defect: impl Into<Option<Defect>>,
) {
    rows.push(Planting { table, row, defect: defect.into() });
}

fn oid(number_of: u64) -> Value {
    number(FIRST_OID + number_of)
}

fn broken(known: &'static str) -> Value {
    LegacyValue::BrokenText(Cow::Borrowed(known))
}

fn some_day() -> i64 {
    value::day(2021, 6, 15)
}

fn tenants(rows: &mut Vec<Planting>) {
    let party = |n: u64, name: Value, kind: i64| {
        vec![
            oid(n),
            name,
            text(format!("ХОГ{n:05}")),
            NULL,
            NULL,
            int(kind),
            moment(some_day(), 36_000),
            NULL,
            int(0),
            NULL,
            int(types::TENANT),
        ]
    };
    let leaf = |n: u64, limit: Value| vec![oid(n), limit, flag(true)];
    let surrogate =
        (&[0][..], "Name", "text.surrogate", "half of an emoji, cut off at nvarchar(100)");
    add(rows, "Party", party(1, broken("Хагас \u{fffd}"), 0), surrogate);
    add(rows, "Tenant", leaf(1, NULL), None);
    let kind = (&[0][..], "Kind", "enum.unknown", "a kind that the enum never had");
    add(rows, "Party", party(2, text("Есдүгээр төрөл"), 9), kind);
    add(rows, "Tenant", leaf(2, NULL), None);
    add(rows, "Party", party(3, text("Хагас мөнгө"), 1), None);
    let limit = (&[0][..], "CreditLimit", "money.inexact", "half a mungo");
    add(rows, "Tenant", leaf(3, ten_thousandths(INEXACT)), limit);
}

fn properties(rows: &mut Vec<Planting>) {
    let property = |n: u64, code: &'static str, opens_at: f64| {
        vec![
            guid(planted_guid(n)),
            text(code),
            text("Буруу төв"),
            NULL,
            float(100.0),
            NULL,
            NULL,
            NULL,
            float(opens_at),
            NULL,
            int(0),
            NULL,
        ]
    };
    let nul = (&[0][..], "Code", "text.nul", "U+0000 inside a code");
    add(rows, "Property", property(1, "П\u{0}Б", 32_400.0), nul);
    let seconds =
        (&[0][..], "OpensAt", "seconds.inexact", "a quarter of a second past half past eight");
    add(rows, "Property", property(2, "П-буруу", 30_600.25), seconds);
}

fn spaces(rows: &mut Vec<Planting>) {
    let space = |n: u64, rate: Value, type_number: Value| {
        vec![
            oid(n),
            NULL,
            NULL,
            text(format!("ХОГ-{n}")),
            int(1),
            float(10.0),
            rate,
            text("А"),
            int(0),
            NULL,
            NULL,
            NULL,
            int(0),
            NULL,
            type_number,
        ]
    };
    let key: &'static [usize] = &[0];
    let rate = (key, "MonthlyRate", "money.inexact", "half a mungo");
    add(rows, "Space", space(1, ten_thousandths(INEXACT), int(types::SPACE)), rate);
    let kiosk = (key, "ObjectType", "type.unknown", "a class that was renamed: Kiosk");
    add(rows, "Space", space(2, money(100), int(types::KIOSK)), kiosk);
    let unknown = (key, "ObjectType", "type.unknown", "a number that XPObjectType does not have");
    add(rows, "Space", space(3, money(100), int(types::UNKNOWN)), unknown);
    let none = (key, "ObjectType", "null", "a row written by hand, without a type");
    add(rows, "Space", space(4, money(100), NULL), none);
    let from = midnight(some_day());
    let rate = (&[0, 1, 2][..], "RATE", "money.inexact", "half a mungo");
    add(rows, "SpaceRate", vec![oid(1), text("БУРУУ"), from, ten_thousandths(INEXACT)], rate);
}

/// The planted contracts' company.
pub(crate) const COMPANY: &str = "ХОГ1";

fn contracts(rows: &mut Vec<Planting>) {
    let contract = |n: &'static str, signed: Value, status: i64| {
        vec![
            text(COMPANY),
            text(n),
            NULL,
            signed,
            midnight(some_day()),
            NULL,
            int(status),
            text("MNT"),
            money(1_000_000),
            float(0.1),
            text("Зөрчилтэй гэрээ."),
            int(3),
        ]
    };
    let status = (&[0, 1][..], "Status", "enum.unknown", "a status that the enum never had");
    add(rows, "Contract", contract("Х-2021/000001", moment(some_day(), 36_000), 42), status);
    let gap = (&[0, 1][..], "SignedOn", "zone.gap", "signed in the hour that summer time skipped");
    let skipped = moment(value::day(2016, 3, 26), 2 * 3600 + 900);
    add(rows, "Contract", contract("Х-2021/000002", skipped, 1), gap);

    let item = |contract: &'static str, line: u64, amount: Value| {
        vec![
            text(COMPANY),
            text(contract),
            number(line),
            NULL,
            midnight(some_day()),
            NULL,
            float(1.5),
            decimal10(123_456_789),
            amount,
            text("Зөрчилтэй мөр"),
        ]
    };
    let amount = (&[0, 1, 2][..], "Amount", "money.inexact", "half a mungo");
    add(rows, "ContractItem", item("Х-2021/000001", 1, ten_thousandths(INEXACT)), amount);
    // The mapping allows these: no constraint was ever there.
    add(rows, "ContractItem", item("Х-1999/000777", 1, money(500)), None);
    add(rows, "ContractItem", item("Х-1999/000777", 2, money(700)), None);
}

fn invoice(n: u64, total: Value, paid: Value, status: i64, due: Value) -> Vec<Value> {
    vec![
        oid(n),
        text(format!("ХОГ-{n:07}")),
        NULL,
        NULL,
        moment(some_day(), 36_000),
        due,
        date(some_day()),
        money(0),
        money(0),
        total,
        paid,
        int(status),
        int(0),
        NULL,
    ]
}

fn invoices(rows: &mut Vec<Planting>) {
    let key: &'static [usize] = &[0];
    let due = || midnight(some_day());
    let sum = (key, "PaidTotal", "money.inexact", "a float that is 0.1 + 0.2");
    add(rows, "Invoice", invoice(1, money(30), float(0.1 + 0.2), 3, due()), sum);
    let third = (key, "PaidTotal", "money.inexact", "a float with a third digit: 99.995");
    add(rows, "Invoice", invoice(2, money(10_000), float(99.995), 2, due()), third);
    let total = (key, "Total", "money.inexact", "half a mungo");
    add(rows, "Invoice", invoice(3, ten_thousandths(INEXACT), float(0.0), 1, due()), total);
    let status = (key, "Status", "enum.unknown", "a status below the enum");
    add(rows, "Invoice", invoice(4, money(100), float(0.0), -1, due()), status);
    let noon = (key, "DueOn", "date.time", "due at noon: a day that is no midnight");
    add(rows, "Invoice", invoice(5, money(100), float(0.0), 1, moment(some_day(), 43_200)), noon);
}

fn lines(rows: &mut Vec<Planting>) {
    let line = |n: u64, invoice: Value, description: Value, amount: Value| {
        vec![oid(n), invoice, number(n), description, float(1.0), money(100), amount, int(0), NULL]
    };
    let key: &'static [usize] = &[0];
    let amount = (key, "Amount", "money.inexact", "half a mungo");
    add(rows, "InvoiceLine", line(1, number(1), text("Ус"), ten_thousandths(INEXACT)), amount);
    let surrogate = (key, "Description", "text.surrogate", "half of an emoji");
    add(rows, "InvoiceLine", line(2, number(1), broken("Ус \u{fffd}"), money(100)), surrogate);
    let nul = (key, "Description", "text.nul", "U+0000 at the end of a text");
    add(rows, "InvoiceLine", line(3, number(1), text("Ус\u{0}"), money(100)), nul);
    add(rows, "InvoiceLine", line(4, oid(900), text("Өнчин мөр"), money(100)), None);
    add(rows, "InvoiceLine", line(5, oid(900), text("Өнчин мөр"), money(200)), None);
}

fn payments(rows: &mut Vec<Planting>) {
    let payment = |n: u64, method: i64, reference: &'static str, message: Value| {
        vec![
            guid(planted_guid(n)),
            NULL,
            moment(some_day(), 36_000),
            midnight(some_day()),
            money(100),
            int(method),
            text(reference),
            message,
            int(0),
            NULL,
        ]
    };
    let key: &'static [usize] = &[0];
    let method = (key, "Method", "enum.unknown", "a method of payment that was never released");
    add(rows, "Payment", payment(1, 77, "1", NULL), method);
    let nul = (key, "BankRef", "text.nul", "U+0000 padding of a bank's file");
    add(rows, "Payment", payment(2, 1, "000\u{0}\u{0}", NULL), nul);
    let message = (key, "RawMessage", "text.nul", "U+0000 in a bank's message");
    add(rows, "Payment", payment(3, 1, "3", text("{\"a\":\"\u{0}\"}")), message);
    let amount = (&[0, 1][..], "Amount", "money.inexact", "half a mungo");
    let allocation = vec![guid(planted_guid(1)), oid(1), ten_thousandths(INEXACT)];
    add(rows, "PaymentAllocation", allocation, amount);
}

fn users(rows: &mut Vec<Planting>) {
    let user = |n: u64, name: &'static str, type_number: i64| {
        vec![
            guid(planted_guid(n)),
            NULL,
            flag(false),
            text(name),
            flag(false),
            int(0),
            NULL,
            int(type_number),
            int(0),
            NULL,
            NULL,
        ]
    };
    let nul = (&[0][..], "UserName", "text.nul", "U+0000 inside a user's name");
    add(rows, "PermissionPolicyUser", user(1, "хэн\u{0}нэгэн", types::APPLICATION_USER), nul);
    let unknown =
        (&[0][..], "ObjectType", "type.unknown", "a number that XPObjectType does not have");
    add(rows, "PermissionPolicyUser", user(2, "Хэнч биш", types::UNKNOWN), unknown);
}

fn files(rows: &mut Vec<Planting>) {
    let content = "Гэрээний хавсралт. ".repeat(20).into_bytes();
    let file = |n: u64, size: Value, stored: Value| {
        vec![guid(planted_guid(n)), size, text("Худал.pdf"), stored, int(0), NULL]
    };
    let key: &'static [usize] = &[0];
    let lying = (key, "Content", "file.length", "a length column that lies");
    add(rows, "FileData", file(1, int(17), attachments::store(Storage::Zlib, &content)), lying);
    let cut = (key, "Content", "file.length", "a compressed file that was cut off");
    let mut half = match attachments::store(Storage::Zlib, &content) {
        LegacyValue::Bytes(stored) => stored.into_owned(),
        _ => Vec::new(),
    };
    half.truncate(half.len() / 2);
    add(rows, "FileData", file(2, attachments::length(&content), bytes(half)), cut);
    let kind = (key, "DocKind", "enum.unknown", "a kind that the enum never had");
    let attachment = vec![
        guid(planted_guid(1)),
        NULL,
        NULL,
        NULL,
        int(12),
        NULL,
        moment(some_day(), 36_000),
        int(0),
        NULL,
    ];
    add(rows, "ContractAttachment", attachment, kind);
}
