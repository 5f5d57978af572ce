use mapping::value::{Decimal, LegacyValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const DDL: &str = "CREATE TABLE [dbo].[Payment]([Oid] int NOT NULL, [Amount] money NULL,
  [GCRecord] int NULL, CONSTRAINT [PK_Payment] PRIMARY KEY CLUSTERED ([Oid]));";

async fn web() -> Web {
    let database = Database::from_ddl("Test", "Cyrillic_General_CI_AS", DDL).unwrap();
    let rows = (0..5).map(|id| {
        let amount = Decimal { unscaled: 12_345, scale: 4 };
        let deleted = if id == 1 { LegacyValue::Int(7) } else { LegacyValue::Null };
        vec![LegacyValue::Int(id), LegacyValue::Decimal(amount), deleted]
    });
    database.load("Payment", rows).unwrap();
    Web::start(database).await.unwrap()
}

/// A request by hand: status line and headers, and the body (which may be chunked).
async fn ask(web: &Web, request: &str) -> (String, Vec<u8>) {
    let mut stream = tokio::net::TcpStream::connect(web.address).await.unwrap();
    let request = request.replacen("\r\n", "\r\nHost: legacy\r\nConnection: close\r\n", 1);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap(), body)
}

#[tokio::test]
async fn anything_is_answered_with_what_was_asked() {
    let web = web().await;
    let request =
        "POST /v2/leases/7?x=1 HTTP/1.1\r\nx-correlation-id: abc\r\nContent-Length: 5\r\n\r\nhello";
    let (head, body) = ask(&web, request).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("x-correlation-id: abc"), "{head}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["servedBy"], "legacy");
    assert_eq!((&body["method"], &body["path"]), (&"POST".into(), &"/v2/leases/7".into()));
    assert_eq!((&body["query"], &body["bodyBytes"]), (&"x=1".into(), &5.into()));
    assert_eq!(body["correlationId"], "abc");
    let (head, _) = ask(&web, "GET /elsewhere HTTP/1.1\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    web.stop().await;
}

#[tokio::test]
async fn a_page_shows_live_rows() {
    let web = web().await;
    let (_, body) = ask(&web, "GET /v2/payments?limit=2&offset=1 HTTP/1.1\r\n\r\n").await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["total"], 4);
    let ids: Vec<_> = body["items"].as_array().unwrap().iter().map(|item| &item["Oid"]).collect();
    assert_eq!(ids, [2, 3]);
    assert_eq!(body["items"][0]["Amount"], "1.2345");
    // This database has no invoices.
    let (_, body) = ask(&web, "GET /v2/invoices HTTP/1.1\r\n\r\n").await;
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["path"], "/v2/invoices");
    // A page is for reading; anything else is echoed.
    let (head, _) = ask(&web, "POST /v2/payments HTTP/1.1\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[tokio::test]
async fn a_large_body_is_streamed() {
    let web = web().await;
    let (head, body) = ask(&web, "GET /v2/reports/large?bytes=1000001 HTTP/1.1\r\n\r\n").await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    // The chunks' own sizes come on top.
    assert!(body.len() > 1_000_001 && body.len() < 1_002_000, "{}", body.len());
}
