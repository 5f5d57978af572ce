//! The envelope, in both languages, for everything that can go wrong.

use crate::lab::{Lab, id, owner};

#[tokio::test]
async fn every_refusal_has_the_envelope_in_both_languages() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let (client, nobody) = (server.client(&lab.token(&owner(1)).await), server.client(""));
    let unknown = format!("/v2/contracts/{}", id(7, 9, 9));
    let cases: [(_, _, &str, u16, &str, &str); 10] = [
        (&nobody, "GET", "/v2/contracts", 401, "FORBIDDEN", "Нэвтэрнэ үү."),
        (&nobody, "GET", "/v2/contracts/not-an-id", 401, "FORBIDDEN", "Нэвтэрнэ үү."),
        (&client, "GET", &unknown, 404, "NOT_FOUND", "Олдсонгүй."),
        (&client, "GET", "/v2/contracts/not-an-id", 400, "VALIDATION_ERROR", "Хүсэлт буруу байна."),
        (&client, "GET", "/v2/contracts/%FF", 400, "VALIDATION_ERROR", "Хүсэлт буруу байна."),
        (&client, "GET", "/v2/contracts?limit=%FF", 400, "VALIDATION_ERROR", "Хүсэлт буруу байна."),
        (&client, "GET", "/v2/contracts/1/2/3", 404, "NOT_FOUND", "Ийм хаяг алга."),
        (&client, "GET", "/nowhere", 404, "NOT_FOUND", "Ийм хаяг алга."),
        (&client, "DELETE", "/v2/contracts", 405, "VALIDATION_ERROR", "Энэ үйлдлийг зөвшөөрөхгүй."),
        (&client, "POST", "/health/ready", 405, "VALIDATION_ERROR", "Энэ үйлдлийг зөвшөөрөхгүй."),
    ];
    for (client, method, path, status, code, mongolian) in cases {
        let answer = client.send(method, path, &[("accept-language", "mn-MN")], "").await;
        answer.assert_error(status, code);
        assert_eq!(answer.body["error"]["message"], mongolian, "{path}");
        assert_eq!(answer.headers["content-language"], "mn");
        let answer = client.send(method, path, &[("accept-language", "en")], "").await;
        answer.assert_error(status, code);
        let english = answer.body["error"]["message"].as_str().expect("a message");
        assert!(english.is_ascii(), "{english}");
        assert_eq!(answer.headers["content-language"], "en");
        if status == 405 {
            let allowed = if path == "/v2/contracts" { "GET,HEAD,POST" } else { "GET,HEAD" };
            assert_eq!(answer.headers["allow"], allowed, "{path}");
        }
        if status == 401 {
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
}

#[tokio::test]
async fn a_session_that_is_over_opens_nothing() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let (expired, revoked) = (lab.token(&owner(1)).await, lab.token(&owner(2)).await);
    let living = lab.token(&owner(2)).await;
    for token in [&expired, &revoked, &living] {
        assert_eq!(server.client(token).get("/v2/contracts").await.status, 200);
    }
    let of = |number: u32| format!("user_id = '{}'", id(13, number, 1));
    lab.sql(&format!("update sessions set expires_at = now() where {}", of(1))).await;
    lab.sql(&format!(
        "update sessions set revoked_at = now() where id = (select min(id::text)::uuid from sessions where {})",
        of(2)
    ))
    .await;
    for token in [&expired, &revoked, "forged", "", "%00"] {
        let answer = server.client(token).get("/v2/contracts").await;
        answer.assert_error(401, "FORBIDDEN");
    }
    assert_eq!(server.client(&living).get("/v2/contracts").await.status, 200);
    let cookie = format!("a=b; ficus_session={living}");
    let answer = server.client("").send("GET", "/v2/contracts", &[("cookie", &cookie)], "").await;
    assert_eq!(answer.status, 200, "the cookie is as good as the header");
}

#[tokio::test]
async fn a_failure_of_the_database_is_not_told() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    lab.sql("alter table tenants rename column name to renamed").await;
    let answer = client.get("/v2/tenants").await;
    answer.assert_error(500, "INTERNAL_ERROR");
    let id = answer.body["error"]["details"]["correlationId"].as_str().expect("an id");
    assert_eq!(answer.headers["x-correlation-id"], id, "by which the log is asked");
    assert_eq!(client.get("/v2/contracts").await.status, 200, "others go on");
}

#[tokio::test]
async fn the_correlation_id_is_the_callers_when_it_is_decent() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client("");
    let given = client.send("GET", "/v2/contracts", &[("x-correlation-id", "abc-1")], "").await;
    assert_eq!(given.headers["x-correlation-id"], "abc-1");
    let long = "x".repeat(129);
    for bad in ["", "a b", "a\tb", "{}", &long] {
        let answer = client.send("GET", "/v2/contracts", &[("x-correlation-id", bad)], "").await;
        let minted = answer.headers["x-correlation-id"].to_str().expect("ASCII");
        assert!(uuid::Uuid::try_parse(minted).is_ok(), "{minted}");
    }
}

#[tokio::test]
async fn a_full_pool_says_come_back() {
    let lab = Lab::new().await;
    let server = lab.serve_with(lab.api_pool(1).await, None).await;
    let client = server.client(&lab.token(&owner(1)).await);
    let held = server.pool.acquire().await.expect("the only connection");
    let answer = client.get("/v2/contracts").await;
    answer.assert_error(503, "INTERNAL_ERROR");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(client.get("/health/ready").await.status, 503);
    assert_eq!(client.get("/health/live").await.status, 200);
    drop(held);
    assert_eq!(client.get("/v2/contracts").await.status, 200);
}
