//! A session as web and mobile have it: it begins, is shown, and ends.

use api::{limits, sessions::Settings};
use serde_json::{Value, json};

use crate::{
    client::{Answer, Client},
    lab::{Lab, Server, id, sessions_of_the_test},
};

/// `PASSWORD` as XAF stores it (made with Python's hashlib).
pub(crate) const HASH: &str =
    "AAABAgMEBQYHCAkKCwwNDg9KOAbRHFYXlo+G4gunacdSGjPqwDPMAWPdqI5aEm/dQA==";
pub(crate) const PASSWORD: &str = "Нууц үг 1";

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

/// A lab whose first user can sign in by password and by code.
pub(crate) async fn lab() -> Lab {
    let lab = Lab::new().await;
    lab.sql(&format!(
        "update users set is_active = true, password_hash = '{HASH}', user_name = 'Дорж 1' \
           where id = '{}'; \
         update property_owners set phone = '(976) 9911-2233' where id = '{}'",
        id(13, 1, 1),
        id(1, 1, 1)
    ))
    .await;
    lab
}

pub(crate) async fn serve(lab: &Lab, sessions: Settings) -> Server {
    let unlimited = limits::Settings::unlimited();
    lab.serve_set(lab.api_pool(4).await, None, sessions, unlimited).await
}

pub(crate) async fn post(client: &Client, path: &str, body: Value) -> Answer {
    client.send("POST", path, &[JSON], body.to_string()).await
}

pub(crate) async fn sign_in(client: &Client, kind: &str) -> Answer {
    let body = json!({ "userName": "дорж 1", "password": PASSWORD, "kind": kind });
    post(client, "/auth/sign-in", body).await
}

pub(crate) fn text<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", answer.body))
}

/// Of the audit: action, why, whether somebody is named.
pub(crate) async fn trail(lab: &Lab) -> Vec<(String, String)> {
    sqlx::query_as(
        "select action, coalesce(after->>'why', after->>'way') from audit_log order by id",
    )
    .fetch_all(&lab.admin)
    .await
    .expect("rows")
}

#[tokio::test]
async fn a_mobile_session_begins_is_shown_and_ends() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let nobody = server.client("");
    let answer = sign_in(&nobody, "mobile").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(!answer.headers.contains_key("set-cookie"));
    assert_eq!(answer.body["role"], "owner");
    assert_eq!(answer.body["ownerId"], json!(id(1, 1, 1)));
    assert_eq!(
        (&answer.body["tokenType"], &answer.body["expiresIn"]),
        (&json!("Bearer"), &json!(900))
    );
    let client = server.client(text(&answer, "accessToken"));
    let seen = client.ids("/v2/contracts", 10).await;
    assert_eq!(seen, (1..=3).map(|n| id(7, 1, n)).collect::<Vec<_>>());
    let current = client.get("/auth/session").await;
    assert_eq!((current.status.as_u16(), &current.body["userId"]), (200, &json!(id(13, 1, 1))));
    assert_eq!(current.body["kind"], "mobile");
    // Nothing of it can be read from the database.
    let stored: String = sqlx::query_scalar(
        "select string_agg(s::text, ' ') || (select string_agg(t::text, ' ') from refresh_tokens as t) \
         from sessions as s",
    )
    .fetch_one(&lab.admin)
    .await
    .expect("rows");
    for name in ["accessToken", "refreshToken"] {
        let token = text(&answer, name);
        let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!stored.contains(token) && !stored.contains(&hex), "{name}");
    }
    let out = post(&client, "/auth/sign-out", json!({})).await;
    assert_eq!(out.status, 204);
    client.get("/v2/contracts").await.assert_error(401, "FORBIDDEN");
    let refresh = json!({ "refreshToken": text(&answer, "refreshToken") });
    post(&nobody, "/auth/token", refresh).await.assert_error(401, "FORBIDDEN");
    // To sign out again is no mistake.
    assert_eq!(post(&client, "/auth/sign-out", json!({})).await.status, 204);
    post(&nobody, "/auth/sign-out", json!({})).await.assert_error(401, "FORBIDDEN");
    let pair = |action: &str, why: &str| (action.to_owned(), why.to_owned());
    assert_eq!(trail(&lab).await, [pair("sign-in", "password"), pair("sign-out", "sign-out")]);
}

/// `name=value` of the cookies that an answer sets.
pub(crate) fn cookies(answer: &Answer) -> Vec<String> {
    let lines = answer.headers.get_all("set-cookie").iter();
    let pair = |line: &axum::http::HeaderValue| {
        let line = line.to_str().expect("text");
        assert!(line.contains("; HttpOnly; SameSite="), "{line}");
        line.split(';').next().expect("a pair").to_owned()
    };
    lines.map(pair).collect()
}

#[tokio::test]
async fn a_web_session_is_in_cookies_alone_and_its_writes_are_our_own_pages() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let browser = server.client("");
    let answer = sign_in(&browser, "web").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.get("accessToken").is_none() && answer.body.get("refreshToken").is_none());
    let jar = cookies(&answer);
    let (session, refresh) = (jar[0].as_str(), jar[1].as_str());
    assert!(session.starts_with("ficus_session=fca_") && refresh.starts_with("ficus_refresh=fcr_"));
    let seen = browser.send("GET", "/v2/contracts", &[("cookie", session)], "").await;
    assert_eq!(seen.status, 200);
    let both = format!("{session}; {refresh}");
    for forged in [
        &[("cookie", both.as_str()), ("sec-fetch-site", "cross-site")][..],
        &[("cookie", &both), ("origin", "https://evil.example")],
        &[("cookie", &both)],
        &[("sec-fetch-site", "cross-site")],
        &[("cookie", &both), ("sec-fetch-site", "cross-site"), ("authorization", "Basic eDp5")],
    ] {
        for path in ["/auth/token", "/auth/sign-out", "/auth/sign-in"] {
            let answer = browser.send("POST", path, forged, "").await;
            answer.assert_error(403, "FORBIDDEN");
            assert_eq!(answer.body["error"]["details"]["reason"], "cross-site");
        }
    }
    let own = [("cookie", both.as_str()), ("sec-fetch-site", "same-origin")];
    let next = browser.send("POST", "/auth/token", &own, "").await;
    assert_eq!(next.status, 200, "{}", next.body);
    assert!(next.body.get("refreshToken").is_none());
    let next = cookies(&next);
    assert!(next[0] != jar[0] && next[1] != jar[1]);
    let gone = [("cookie", next[0].as_str()), ("sec-fetch-site", "same-origin")];
    let out = browser.send("POST", "/auth/sign-out", &gone, "").await;
    assert_eq!(out.status, 204);
    assert_eq!(cookies(&out), ["ficus_session=", "ficus_refresh="]);
    let seen = browser.send("GET", "/v2/contracts", &[("cookie", next[0].as_str())], "").await;
    seen.assert_error(401, "FORBIDDEN");
}

#[tokio::test]
async fn over_tls_a_cookie_without_its_prefix_is_a_planted_one() {
    let lab = lab().await;
    let mut settings = sessions_of_the_test();
    settings.cookie_secure = true;
    let server = serve(&lab, settings).await;
    let browser = server.client("");
    let jar = cookies(&sign_in(&browser, "web").await);
    assert!(jar[0].starts_with("__Host-ficus_session=") && jar[1].starts_with("__Secure-ficus_"));
    let get = async |cookie: &str| {
        browser.send("GET", "/v2/contracts", &[("cookie", cookie)], "").await.status.as_u16()
    };
    assert_eq!(get(&jar[0]).await, 200);
    assert_eq!(get(jar[0].trim_start_matches("__Host-")).await, 401);
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_session_of_the_user_and_of_nobody_else() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let nobody = server.client("");
    let (one, two) = (sign_in(&nobody, "mobile").await, sign_in(&nobody, "mobile").await);
    let other = server.client(&lab.token(&crate::lab::owner(2)).await);
    // A refresh token ends its own session only: a copy of it must not end all.
    let refresh = json!({ "refreshToken": text(&one, "refreshToken"), "everywhere": true });
    assert_eq!(post(&nobody, "/auth/sign-out", refresh).await.status, 204);
    let (one, two) =
        (server.client(text(&one, "accessToken")), server.client(text(&two, "accessToken")));
    one.get("/v2/contracts").await.assert_error(401, "FORBIDDEN");
    assert_eq!(two.get("/v2/contracts").await.status, 200);
    let three = sign_in(&nobody, "mobile").await;
    assert_eq!(post(&two, "/auth/sign-out", json!({ "everywhere": true })).await.status, 204);
    for client in [two, server.client(text(&three, "accessToken"))] {
        client.get("/v2/contracts").await.assert_error(401, "FORBIDDEN");
    }
    assert_eq!(other.get("/v2/contracts").await.status, 200);
}

#[tokio::test]
async fn a_session_ends_when_its_user_is_disabled() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let nobody = server.client("");
    for disable in [
        "update users set is_active = false",
        "update users set deleted_at = now()",
        "update users set is_active = null",
        "delete from users",
    ] {
        lab.sql("update users set is_active = true, deleted_at = null").await;
        let answer = sign_in(&nobody, "mobile").await;
        let client = server.client(text(&answer, "accessToken"));
        assert_eq!(client.get("/v2/contracts").await.status, 200, "{disable}");
        lab.sql(disable).await;
        let refresh = json!({ "refreshToken": text(&answer, "refreshToken") });
        if !disable.ends_with("null") {
            client.get("/v2/contracts").await.assert_error(401, "FORBIDDEN");
        }
        post(&nobody, "/auth/token", refresh.clone()).await.assert_error(401, "FORBIDDEN");
        if !disable.starts_with("delete") {
            // For good, not until he is enabled again.
            lab.sql("update users set is_active = true, deleted_at = null").await;
            post(&nobody, "/auth/token", refresh).await.assert_error(401, "FORBIDDEN");
            client.get("/v2/contracts").await.assert_error(401, "FORBIDDEN");
        }
    }
}

#[tokio::test]
async fn what_signing_in_leaves_behind_is_for_signing_in_alone() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let client = server.client("");
    sign_in(&client, "mobile").await;
    let wrong = json!({ "userName": "nobody", "password": "x", "kind": "web" });
    post(&client, "/auth/sign-in", wrong).await.assert_error(401, "FORBIDDEN");
    post(&client, "/auth/codes", json!({ "phone": "99112233" })).await;
    let pool = lab.api_pool(1).await;
    for table in ["refresh_tokens", "credentials", "sign_in_failures", "sign_in_codes"] {
        let count = format!("select count(*) from {table}");
        for (role, seen) in [("sign_in", 1), ("staff", 0), ("owner", 0), ("", 0)] {
            let mut transaction = pool.begin().await.expect("a transaction");
            sqlx::query(
                "select set_config('app.role', $1, true), set_config('app.user_id', $2, true)",
            )
            .bind(role)
            .bind(id(13, 1, 1).to_string())
            .execute(&mut *transaction)
            .await
            .expect("the settings");
            let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count.clone()))
                .fetch_one(&mut *transaction)
                .await
                .expect("a count");
            assert_eq!(rows, seen, "{table} as {role:?}");
        }
        let others: bool = sqlx::query_scalar(
            "select has_table_privilege('ficus_reader', $1, 'select') \
               or has_table_privilege('ficus_engine', $1, 'select, insert, update, delete')",
        )
        .bind(table)
        .fetch_one(&lab.admin)
        .await
        .expect("a row");
        assert!(!others, "{table}");
    }
}

#[tokio::test]
async fn garbage_is_refused_in_the_envelope() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let client = server.client("");
    let paths =
        ["/auth/sign-in", "/auth/codes", "/auth/codes/sign-in", "/auth/token", "/auth/sign-out"];
    let large = format!("{{\"userName\": \"{}\"}}", "x".repeat(20_000));
    for path in paths {
        for (kind, body, status) in [
            ("text/plain", "{}", 415),
            ("application/json", "{", 400),
            ("application/json", "[]x", 400),
            ("application/json", "{\"password\": {\"a\": 1}}", 400),
            ("application/json", "\"\\ud800\"", 400),
            ("application/json", "{\"nonsense\": 1}", 400),
            ("application/json", &large, 413),
        ] {
            let answer =
                client.send("POST", path, &[("content-type", kind)], body.to_owned()).await;
            answer.assert_error(status, "VALIDATION_ERROR");
        }
        client.get(path).await.assert_error(405, "VALIDATION_ERROR");
    }
    client.send("POST", "/auth/nothing", &[], "").await.assert_error(404, "NOT_FOUND");
    let sql = "'; drop table users; --";
    for (name, password, status) in [
        (sql, sql, 401),
        ("a\u{0}b", "x", 400),
        ("x", "a\u{0}", 400),
        ("", "x", 400),
        ("x", "", 400),
        (&"x".repeat(101), "x", 400),
        ("%", "x", 401),
        ("\u{202e}дорж 1", "x", 401),
    ] {
        let body = json!({ "userName": name, "password": password, "kind": "mobile" });
        let code = if status == 401 { "FORBIDDEN" } else { "VALIDATION_ERROR" };
        post(&client, "/auth/sign-in", body).await.assert_error(status, code);
    }
    // What is wrong is told without what was sent.
    let secret = json!({ "userName": "x", "password": 12_345_678, "kind": "mobile" });
    let answer = post(&client, "/auth/sign-in", secret).await;
    answer.assert_error(400, "VALIDATION_ERROR");
    assert!(!answer.body.to_string().contains("12345678"), "{}", answer.body);
    for token in ["", "x", "fcr_", "fcr_\u{0}", &"f".repeat(9_000), "🦜", sql] {
        let answer = post(&client, "/auth/token", json!({ "refreshToken": token })).await;
        answer.assert_error(401, "FORBIDDEN");
    }
}

#[tokio::test]
async fn the_legacy_system_never_sees_our_tokens_and_never_serves_our_routes() {
    let lab = lab().await;
    let legacy = crate::facade::legacy().await;
    let base = Some(format!("http://{legacy}/app"));
    let server = lab.serve_with(lab.api_pool(4).await, base).await;
    let answer = sign_in(&server.client(""), "mobile").await;
    let token = text(&answer, "accessToken");
    let cookie = format!("ASP.NET_SessionId=1; ficus_session={token}; __Host-ficus_session=x");
    let headers = [("cookie", cookie.as_str())];
    let told = server.client(token).send("GET", "/legacy/page", &headers, "").await;
    assert_eq!(told.status, 418, "{}", told.body);
    assert_eq!(told.body["headers"]["cookie"], json!(["ASP.NET_SessionId=1"]));
    assert!(!String::from_utf8_lossy(&told.bytes).contains(token), "{}", told.body);
    // Its own tokens pass.
    let told = server.client("of-the-legacy-side").get("/legacy/page").await;
    assert_eq!(told.body["headers"]["authorization"], json!(["Bearer of-the-legacy-side"]));
    for path in ["/auth/nothing", "/AUTH/token", "/v2/devices/1/2"] {
        server.client(token).get(path).await.assert_error(404, "NOT_FOUND");
    }
    let manifest = server.client("").get("/ops/routes.json").await;
    let ours: Vec<&Value> = manifest
        .body
        .as_array()
        .expect("lines")
        .iter()
        .filter(|line| line["domain"] == "sessions")
        .collect();
    assert_eq!(ours.len(), 8);
    assert!(ours.iter().all(|line| line["servedBy"] == "ficus"));
}
