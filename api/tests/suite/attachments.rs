//! Files of contracts: in by pieces, out by pieces, wherever they are kept.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    client::{Answer, Client},
    lab::{ATTACHMENT_BYTES_MAX, Lab, id, owner, staff},
};

const PDF: (&str, &str) = ("content-type", "application/pdf");

fn place(owner: u32, query: &str) -> String {
    format!("/v2/contracts/{}/attachments?{query}", id(7, owner, 1))
}

/// `Гэрээ №1.pdf`.
const NAME: &str = "fileName=%D0%93%D1%8D%D1%80%D1%8D%D1%8D%20%E2%84%961.pdf";

fn pdf(bytes: usize) -> Vec<u8> {
    let mut content = b"%PDF-1.7\n".to_vec();
    content.extend((0..bytes).map(|n| u8::try_from(n % 251).unwrap_or(0)));
    content
}

/// Without a length beforehand.
fn in_pieces(content: &[u8]) -> Body {
    let pieces: Vec<_> = content
        .chunks(70_001)
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    Body::from_stream(stream::iter(pieces))
}

async fn attach(client: &Client, path: &str, content: impl Into<Body>) -> Answer {
    client.send("POST", path, &[PDF, ("x-correlation-id", "c-9")], content).await
}

async fn download(client: &Client, attachment: &str, headers: &[(&str, &str)]) -> Answer {
    let path = format!("/v2/attachments/{attachment}/content");
    client.send("GET", &path, headers, Body::empty()).await
}

fn files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

async fn rows(lab: &Lab, table: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
    sqlx::query_scalar(sql).fetch_one(&lab.admin).await.expect("a count")
}

#[tokio::test]
async fn a_file_comes_in_and_goes_out_as_it_was() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    let content = pdf(3_000_000);
    let path = place(1, &format!("{NAME}&kind=annex"));
    let answer = attach(&client, &path, in_pieces(&content)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let attachment = answer.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(answer.headers["location"], format!("/v2/attachments/{attachment}"));
    assert_eq!(answer.headers["etag"], "\"0\"");
    assert_eq!(answer.body["fileName"], "Гэрээ №1.pdf");
    assert_eq!(
        (&answer.body["kind"], &answer.body["size"]),
        (&json!("annex"), &json!(content.len()))
    );
    let same = client.get(&format!("/v2/attachments/{attachment}")).await;
    assert_eq!(same.body, answer.body);
    let listed = client.ids(&format!("/v2/contracts/{}/attachments", id(7, 1, 1)), 1).await;
    assert_eq!(listed.last().map(ToString::to_string), Some(attachment.clone()));

    let whole = download(&client, &attachment, &[]).await;
    assert_eq!((whole.status.as_u16(), whole.bytes == content), (200, true));
    assert_eq!(whole.headers["content-length"], content.len().to_string());
    assert_eq!(whole.headers["content-type"], "application/pdf");
    assert_eq!(whole.headers["x-content-type-options"], "nosniff");
    let disposition = whole.headers["content-disposition"].to_str().expect("ASCII");
    assert!(disposition.starts_with("attachment; ") && disposition.ends_with("%E2%84%961.pdf"));
    for (range, part) in
        [("bytes=100-299", 100..300), ("bytes=-9", content.len() - 9..content.len())]
    {
        let headers = [("range", range), ("if-range", "\"0\"")];
        let answer = download(&client, &attachment, &headers).await;
        assert_eq!((answer.status.as_u16(), answer.bytes == content[part.clone()]), (206, true));
        let told = format!("bytes {}-{}/{}", part.start, part.end - 1, content.len());
        assert_eq!(answer.headers["content-range"], told);
    }
    let headers = [("range", "bytes=1-2"), ("if-range", "\"7\"")];
    let other = download(&client, &attachment, &headers).await;
    assert_eq!((other.status.as_u16(), other.bytes.len()), (200, content.len()));

    // By content, once for both.
    let again = attach(&client, &place(2, NAME), content.clone()).await;
    assert_eq!((again.status.as_u16(), files(lab.objects.path())), (201, 1));
    assert_written_down(&lab, &attachment, &content).await;
}

async fn assert_written_down(lab: &Lab, attachment: &str, content: &[u8]) {
    let stored: String = sqlx::query_scalar("select min(object) from file_objects")
        .fetch_one(&lab.admin)
        .await
        .expect("it");
    let hash: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(stored.replace('/', ""), format!("sha256{hash}"));
    let written: serde_json::Value = sqlx::query_scalar(
        "select jsonb_build_array(a.action, a.entity, a.entity_id, a.after ->> 'fileName', \
         a.correlation_id, o.topic, o.payload, o.correlation_id) from audit_log as a, outbox as o \
         where o.payload ->> 'id' = a.entity_id::text order by o.position limit 1",
    )
    .fetch_one(&lab.admin)
    .await
    .expect("a row");
    let payload = json!({ "id": attachment, "contractId": id(7, 1, 1), "version": 0 });
    let expected = json!([
        "create",
        "contract_attachments",
        attachment,
        "Гэрээ №1.pdf",
        "c-9",
        "attachment.created",
        payload,
        "c-9",
    ]);
    assert_eq!(written, expected);
}

#[tokio::test]
async fn a_file_that_came_from_the_legacy_system_goes_out_of_postgres() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    let content = pdf(5_000_000);
    sqlx::query("update files set content = $2, size = 1, file_name = $3 where id = $1")
        .bind(id(17, 1, 1))
        .bind(&content)
        .bind("a\"\r\nX-Evil: 1.pdf")
        .execute(&lab.admin)
        .await
        .expect("a file");
    let attachment = id(18, 1, 1).to_string();
    let whole = download(&client, &attachment, &[]).await;
    assert_eq!((whole.status.as_u16(), whole.bytes == content), (200, true));
    assert_eq!(whole.headers["content-type"], "application/octet-stream");
    assert!(!whole.headers.contains_key("x-evil"));
    let part = download(&client, &attachment, &[("range", "bytes=2097150-4194310")]).await;
    assert_eq!((part.status.as_u16(), part.bytes == content[2_097_150..=4_194_310]), (206, true));
    // NULL in the legacy system: there never was one.
    download(&client, &id(18, 1, 2).to_string(), &[]).await.assert_error(404, "NOT_FOUND");
    lab.sql("update files set content = ''").await;
    let empty = download(&client, &attachment, &[]).await;
    assert_eq!((empty.status.as_u16(), empty.bytes.len()), (200, 0));
}

#[tokio::test]
async fn nobody_reaches_anothers_files() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    lab.sql("update files set content = 'x'").await;
    let client = server.client(&lab.token(&owner(1)).await);
    let foreign = id(18, 2, 1).to_string();
    download(&client, &foreign, &[]).await.assert_error(404, "NOT_FOUND");
    attach(&client, &place(2, NAME), pdf(10)).await.assert_error(404, "NOT_FOUND");
    // New files are the staff's.
    attach(&client, &place(1, NAME), pdf(10)).await.assert_error(403, "FORBIDDEN");
    let nobody = server.client("");
    attach(&nobody, &place(1, NAME), pdf(10)).await.assert_error(401, "FORBIDDEN");
    download(&nobody, &foreign, &[]).await.assert_error(401, "FORBIDDEN");
    lab.sql("update files set deleted_at = now()").await;
    download(&client, &id(18, 1, 1).to_string(), &[]).await.assert_error(404, "NOT_FOUND");
    assert_eq!((files(lab.objects.path()), rows(&lab, "outbox").await), (0, 0));
}

#[tokio::test]
async fn what_can_not_be_taken_is_told_and_leaves_nothing() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    let too_large = pdf(usize::try_from(ATTACHMENT_BYTES_MAX).expect("it fits"));
    // Without a length it is met on the way.
    for body in [in_pieces(&too_large), Body::from(too_large)] {
        attach(&client, &place(1, NAME), body).await.assert_error(413, "VALIDATION_ERROR");
    }
    for (kind, content) in [
        ("application/pdf", "<html><script>alert(1)</script>"),
        ("application/pdf", ""),
        ("text/html", "<html>"),
        ("image/svg+xml", "<svg/>"),
        ("", "%PDF-1.7 and so on"),
    ] {
        let answer = client.send("POST", &place(1, NAME), &[("content-type", kind)], content).await;
        answer.assert_error(415, "VALIDATION_ERROR");
    }
    for query in [
        "",
        "fileName=",
        "fileName=..%2Fx.pdf",
        "fileName=a%00.pdf",
        "fileName=%E2%80%AEfdp.exe",
        "fileName=a.pdf&kind=deed",
        "fileName=a.pdf&x=1",
        "kind=annex",
    ] {
        attach(&client, &place(1, query), pdf(10)).await.assert_error(400, "VALIDATION_ERROR");
    }
    let broken = stream::iter([Ok(Bytes::from(pdf(100))), Err(std::io::Error::other("gone"))]);
    let broken = Body::from_stream(broken);
    let path = place(1, NAME);
    let sent = client.try_send("POST", &path, &[PDF], broken);
    let sent = tokio::time::timeout(Duration::from_secs(10), sent).await.expect("it ends");
    assert!(sent.is_none(), "a body that broke off has an answer");
    let written = rows(&lab, "file_objects").await;
    assert_eq!((files(lab.objects.path()), written), (0, 0));
}

#[tokio::test]
async fn a_row_is_never_there_without_its_object() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    // The rows are refused after the object was put: an object that nobody refers to is left.
    lab.sql("alter table outbox add constraint outbox_closed check (false) not valid").await;
    attach(&client, &place(1, NAME), pdf(10)).await.assert_error(500, "INTERNAL_ERROR");
    assert_eq!(files(lab.objects.path()), 1);
    lab.sql("alter table outbox drop constraint outbox_closed").await;
    // The object is refused: no row.
    std::fs::remove_dir_all(lab.objects.path()).expect("gone");
    std::fs::write(lab.objects.path(), "a file in the folder's place").expect("written");
    attach(&client, &place(1, NAME), pdf(20)).await.assert_error(500, "INTERNAL_ERROR");
    assert_eq!(rows(&lab, "file_objects").await, 0);
}
