//! Row level security: every table, every endpoint, both ways.

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row as _};
use uuid::Uuid;

use crate::lab::{Lab, TABLES, id, owner, staff};

async fn as_owner(connection: &mut PgConnection, number: u32) {
    sqlx::query(
        "select set_config('app.role', 'owner', true), \
         set_config('app.owner_id', $1, true), set_config('app.user_id', $2, true)",
    )
    .bind(id(1, number, 1).to_string())
    .bind(id(13, number, 1).to_string())
    .execute(connection)
    .await
    .expect("the settings");
}

async fn ids(connection: &mut PgConnection, table: &str) -> Vec<Uuid> {
    let sql = format!("select id from {table} order by id");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.expect("rows");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn nobody_sees_nothing() {
    let lab = Lab::new().await;
    let pool = lab.api_pool(1).await;
    lab.token(&owner(1)).await;
    let settings = [
        "select 1",
        "select set_config('app.role', 'owner', true)",
        "select set_config('app.role', 'owner', true), set_config('app.owner_id', '', true)",
        "select set_config('app.role', 'admin', true)",
        "select set_config('app.role', 'STAFF', true)",
    ];
    let kept = ["sessions", "idempotency_keys", "devices", "audit_log"];
    for setting in settings {
        let mut transaction = pool.begin().await.expect("a transaction");
        sqlx::query(setting).execute(&mut *transaction).await.expect("a setting");
        for table in TABLES.iter().map(|(table, ..)| *table).chain(kept) {
            if table == "roles" && setting.contains("owner") {
                continue; // names of roles are for everybody who is somebody
            }
            assert!(ids(&mut transaction, table).await.is_empty(), "{table} after {setting}");
        }
    }
}

#[tokio::test]
async fn an_owner_sees_exactly_his_rows_by_direct_sql() {
    let lab = Lab::new().await;
    let pool = lab.api_pool(1).await;
    for number in [1, 2] {
        let mut transaction = pool.begin().await.expect("a transaction");
        as_owner(&mut transaction, number).await;
        for (table, kind, count) in TABLES.into_iter().filter(|(table, ..)| *table != "roles") {
            let his: Vec<Uuid> = (1..=count).map(|n| id(kind, number, n)).collect();
            assert_eq!(ids(&mut transaction, table).await, his, "{table}");
        }
    }
}

#[tokio::test]
async fn no_write_crosses_from_one_owner_to_another() {
    let lab = Lab::new().await;
    let pool = lab.api_pool(1).await;
    for (table, kind, _) in TABLES {
        for statement in [
            format!("update {table} set id = id where id = $1"),
            format!("delete from {table} where id = $1"),
        ] {
            let mut transaction = pool.begin().await.expect("a transaction");
            as_owner(&mut transaction, 1).await;
            let foreign = sqlx::query(AssertSqlSafe(statement.clone())).bind(id(kind, 2, 1));
            match foreign.execute(&mut *transaction).await {
                Ok(done) => assert_eq!(done.rows_affected(), 0, "{statement}"),
                Err(error) => assert_refused(&error, &statement),
            }
        }
    }
    let (mine, his) = (id(5, 1, 1), id(3, 2, 1));
    for statement in [
        format!("update spaces set property_id = '{his}' where id = '{mine}'"),
        format!(
            "insert into spaces (id, property_id, kind) values (gen_random_uuid(), '{his}', 'space')"
        ),
        format!("update contracts set id = '{}' where id = '{}'", Uuid::nil(), id(7, 1, 1)),
        format!(
            "insert into invoices (id, contract_id) values (gen_random_uuid(), '{}')",
            id(7, 2, 1)
        ),
        format!("update invoices set contract_id = '{}' where id = '{}'", id(7, 2, 1), id(9, 1, 1)),
        format!(
            "insert into invoice_lines (id, invoice_id) values (gen_random_uuid(), '{}')",
            id(9, 2, 1)
        ),
        format!("insert into payments (id) values ('{}')", Uuid::nil()),
        format!("insert into contracts (id) values ('{}')", Uuid::nil()),
        format!(
            "insert into property_owner_links (id, property_owner_id, property_id) values (gen_random_uuid(), '{}', '{his}')",
            id(1, 1, 1)
        ),
        format!(
            "insert into contract_items (id, contract_id, space_id) values (gen_random_uuid(), '{}', '{mine}')",
            id(7, 2, 1)
        ),
        format!("update contract_items set space_id = '{mine}' where id = '{}'", id(8, 2, 1)),
        "truncate contracts".to_owned(),
        "alter table contracts disable row level security".to_owned(),
    ] {
        let mut transaction = pool.begin().await.expect("a transaction");
        as_owner(&mut transaction, 1).await;
        match sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut *transaction).await {
            Ok(done) => assert_eq!(done.rows_affected(), 0, "{statement}"),
            Err(error) => assert_refused(&error, &statement),
        }
    }
}

fn assert_refused(error: &sqlx::Error, statement: &str) {
    let state = error.as_database_error().and_then(|error| error.code());
    assert_eq!(state.as_deref(), Some("42501"), "{statement}: {error}");
}

/// Lists, single rows and rows beneath a parent: (list, kind of its rows, kind of its parent).
const LISTS: [(&str, u32, Option<u32>); 15] = [
    ("/v2/property-owners", 1, None),
    ("/v2/property-owners/{id}/properties", 3, Some(1)),
    ("/v2/properties", 3, None),
    ("/v2/properties/{id}/spaces", 5, Some(3)),
    ("/v2/spaces", 5, None),
    ("/v2/tenants", 2, None),
    ("/v2/contracts", 7, None),
    ("/v2/contracts/{id}/items", 8, Some(7)),
    ("/v2/contracts/{id}/invoices", 9, Some(7)),
    ("/v2/invoices", 9, None),
    ("/v2/invoices/{id}/lines", 10, Some(9)),
    ("/v2/payments", 11, None),
    ("/v2/payments/{id}/allocations", 12, Some(11)),
    ("/v2/attachments", 18, None),
    ("/v2/contracts/{id}/attachments", 18, Some(7)),
];

#[tokio::test]
async fn an_owner_sees_exactly_his_rows_at_every_endpoint() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    for (path, kind, parent) in LISTS {
        let count = TABLES.iter().find(|(_, k, _)| *k == kind).expect("a table").2;
        match parent {
            None => {
                let his: Vec<Uuid> = (1..=count).map(|n| id(kind, 1, n)).collect();
                assert_eq!(client.ids(path, 2).await, his, "{path}");
                for n in 1..=count {
                    let mine = client.get(&format!("{path}/{}", id(kind, 1, n))).await;
                    assert_eq!(mine.status, 200, "{path}: {}", mine.body);
                    assert_eq!(mine.headers["etag"], "\"0\"", "{path}");
                }
                let foreign = client.get(&format!("{path}/{}", id(kind, 2, 1))).await;
                foreign.assert_error(404, "NOT_FOUND");
            }
            Some(parent) => {
                let seen =
                    client.ids(&path.replace("{id}", &id(parent, 1, 1).to_string()), 2).await;
                let all = if parent == 1 { 3 } else { 1 };
                let his: Vec<Uuid> = (1..=all).map(|n| id(kind, 1, n)).collect();
                assert_eq!(seen, his, "{path}");
                let foreign = path.replace("{id}", &id(parent, 2, 1).to_string());
                client.get(&foreign).await.assert_error(404, "NOT_FOUND");
            }
        }
    }
    for (list, kind, parent) in LISTS {
        // Rows that are parts of another one have an address below it.
        let (Some(parent), 8 | 10 | 12) = (parent, kind) else { continue };
        let path = |owner| {
            let whole = id(parent, owner, 1).to_string();
            format!("{}/{}", list.replace("{id}", &whole), id(kind, owner, 1))
        };
        let mine = client.get(&path(1)).await;
        assert_eq!(mine.status, 200, "{list}: {}", mine.body);
        assert_eq!(mine.headers["etag"], "\"0\"", "{list}");
        client.get(&path(2)).await.assert_error(404, "NOT_FOUND");
    }
    let part = |path: &str| path.rsplit_once("/{").map(|(list, _)| list.to_owned());
    let tested = |path: &str| {
        // Files have tests of their own.
        path == "/v2/attachments/{id}/content"
            || LISTS
                .iter()
                .any(|(list, ..)| path == *list || part(path).is_some_and(|path| path == *list))
    };
    // Sessions have tests of their own.
    let of_domains = api::domains::ROUTES.iter().filter(|route| route.domain != "sessions");
    for route in of_domains.filter(|route| route.method == "GET") {
        assert!(tested(route.path), "{} has no test", route.path);
    }
}

#[tokio::test]
async fn staff_see_everybodys_rows() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    assert_eq!(client.ids("/v2/contracts", 4).await.len(), 9);
    assert_eq!(client.ids("/v2/property-owners", 4).await.len(), 3);
    let contract = client.get(&format!("/v2/contracts/{}", id(7, 1, 1))).await.body;
    insta::assert_json_snapshot!(contract, @r#"
    {
      "companyNo": "C1",
      "contractNo": "A/1",
      "currency": "MNT",
      "endDate": null,
      "id": "01900000-0000-7000-8000-0000006af6d1",
      "monthlyTotal": "1500000",
      "signedOn": "2023-12-31T16:00:00.000Z",
      "startDate": null,
      "status": "draft",
      "tenantId": "01900000-0000-7000-8000-0000001eab91",
      "terms": "урт",
      "vatRate": null,
      "version": 0
    }
    "#);
    let listed = client.get("/v2/contracts?limit=1").await.body;
    assert!(listed["items"][0].get("terms").is_none(), "long texts are not in lists");
    let payment = client.get(&format!("/v2/payments/{}", id(11, 1, 1))).await;
    assert!(!String::from_utf8_lossy(&payment.bytes).contains("secret"));
}

#[tokio::test]
async fn one_statement_looks_for_the_row_after_the_session() {
    let lab = Lab::new().await;
    let server = lab.serve_with(lab.api_pool(1).await, None).await;
    let path = |owner: u32| format!("/v2/contracts/{}", id(7, owner, 1));
    // More often than it takes Postgres to make one plan for all, on one connection.
    for _ in 0..8 {
        for caller in [1, 2] {
            let client = server.client(&lab.token(&owner(caller)).await);
            assert_eq!(client.get(&path(caller)).await.status, 200);
            client.get(&path(3 - caller)).await.assert_error(404, "NOT_FOUND");
        }
        server.client("nobody").get(&path(1)).await.assert_error(401, "FORBIDDEN");
    }
}

#[tokio::test]
async fn a_pooled_connection_carries_nothing_over() {
    let lab = Lab::new().await;
    let server = lab.serve_with(lab.api_pool(1).await, None).await;
    let client = server.client(&lab.token(&owner(1)).await);
    for path in
        ["/v2/contracts", "/v2/contracts/x", "/v2/contracts?cursor=x", "/v2/contracts?legacy=9/9"]
    {
        client.get(path).await;
        let row = sqlx::query(
            "select coalesce(current_setting('app.role', true), ''), \
             coalesce(current_setting('app.owner_id', true), ''), \
             coalesce(current_setting('app.user_id', true), ''), (select count(*) from contracts)",
        )
        .fetch_one(&server.pool)
        .await
        .expect("a row");
        let left = [row.get::<String, _>(0), row.get(1), row.get(2)];
        assert_eq!((left, row.get::<i64, _>(3)), ([const { String::new() }; 3], 0), "after {path}");
    }
    // Writes, too: good ones, refused ones, and those that fail in the middle.
    for body in ["{\"phone\": \"1\"}", "{}", "{\"phone\": 1}", "{\"name\": \"\"}"] {
        let headers = [("content-type", "application/json"), ("if-match", "\"0\"")];
        let path = format!("/v2/property-owners/{}", id(1, 1, 1));
        client.send("PATCH", &path, &headers, body).await;
        let left: String =
            sqlx::query_scalar("select coalesce(current_setting('app.role', true), '')")
                .fetch_one(&server.pool)
                .await
                .expect("a row");
        assert_eq!(left, "", "after {body}");
    }
    let other = server.client(&lab.token(&owner(2)).await);
    assert_eq!(other.ids("/v2/contracts", 1).await, [id(7, 2, 1), id(7, 2, 2), id(7, 2, 3)]);
}

#[tokio::test]
async fn row_security_is_forced_on_every_table() {
    let lab = Lab::new().await;
    let open: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace \
         and relkind in ('r', 'p') and not (relrowsecurity and relforcerowsecurity)",
    )
    .fetch_all(&lab.admin)
    .await
    .expect("tables");
    assert!(open.is_empty(), "{open:?}");
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.columns \
         where table_schema = 'public' and column_name = 'source_position'",
    )
    .fetch_all(&lab.admin)
    .await
    .expect("tables");
    assert_eq!(tables.len(), TABLES.len(), "a migrated table has no test here");
    assert_owner_list_uses_an_index(&lab.api_pool(1).await).await;
}

/// The access view drives the list of an owner; see the bench for what that is worth.
async fn assert_owner_list_uses_an_index(pool: &PgPool) {
    let mut transaction = pool.begin().await.expect("a transaction");
    as_owner(&mut transaction, 1).await;
    sqlx::query("set local enable_seqscan = off").execute(&mut *transaction).await.expect("set");
    let plan: Vec<String> = sqlx::query_scalar(
        "explain select id from contracts where id > '00000000-0000-0000-0000-000000000000' \
         and id in (select contract_id from access.own_contracts) order by id limit 51",
    )
    .fetch_all(&mut *transaction)
    .await
    .expect("a plan");
    let plan = plan.join("\n");
    assert!(plan.contains("property_owner_links_owner_idx"), "{plan}");
    assert!(plan.contains("contract_items_space_idx"), "{plan}");
}

#[tokio::test]
async fn what_was_audited_stays() {
    let lab = Lab::new().await;
    lab.sql(
        "insert into audit_log (id, action, entity, entity_id) \
         values (gen_random_uuid(), 'create', 'x', gen_random_uuid()); \
         insert into outbox (id, topic, payload) values (gen_random_uuid(), 'x', '{}')",
    )
    .await;
    let pool = lab.api_pool(1).await;
    for statement in [
        "update audit_log set entity = 'y'",
        "delete from audit_log",
        "truncate audit_log",
        "update outbox set state = 'done'",
        "delete from outbox",
        "insert into status_transitions values ('contracts', 'ended', 'active')",
        "select setval('invoice_no_seq', 1)",
    ] {
        let mut transaction = pool.begin().await.expect("a transaction");
        sqlx::query("select set_config('app.role', 'staff', true)")
            .execute(&mut *transaction)
            .await
            .expect("the setting");
        let refused = sqlx::query(statement).execute(&mut *transaction).await;
        assert_refused(&refused.expect_err(statement), statement);
    }
    // Nobody else writes there either; the engine drains the outbox.
    let granted: Vec<String> = sqlx::query_scalar(
        "select concat(grantee, ' ', privilege_type) from information_schema.role_table_grants \
         where table_name = 'audit_log' and grantee <> 'ficus_owner' order by 1",
    )
    .fetch_all(&lab.admin)
    .await
    .expect("grants");
    assert_eq!(granted, ["ficus_api INSERT", "ficus_api SELECT"]);
}
