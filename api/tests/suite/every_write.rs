//! What holds for every write: it leaves its trace, keeps to its owner's rows, and takes no
//! garbage. A route that is not in the table fails here.

use serde_json::{Value, json};

use crate::{
    lab::{Lab, id, owner, staff},
    table::{WRITES, fingerprint, prepare},
};

#[test]
fn every_write_route_is_in_the_table() {
    // Sessions and files have tests of their own.
    let others = [api::sessions::DOMAIN, "attachments"];
    let writes = api::domains::ROUTES.iter().filter(|route| route.method != "GET");
    let routes = writes.filter(|route| !others.contains(&route.domain));
    for route in routes {
        let written =
            |write: &crate::table::Write| (write.method, write.route) == (route.method, route.path);
        assert!(WRITES.iter().any(written), "{} {} has no test", route.method, route.path);
    }
}

#[tokio::test]
async fn staff_write_everywhere_and_leave_a_trace() {
    let lab = Lab::new().await;
    prepare(&lab).await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    for write in &WRITES {
        let traces = "select (select count(*) from audit_log), (select count(*) from outbox)";
        let before: (i64, i64) =
            sqlx::query_as(traces).fetch_one(&lab.admin).await.expect("counts");
        let answer = write.send(&client, 1, write.body(1)).await;
        let name = format!("{} {}: {}", write.method, write.route, answer.body);
        let after: (i64, i64) = sqlx::query_as(traces).fetch_one(&lab.admin).await.expect("counts");
        assert!(after.0 > before.0, "{name}");
        assert_eq!(after.1 - before.1, after.0 - before.0, "{name}");
        if write.method == "DELETE" {
            assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0), "{name}");
            continue;
        }
        let made = write.method == "POST" && !write.route.ends_with("transitions");
        assert_eq!(answer.status, if made { 201 } else { 200 }, "{name}");
        let location = answer.headers.get("location").map(|value| value.to_str().expect("ASCII"));
        assert_eq!(location.is_some(), made, "{name}");
        let path = write.path(1);
        let read = client.get(location.unwrap_or(path.trim_end_matches("/transitions"))).await;
        assert_eq!((read.status.as_u16(), &read.body), (200, &answer.body), "{name}");
        assert_eq!(read.headers["etag"], answer.headers["etag"], "{name}");
        if made {
            let id = answer.body["id"].as_str().expect("an id");
            assert_eq!(uuid::Uuid::try_parse(id).expect("a UUID").get_version_num(), 7);
        }
    }
    let moved: i64 = sqlx::query_scalar(
        "select count(*) from audit_log where (action = 'create') <> (before is null) \
         or (action = 'delete') <> (after is null) or user_id is null",
    )
    .fetch_one(&lab.admin)
    .await
    .expect("a count");
    assert_eq!(moved, 0, "each audit row has its before and after");
}

#[tokio::test]
async fn an_owner_writes_what_the_policies_allow_and_no_foreign_row() {
    let lab = Lab::new().await;
    prepare(&lab).await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    let before = fingerprint(&lab).await;
    for write in &WRITES {
        // Another's rows in the path and in the body; and in the body alone.
        let foreign = write.send(&client, 2, write.body(2)).await;
        let code = foreign.status.as_u16();
        assert!(
            [400, 403, 404].contains(&code),
            "{} {}: {}",
            write.method,
            write.route,
            foreign.body
        );
        let (own, other) = (write.body(1), write.body(2));
        if own != other {
            let answer = write.send(&client, 1, other).await;
            let reasons = answer.body["error"]["details"].to_string();
            let is_told = reasons.contains("refers to nothing that you can see");
            assert!(
                is_told && answer.status == 400 || answer.status == 403 && !write.owner_may,
                "{}: {}",
                write.route,
                answer.body
            );
        }
        if !write.owner_may {
            let answer = write.send(&client, 1, write.body(1)).await;
            answer.assert_error(403, "FORBIDDEN");
        }
    }
    assert_eq!(fingerprint(&lab).await, before, "something was written");
    for write in WRITES.iter().filter(|write| write.owner_may) {
        let answer = write.send(&client, 1, write.body(1)).await;
        assert!(answer.status.is_success(), "{} {}: {}", write.method, write.route, answer.body);
    }
}

#[tokio::test]
async fn a_foreign_row_is_one_that_is_not_there() {
    let lab = Lab::new().await;
    prepare(&lab).await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    for write in WRITES.iter().filter(|write| write.route.contains("{id}")) {
        let foreign = write.send(&client, 2, write.body(1)).await;
        let absent = write.send(&client, 9, write.body(1)).await;
        assert_eq!(
            (foreign.status, &foreign.body),
            (absent.status, &absent.body),
            "{}",
            write.route
        );
    }
    // A part is found under its own whole only.
    let staff = server.client(&lab.token(&staff()).await);
    for path in [
        format!("/v2/contracts/{}/items/{}", id(7, 1, 1), id(8, 1, 2)),
        format!("/v2/invoices/{}/lines/{}", id(9, 1, 1), id(10, 1, 2)),
        format!("/v2/payments/{}/allocations/{}", id(11, 1, 1), id(12, 1, 2)),
    ] {
        staff.get(&path).await.assert_error(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn nobody_writes_without_a_session_a_key_or_a_version() {
    let lab = Lab::new().await;
    prepare(&lab).await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    let before = fingerprint(&lab).await;
    for write in &WRITES {
        write.send(&server.client(""), 1, write.body(1)).await.assert_error(401, "FORBIDDEN");
        let json = ("content-type", "application/json");
        let send = |headers: Vec<(&'static str, &'static str)>| {
            let body = write.body(1).to_string();
            let client = &client;
            async move { client.send(write.method, &write.path(1), &headers, body).await }
        };
        if write.needs_key {
            let answer = send(vec![json]).await;
            answer.assert_error(400, "VALIDATION_ERROR");
            assert!(answer.body["error"]["details"]["idempotency-key"].is_string());
        }
        if write.method == "PATCH" {
            let answer = send(vec![json]).await;
            answer.assert_error(428, "VALIDATION_ERROR");
            assert!(answer.body["error"]["details"]["if-match"].is_string());
            send(vec![json, ("if-match", "\"77\"")]).await.assert_error(412, "CONFLICT");
        }
    }
    assert_eq!(fingerprint(&lab).await, before, "something was written");
}

/// Values that are wrong for some field, each of them JSON.
const JUNK: [&str; 18] = [
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "-1",
    "0.1",
    "1e308",
    "-9223372036854775809",
    "18446744073709551615",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "\"'; drop table tenants; --\"",
    "\"$1\"",
    "\"2024-02-30\"",
    "\"99999999999999999999\"",
    "\"NaN\"",
    "\"\u{202e}\u{feff}😀\"",
];

/// Bodies that are wrong as a whole.
const BROKEN: [&str; 10] = [
    "{\"to\": \"active\", \"to\": \"active\"}",
    "",
    "{",
    "null",
    "[]",
    "\"x\"",
    "{\"name\": \"\\ud800\"}",
    "{\"a\": 1e999}",
    "{\"id\": \"x\"}",
    "\u{feff}{}",
];

#[tokio::test]
async fn garbage_is_refused_in_the_envelope_and_never_a_failure_of_ours() {
    let lab = Lab::new().await;
    prepare(&lab).await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    let deep = format!("{{\"name\": {}1{}}}", "[".repeat(500), "]".repeat(500));
    for write in WRITES.iter().filter(|write| write.method != "DELETE") {
        let before = fingerprint(&lab).await;
        for broken in BROKEN.into_iter().chain([deep.as_str()]) {
            write.send(&client, 1, broken).await.assert_error(400, "VALIDATION_ERROR");
        }
        let mut unknown = write.body(1);
        unknown["version"] = json!(1);
        let answer = write.send(&client, 1, unknown).await;
        answer.assert_error(400, "VALIDATION_ERROR");
        assert_eq!(fingerprint(&lab).await, before, "{} was written", write.route);
        let body = write.body(1);
        for (field, junk) in body
            .as_object()
            .expect("an object")
            .keys()
            .flat_map(|field| JUNK.iter().map(move |junk| (field, *junk)))
        {
            let mut body = body.clone();
            body[field] = serde_json::from_str(junk).unwrap_or(Value::Null);
            let answer = write.send(&client, 1, body).await;
            // Some junk is a fine name.
            let is_told =
                answer.status.is_client_error() && answer.body["error"]["code"].is_string();
            assert!(
                answer.status.is_success() || is_told,
                "{} {field} = {junk}: {} {}",
                write.route,
                answer.status,
                answer.body
            );
        }
    }
}

#[tokio::test]
async fn a_write_that_needs_another_domain_is_refused_while_that_is_not_ours() {
    let lab = Lab::new().await;
    prepare(&lab).await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    lab.sql("update ficus.domain set state = 'rolled_back' where name = 'invoices'").await;
    let before = fingerprint(&lab).await;
    for write in WRITES.iter().filter(|write| write.route.starts_with("/v2/payments")) {
        let answer = write.send(&client, 1, write.body(1)).await;
        if write.method == "PATCH" {
            assert_eq!(answer.status, 200, "it changes no invoice: {}", answer.body);
            continue;
        }
        answer.assert_error(409, "CONFLICT");
        assert_eq!(answer.body["error"]["details"]["domain"], "invoices");
    }
    lab.sql(
        "update payments set bank_ref = null, version = 0 where bank_ref = 'x-1'; \
             set session_replication_role = replica; truncate audit_log, outbox",
    )
    .await;
    assert_eq!(fingerprint(&lab).await, before);
}

#[tokio::test]
async fn a_value_that_is_taken_is_told_by_its_field() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    // As a cutover seals it.
    lab.sql("create unique index tenants_register_no_key on tenants (register_no)").await;
    let body = json!({ "name": "x", "kind": "person", "vatPayer": false, "registerNo": "7" });
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let post = || client.send("POST", "/v2/tenants", &headers, body.to_string());
    assert_eq!(post().await.status, 201);
    let taken = post().await;
    taken.assert_error(409, "CONFLICT");
    assert_eq!(taken.body["error"]["details"], json!({ "registerNo": "is taken already" }));
    let path = format!("/v2/spaces/{}", id(5, 1, 1));
    let own = json!({ "parentSpaceId": id(5, 1, 1) }).to_string();
    client.send("PATCH", &path, &headers, own).await.assert_error(400, "VALIDATION_ERROR");
}
