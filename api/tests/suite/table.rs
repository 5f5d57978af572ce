//! Every write route once, with rows and bodies of one owner: what other tests go through.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{Answer, Client},
    lab::{Lab, id},
};

/// A write as an owner's rows make it.
pub(crate) struct Write {
    pub(crate) method: &'static str,
    /// As `ROUTES` has it.
    pub(crate) route: &'static str,
    /// The kinds and numbers of the rows in the path.
    path: &'static [(u32, u32)],
    body: fn(u32) -> Value,
    /// Whether row level security lets an owner do it, on his own rows.
    pub(crate) owner_may: bool,
    pub(crate) needs_key: bool,
}

const fn write(
    method: &'static str,
    route: &'static str,
    path: &'static [(u32, u32)],
    body: fn(u32) -> Value,
) -> Write {
    Write { method, route, path, body, owner_may: false, needs_key: false }
}

impl Write {
    const fn by_owner(self) -> Self {
        Self { owner_may: true, ..self }
    }

    const fn with_key(self) -> Self {
        Self { needs_key: true, ..self }
    }

    /// The route's path to rows of this owner.
    pub(crate) fn path(&self, owner: u32) -> String {
        let mut ids = self.path.iter().map(|(kind, n)| id(*kind, owner, *n).to_string());
        let segments = self.route.split('/').map(|segment| {
            if segment.starts_with('{') { ids.next().expect("an id") } else { segment.to_owned() }
        });
        segments.collect::<Vec<_>>().join("/")
    }

    /// A body that is right.
    pub(crate) fn body(&self, owner: u32) -> Value {
        (self.body)(owner)
    }

    /// Sends any body to rows of this owner, with all headers that the route asks for.
    pub(crate) async fn send(&self, client: &Client, owner: u32, body: impl ToString) -> Answer {
        let key = Uuid::now_v7().to_string();
        let mut headers = vec![("content-type", "application/json")];
        if self.needs_key {
            headers.push(("idempotency-key", &key));
        }
        if self.method == "PATCH" {
            headers.push(("if-match", "*"));
        }
        client.send(self.method, &self.path(owner), &headers, body.to_string()).await
    }
}

/// In an order in which all of them succeed, one after the other, after [`prepare`].
pub(crate) const WRITES: [Write; 22] = [
    write("POST", "/v2/property-owners", &[], |_| json!({ "name": "Эзэн", "kind": "person" })),
    write("PATCH", "/v2/property-owners/{id}", &[(1, 1)], |_| json!({ "phone": "99112233" }))
        .by_owner(),
    write("POST", "/v2/properties", &[], |owner| {
        json!({ "name": "Төв", "propertyOwnerId": id(1, owner, 1), "color": "#ff008000" })
    }),
    write("PATCH", "/v2/properties/{id}", &[(3, 1)], |_| json!({ "totalArea": 12.5 })).by_owner(),
    write("POST", "/v2/spaces", &[], |owner| {
        json!({ "propertyId": id(3, owner, 1), "parentSpaceId": id(5, owner, 1), "code": "A1",
                "usage": "office", "kind": "space", "monthlyRate": "150000000" })
    })
    .by_owner(),
    write("PATCH", "/v2/spaces/{id}", &[(5, 1)], |_| json!({ "floorNo": -1 })).by_owner(),
    write("POST", "/v2/tenants", &[], |_| {
        json!({ "name": "Түрээслэгч", "kind": "company", "vatPayer": true, "creditLimit": "0" })
    }),
    write("PATCH", "/v2/tenants/{id}", &[(2, 1)], |_| json!({ "note": "а\nб" })),
    write("POST", "/v2/contracts", &[], |owner| {
        json!({ "companyNo": "0001", "tenantId": id(2, owner, 1), "startDate": "2024-02-29",
                "endDate": "2025-02-28", "currency": "MNT", "monthlyTotal": "1500000" })
    })
    .with_key(),
    write("PATCH", "/v2/contracts/{id}", &[(7, 1)], |_| json!({ "vatRate": 0.1 })).by_owner(),
    write("POST", "/v2/contracts/{id}/items", &[(7, 1)], |owner| {
        json!({ "spaceId": id(5, owner, 1), "unitPrice": "1.0000000001", "amount": "1500000" })
    })
    .with_key(),
    write("PATCH", "/v2/contracts/{id}/items/{part}", &[(7, 1), (8, 1)], |_| {
        json!({ "amount": "7" })
    }),
    write("POST", "/v2/contracts/{id}/transitions", &[(7, 1)], |_| json!({ "to": "active" }))
        .by_owner(),
    write("POST", "/v2/invoices", &[], |owner| {
        json!({ "contractId": id(7, owner, 1), "dueOn": "2024-03-31", "periodMonth": "2024-03-01",
                "vat": "10", "lines": [{ "description": "Түрээс", "amount": "100" },
                                        { "description": "Цахилгаан", "amount": "5" }] })
    })
    .by_owner()
    .with_key(),
    write("PATCH", "/v2/invoices/{id}", &[(9, 2)], |_| json!({ "vat": "5" })).by_owner(),
    write("POST", "/v2/invoices/{id}/lines", &[(9, 2)], |_| {
        json!({ "description": "Ус", "quantity": 1.5, "amount": "20" })
    })
    .by_owner()
    .with_key(),
    write("PATCH", "/v2/invoices/{id}/lines/{part}", &[(9, 2), (10, 2)], |_| {
        json!({ "amount": "1" })
    })
    .by_owner(),
    write("POST", "/v2/invoices/{id}/transitions", &[(9, 2)], |_| json!({ "to": "issued" }))
        .by_owner(),
    write("POST", "/v2/payments", &[], |owner| {
        json!({ "tenantId": id(2, owner, 1), "amount": "300", "method": "qpay",
                "allocations": [{ "invoiceId": id(9, owner, 1), "amount": "100" }] })
    })
    .with_key(),
    write("PATCH", "/v2/payments/{id}", &[(11, 1)], |_| json!({ "bankRef": "x-1" })),
    write("POST", "/v2/payments/{id}/allocations", &[(11, 3)], |owner| {
        json!({ "invoiceId": id(9, owner, 1), "amount": "100" })
    })
    .with_key(),
    write("DELETE", "/v2/payments/{id}/allocations/{part}", &[(11, 1), (12, 1)], |_| {
        Value::Null
    }),
];

/// Of each owner the second invoice is a draft, and the third payment has something left.
pub(crate) async fn prepare(lab: &Lab) {
    lab.sql(
        "update invoices set status = 'draft' where invoice_no = 'I2'; \
         update payments set amount = 900 where id in (select made.id(11, o, 3) \
         from generate_series(1, 3) as o)",
    )
    .await;
}

/// All rows of all migrated tables, what was audited and what the outbox holds.
pub(crate) async fn fingerprint(lab: &Lab) -> String {
    let mut sql = String::from("select concat_ws(' '");
    let tables = crate::lab::TABLES.iter().map(|(table, ..)| *table);
    for table in tables.chain(["audit_log", "outbox", "idempotency_keys"]) {
        sql.push_str(&format!(
            ", (select md5(string_agg(t::text, ' ' order by t.id)) from {table} as t)"
        ));
    }
    sql.push(')');
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&lab.admin).await.expect("a digest")
}
