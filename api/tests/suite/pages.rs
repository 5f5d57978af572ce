//! Lists: cursors, limits, old keys.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::lab::{Lab, id, owner, staff};

#[tokio::test]
async fn a_walk_is_stable_while_rows_are_added() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/v2/tenants?limit=2{cursor}")).await;
        seen.extend(page.ids());
        // One before everything that was read, one after.
        lab.sql(&format!(
            "insert into tenants (id) values ('{}')",
            Uuid::from_u128(seen.len() as u128)
        ))
        .await;
        if seen.len() < 6 {
            lab.sql(&format!("insert into tenants (id) values ('{}')", Uuid::now_v7())).await;
        }
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let distinct: BTreeSet<Uuid> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len(), "no row twice");
    assert!(seen.is_sorted());
    for (owner, n) in (1..=3).flat_map(|owner| (1..=3).map(move |n| (owner, n))) {
        assert!(distinct.contains(&id(2, owner, n)), "every row that was there all the time");
    }
    assert_eq!(seen.len(), 9 + 2, "and those that were added ahead");
}

#[tokio::test]
async fn a_cursor_is_good_for_its_list_and_its_caller() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    let page = client.get("/v2/contracts?limit=1").await;
    let cursor = page.body["nextCursor"].as_str().expect("a cursor").to_owned();
    let again = server.client(&lab.token(&owner(1)).await);
    let next = again.get(&format!("/v2/contracts?limit=1&cursor={cursor}")).await;
    assert_eq!(next.ids(), [id(7, 1, 2)], "a new session of the same user goes on");

    let refused = |answer: crate::client::Answer| {
        answer.assert_error(400, "VALIDATION_ERROR");
        assert!(answer.body["error"]["details"]["cursor"].is_string(), "{}", answer.body);
    };
    refused(client.get(&format!("/v2/invoices?cursor={cursor}")).await);
    refused(client.get(&format!("/v2/contracts/{}/items?cursor={cursor}", id(7, 1, 1))).await);
    for other in [owner(2), staff()] {
        let other = server.client(&lab.token(&other).await);
        refused(other.get(&format!("/v2/contracts?cursor={cursor}")).await);
    }
    for at in 0..cursor.len() {
        let mut tampered = cursor.clone().into_bytes();
        tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).expect("ASCII");
        refused(client.get(&format!("/v2/contracts?cursor={tampered}")).await);
    }
    refused(client.get("/v2/contracts?cursor=").await);
}

#[tokio::test]
async fn limits_have_bounds() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    for good in ["1", "200"] {
        assert_eq!(client.get(&format!("/v2/contracts?limit={good}")).await.status, 200);
    }
    for bad in ["0", "-1", "201", "1.5", "x", "", "99999999999999999999", "%27%3B--"] {
        let answer = client.get(&format!("/v2/contracts?limit={bad}")).await;
        answer.assert_error(400, "VALIDATION_ERROR");
        assert!(answer.body["error"]["details"]["limit"].is_string(), "{}", answer.body);
    }
    let twice = client.get("/v2/contracts?limit=1&limit=2").await;
    twice.assert_error(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn old_composite_keys_live_on() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    // A/2 is the contract's number: its slash is written ~1. Case and trailing blanks do not
    // count, as in the legacy collation.
    for text in ["C1/A~12", "c1/a~12", "C1%20%20/A~12%20", "C1%2FA~12"] {
        let found = client.get(&format!("/v2/contracts?legacy={text}")).await;
        assert_eq!(found.status, 200, "{text}: {}", found.body);
        assert_eq!(found.ids(), [id(7, 1, 2)], "{text}");
        assert!(found.body["nextCursor"].is_null());
    }
    // Another owner's contract and none at all are one answer, and never a neighbour's row.
    let foreign = client.get("/v2/contracts?legacy=C2/A~11").await;
    let unknown = client.get("/v2/contracts?legacy=C9/A~11").await;
    foreign.assert_error(404, "NOT_FOUND");
    assert_eq!(foreign.body, unknown.body);

    for text in ["C1", "C1/A/2", ""] {
        let answer = client.get(&format!("/v2/contracts?legacy={text}")).await;
        answer.assert_error(400, "VALIDATION_ERROR");
        let reason = answer.body["error"]["details"]["legacy"].as_str().expect("a reason");
        assert!(reason.contains("~1 for a /"), "{reason}");
    }
    client.get("/v2/contracts?legacy=C1/A~12&limit=5").await.assert_error(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn every_list_takes_old_keys() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    // A key of each entity as text, and the id that it has now.
    let rows = [
        ("property_owners", "/v2/property-owners", "7", id(1, 1, 1)),
        ("properties", "/v2/properties", "7d444840-9dc0-11d1-b245-5ffdce74fad2", id(3, 1, 1)),
        ("spaces", "/v2/spaces", "7", id(5, 1, 1)),
        ("tenants", "/v2/tenants", "7", id(2, 1, 1)),
        ("contract_items", "/v2/contracts/{7}/items", "C1/A~11/1", id(8, 1, 1)),
        ("invoices", "/v2/invoices", "7", id(9, 1, 1)),
        ("invoices", "/v2/contracts/{7}/invoices", "7", id(9, 1, 1)),
        ("invoice_lines", "/v2/invoices/{9}/lines", "7", id(10, 1, 1)),
        ("payments", "/v2/payments", "7d444840-9dc0-11d1-b245-5ffdce74fad2", id(11, 1, 1)),
        (
            "payment_allocations",
            "/v2/payments/{11}/allocations",
            "7d444840-9dc0-11d1-b245-5ffdce74fad2/7",
            id(12, 1, 1),
        ),
        (
            "properties",
            "/v2/property-owners/{1}/properties",
            "7d444840-9dc0-11d1-b245-5ffdce74fad2",
            id(3, 1, 1),
        ),
        ("spaces", "/v2/properties/{3}/spaces", "7", id(5, 1, 1)),
    ];
    let keys = crate::lab::legacy_keys();
    for (entity, list, text, id_now) in rows {
        let key = keys(entity, text).unwrap_or_else(|| panic!("{text} is no key of {entity}"));
        lab.sql(&format!(
            "insert into ficus.entity (name, domain, target_schema, target_table) \
             values ('{entity}', 'contracts', 'public', '{entity}') on conflict do nothing"
        ))
        .await;
        sqlx::query(
            "insert into ficus.key_map (entity, key, id) \
             select id, $1, $2 from ficus.entity where name = $3 on conflict do nothing",
        )
        .bind(key)
        .bind(id_now)
        .bind(entity)
        .execute(&lab.admin)
        .await
        .expect("a key");
        let list = match list.split_once(['{', '}']) {
            Some((before, rest)) => {
                let (kind, after) = rest.split_once('}').expect("a brace");
                format!("{before}{}{after}", id(kind.parse().expect("a kind"), 1, 1))
            }
            None => list.to_owned(),
        };
        let found = client.get(&format!("{list}?legacy={text}")).await;
        assert_eq!(found.status, 200, "{list} {text}: {}", found.body);
        assert_eq!(found.ids(), [id_now], "{list}");
        client.get(&format!("{list}?legacy=/")).await.assert_error(400, "VALIDATION_ERROR");
    }
}

/// XAF deletes softly: such a row is kept, and nobody sees it.
#[tokio::test]
async fn deleted_rows_are_not_there() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let clients = [staff(), owner(1)].map(async |identity| lab.token(&identity).await);
    let tables = [
        ("property_owners", "/v2/property-owners", 1),
        ("tenants", "/v2/tenants", 2),
        ("properties", "/v2/properties", 3),
        ("spaces", "/v2/spaces", 5),
        ("invoices", "/v2/invoices", 9),
        ("payments", "/v2/payments", 11),
        ("contract_attachments", "/v2/attachments", 18),
    ];
    let parents = [
        format!("/v2/invoices/{}/lines", id(9, 1, 2)),
        format!("/v2/contracts/{}/attachments", id(7, 1, 1)),
        format!("/v2/properties/{}/spaces", id(3, 1, 1)),
    ];
    for token in clients {
        let client = server.client(&token.await);
        for (table, path, kind) in tables {
            let gone = id(kind, 1, 1);
            let own = format!("{path}/{gone}");
            assert_eq!(client.get(&own).await.status, 200, "{own}");
            lab.sql(&format!("update {table} set deleted_at = now() where id = '{gone}'")).await;
            client.get(&own).await.assert_error(404, "NOT_FOUND");
            assert!(!client.ids(path, 200).await.contains(&gone), "{path}");
            let headers = [("content-type", "application/json"), ("if-match", "*")];
            let answer = client.send("PATCH", &own, &headers, "{\"name\":\"x\"}").await;
            assert!(matches!(answer.status.as_u16(), 404 | 405), "{own}: {}", answer.body);
            lab.sql(&format!("update {table} set deleted_at = null where id = '{gone}'")).await;
        }
        lab.sql("update invoice_lines set deleted_at = now()").await;
        lab.sql("update contract_attachments set deleted_at = now()").await;
        lab.sql("update spaces set deleted_at = now()").await;
        for path in &parents {
            assert!(client.ids(path, 200).await.is_empty(), "{path}");
        }
        for table in ["invoice_lines", "contract_attachments", "spaces"] {
            lab.sql(&format!("update {table} set deleted_at = null")).await;
        }
    }
}
