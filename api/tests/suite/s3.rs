//! Files of contracts in a real S3: `FICUS_TEST_S3_URL`, such as `s3://bucket`, with `AWS_ENDPOINT`
//! and its like as in production. `deploy/test-s3` starts one and runs this; without one the tests
//! say that they were skipped.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use sha2::{Digest as _, Sha256};
use target::ObjectStore;

use crate::lab::{Lab, id, say, staff};

const PATH: &str = "/v2/contracts/{id}/attachments?fileName=a.pdf";
const PDF: [(&str, &str); 1] = [("content-type", "application/pdf")];

/// A place of the test's own, with some settings of its own; `None` where there is no store.
fn s3(test: &str, own: &[(&str, &str)]) -> Option<ObjectStore> {
    let Ok(url) = std::env::var("FICUS_TEST_S3_URL") else {
        say(&format!("skipped: {test}: FICUS_TEST_S3_URL is not set; run deploy/test-s3"));
        return None;
    };
    let own = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let options = std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).chain(own);
    let place = format!("{}/{}", url.trim_end_matches('/'), uuid::Uuid::now_v7());
    Some(ObjectStore::open(&place, options).expect("FICUS_TEST_S3_URL is a store"))
}

fn pdf(bytes: usize) -> Vec<u8> {
    let mut content = b"%PDF-1.7\n".to_vec();
    content.extend((0..bytes).map(|n| u8::try_from(n % 251).unwrap_or(0)));
    content
}

fn path() -> String {
    PATH.replace("{id}", &id(7, 1, 1).to_string())
}

/// Where content is kept.
fn address(content: &[u8]) -> String {
    let hash: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, rest) = hash.split_at(2);
    format!("sha256/{first}/{rest}")
}

async fn file_rows(lab: &Lab) -> i64 {
    let count = sqlx::query_scalar("select count(*) from file_objects");
    count.fetch_one(&lab.admin).await.expect("a count")
}

#[tokio::test]
async fn files_go_to_s3_and_come_back() {
    let Some(store) = s3("files", &[]) else { return };
    let lab = Lab::new().await;
    let server = lab.serve_objects(store.clone()).await;
    let client = server.client(&lab.token(&staff()).await);
    // In one piece, and in three.
    for size in [1_000, 20_000_000] {
        let content = pdf(size);
        let answer = client.send("POST", &path(), &PDF, content.clone()).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let at = format!("/v2/attachments/{}/content", answer.body["id"].as_str().expect("an id"));
        let whole = client.get(&at).await;
        assert_eq!((whole.status.as_u16(), whole.bytes == content), (200, true));
        for (range, part) in [("bytes=7-", 7..content.len()), ("bytes=100-899", 100..900)] {
            let answer = client.send("GET", &at, &[("range", range)], Body::empty()).await;
            let is_part = answer.bytes == content[part];
            assert_eq!((answer.status.as_u16(), is_part), (206, true), "{range}");
        }
        assert!(store.get(&address(&content)).await.expect("an object") == content);
        let again = client.send("POST", &path(), &PDF, content).await;
        assert_eq!(again.status, 201, "{}", again.body);
    }
    assert_eq!(file_rows(&lab).await, 4);
}

#[tokio::test]
async fn an_upload_to_s3_that_breaks_off_leaves_nothing() {
    let Some(store) = s3("a broken upload", &[]) else { return };
    let lab = Lab::new().await;
    let server = lab.serve_objects(store.clone()).await;
    let client = server.client(&lab.token(&staff()).await);
    let half = pdf(10_000_000);
    let pieces = [Ok(Bytes::from(half.clone())), Err(std::io::Error::other("gone"))];
    let (path, broken) = (path(), Body::from_stream(stream::iter(pieces)));
    let sent = client.try_send("POST", &path, &PDF, broken);
    let sent = tokio::time::timeout(Duration::from_secs(20), sent).await.expect("it ends");
    assert!(sent.is_none(), "a body that broke off has an answer");
    assert_eq!(file_rows(&lab).await, 0);
    assert!(store.get(&address(&half)).await.is_err(), "half of it is kept");
    store.reach().await.expect("the store is there");
}

#[tokio::test]
async fn wrong_keys_for_s3_are_told_in_one_sentence() {
    let wrong = [("AWS_SECRET_ACCESS_KEY", "wrong-secret")];
    let Some(store) = s3("wrong keys", &wrong) else { return };
    let lab = Lab::new().await;
    let server = lab.serve_objects(store.clone()).await;
    let client = server.client(&lab.token(&staff()).await);
    let Err(error) = store.put_content(Bytes::from_static(b"x")).await else {
        return say("skipped: wrong keys: this store takes any");
    };
    let told = format!("{error}: {}", std::error::Error::source(&error).expect("a cause"));
    assert!(told.contains("403") && !told.contains("wrong-secret"), "{told}");
    assert!(!told.contains(['\n', '<']) && told.len() < 500, "{told}");
    assert!(error.hint().contains("objects.url"), "{}", error.hint());
    for size in [1_000, 20_000_000] {
        let answer = client.send("POST", &path(), &PDF, pdf(size)).await;
        answer.assert_error(500, "INTERNAL_ERROR");
    }
    assert_eq!(file_rows(&lab).await, 0);
}
