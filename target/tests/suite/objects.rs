//! Large values in an object store: put before their rows, once, and never lost.

use std::path::{Path, PathBuf};

use mapping::value::LegacyValue::{self, Bytes, Unchanged};
use target::{Checkpoint, Disposition, Error, ObjectStore, Target, batch::ChunkProgress};
use tempfile::TempDir;

use crate::lab::{Lab, MAPPING, at, contract, deleted, partial, plan_of, read, short, with};

const C: &str = "Contract";
/// Of the bytes 1, 2, 3.
const PHOTO: &str = "sha256/03/9058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81";

fn mapping() -> String {
    MAPPING.replace(
        "{ from = \"Terms\", as = \"text\", lob = \"inline\" }",
        "{ from = \"Terms\", as = \"text\", lob = \"object-store\" }",
    )
}

/// The lab's contracts with their terms (and photos, which the lab's table has as bytes) outside.
async fn lab() -> (Lab, TempDir) {
    let mapping = mapping().replace(
        "photo     = { from = \"Photo\", as = \"bytea\", lob = \"inline\" }",
        "photo_ref = { from = \"Photo\", as = \"bytea\", lob = \"object-store\" }",
    );
    let lab = Lab::of_and(plan_of(&mapping), "alter table contracts add photo_ref text").await;
    let folder = tempfile::tempdir().expect("a folder");
    let target = open(&lab).await.with_objects(store(folder.path()));
    (Lab { target: std::sync::Arc::new(target), ..lab.share() }, folder)
}

async fn open(lab: &Lab) -> Target {
    lab.another().await
}

fn store(folder: &Path) -> ObjectStore {
    let url = format!("file://{}", folder.display());
    ObjectStore::open(&url, []).expect("a store")
}

/// Relative paths of all files.
fn files(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(folder, &mut found);
    let relative = |path: &PathBuf| path.strip_prefix(folder).expect("below").display().to_string();
    let mut names: Vec<String> = found.iter().map(relative).collect();
    names.sort();
    names
}

fn photo() -> LegacyValue<'static> {
    Bytes(vec![1, 2, 3].into())
}

async fn references(lab: &Lab) -> Vec<String> {
    lab.texts(
        "select concat_ws('|', number, coalesce(terms, '-'), coalesce(photo_ref, '-'))
         from contracts order by number",
    )
    .await
}

/// `sha256/ab/cdef…` as Postgres computes it.
async fn address(lab: &Lab, content: &str) -> String {
    lab.text(&format!(
        "select 'sha256/' || left(h, 2) || '/' || substr(h, 3)
         from encode(sha256(convert_to('{content}', 'UTF8')), 'hex') as h"
    ))
    .await
}

#[tokio::test]
async fn an_object_is_put_once_and_referred_to_by_its_content() {
    let (lab, folder) = lab().await;
    let row = |number| with(contract(number, 1, "Гэрээ"), &[("Photo", photo())]);
    for _ in 0..2 {
        lab.batch()
            .upsert(C, row("A"), at(10))
            .upsert(C, row("B"), at(11))
            .apply(&lab.target)
            .await;
    }
    let terms = address(&lab, "Гэрээ").await;
    assert_eq!(
        references(&lab).await,
        [format!("A|{terms}|{PHOTO}"), format!("B|{terms}|{PHOTO}")]
    );
    let mut wanted = vec![terms.clone(), PHOTO.to_owned()];
    wanted.sort();
    assert_eq!(files(folder.path()), wanted, "equal contents are one object");
    let store = store(folder.path());
    assert_eq!(store.get(&terms).await.expect("the object"), "Гэрээ".as_bytes());
    assert_eq!(store.get(PHOTO).await.expect("the object"), vec![1, 2, 3]);
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 4, applied 2, stale 2");
}

#[tokio::test]
async fn trap_10_an_unchanged_object_stays_the_one_that_it_was() {
    let (lab, folder) = lab().await;
    lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    let before = references(&lab).await;
    lab.batch().upsert(C, partial("A", 2), at(20)).apply(&lab.target).await;
    assert_eq!(references(&lab).await, before);
    let half = with(contract("A", 3, "y"), &[("Photo", Unchanged)]);
    lab.batch().upsert(C, half, at(30)).apply(&lab.target).await;
    assert_eq!(references(&lab).await, [format!("A|{}|-", address(&lab, "y").await)]);
    assert_eq!(files(folder.path()).len(), 2, "the old one stays: nothing here deletes");
    let none = with(contract("A", 3, ""), &[("Terms", LegacyValue::Null)]);
    lab.batch().upsert(C, none, at(40)).apply(&lab.target).await;
    assert_eq!(references(&lab).await, ["A|-|-"]);
}

#[tokio::test]
async fn the_archive_keeps_the_reference() {
    let text = mapping().replace("soft_delete = \"deleted_at\"", "soft_delete = \"archive\"");
    let lab = Lab::of(plan_of(&text)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let target = open(&lab).await.with_objects(store(folder.path()));
    let wanted = address(&lab, "x").await;
    lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&target).await;
    lab.batch().upsert(C, deleted(partial("A", 1)), at(20)).apply(&target).await;
    assert_eq!(lab.text("select row->>'terms' from ficus.archive").await, wanted);
    lab.batch().upsert(C, partial("A", 1), at(30)).apply(&target).await;
    assert_eq!(lab.text("select terms from contracts").await, wanted);
}

/// `FICUS_TEST_S3_URL`, as for the files of the API (`deploy/test-s3`).
#[tokio::test]
async fn a_copy_sends_large_values_to_s3() {
    let Ok(url) = std::env::var("FICUS_TEST_S3_URL") else {
        return eprintln!("skipped: FICUS_TEST_S3_URL is not set; run deploy/test-s3");
    };
    let options = std::env::vars().filter(|(name, _)| name.starts_with("AWS_"));
    let store = ObjectStore::open(&format!("{url}/copied"), options).expect("a store");
    let (lab, folder) = lab().await;
    let target = open(&lab).await.with_objects(store.clone());
    target.ready().await.expect("the store takes objects");
    for number in ["A", "B"] {
        let row = with(contract(number, 1, "Гэрээ"), &[("Photo", photo())]);
        lab.batch().upsert(C, row, at(10)).apply(&target).await;
    }
    let terms = address(&lab, "Гэрээ").await;
    let wanted = [format!("A|{terms}|{PHOTO}"), format!("B|{terms}|{PHOTO}")];
    assert_eq!(references(&lab).await, wanted);
    assert_eq!(store.get(&terms).await.expect("the object"), "Гэрээ".as_bytes());
    assert_eq!(store.get(PHOTO).await.expect("the object"), vec![1, 2, 3]);
    assert!(files(folder.path()).is_empty());
}

/// The process dies, or is fenced, between the object and the commit.
#[tokio::test]
async fn what_is_lost_in_between_is_an_object_and_never_a_reference() {
    let (lab, folder) = lab().await;
    let nobodys = ChunkProgress {
        chunk: 99,
        epoch: 1,
        last_key: None,
        rows: 1,
        done: false,
        high_watermark: None,
    };
    let builder = lab.batch().upsert(C, contract("A", 1, "x"), at(10));
    let batch = builder.checkpoint(Checkpoint::Chunk(nobodys)).batch;
    let error = lab.target.apply(batch).await.expect_err("nobody's chunk");
    assert!(matches!(error, Error::Fenced { .. }));
    assert_eq!(references(&lab).await, Vec::<String>::new());
    assert_eq!(files(folder.path()), [address(&lab, "x").await], "nobody refers to it");
    lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    assert_eq!(files(folder.path()).len(), 1);
    assert_eq!(references(&lab).await.len(), 1);
}

#[tokio::test]
async fn a_store_that_is_away_loses_no_row() {
    let (lab, folder) = lab().await;
    // The disk is gone, and something else is in its place.
    let root = folder.path().to_owned();
    let away = root.with_extension("away");
    std::fs::rename(&root, &away).expect("moved");
    std::fs::write(&root, b"not a folder").expect("a file");
    let batch = || lab.batch().upsert(C, contract("A", 1, "x"), at(10)).batch;
    let error = lab.target.apply(batch()).await.expect_err("no store");
    assert!(matches!(error, Error::Objects { .. }), "{error:?}");
    assert_eq!(error.disposition(), Disposition::RetrySlowly);
    assert!(error.hint().contains("objects.url"));
    assert!(lab.target.ready().await.is_err());
    assert_eq!(references(&lab).await, Vec::<String>::new());
    assert_eq!(lab.text("select count(*)::text from ficus.quarantine").await, "0");
    // A row without objects needs none.
    let none = with(contract("B", 1, ""), &[("Terms", LegacyValue::Null)]);
    lab.batch().upsert(C, none, at(11)).apply(&lab.target).await;
    std::fs::remove_file(&root).expect("removed");
    std::fs::rename(&away, &root).expect("moved back");
    lab.target.ready().await.expect("it is back");
    lab.target.apply(batch()).await.expect("the same batch again");
    assert_eq!(references(&lab).await.len(), 2);
}

#[tokio::test]
async fn a_mapping_with_objects_needs_a_store() {
    let (lab, _folder) = lab().await;
    let without = open(&lab).await;
    let batch = lab.batch().upsert(C, contract("A", 1, "x"), at(10)).batch;
    let error = without.apply(batch).await.expect_err("no store");
    assert_eq!(
        error.to_string(),
        "the setting objects.url is not usable: the mapping sends contracts.terms, \
         contracts.photo_ref to an object store, and none is set"
    );
    assert_eq!(error.disposition(), Disposition::Stop);
}

#[tokio::test]
async fn an_object_that_was_cut_short_is_put_again() {
    let (lab, folder) = lab().await;
    lab.batch().upsert(C, contract("A", 1, "long terms"), at(10)).apply(&lab.target).await;
    let address = address(&lab, "long terms").await;
    std::fs::write(folder.path().join(&address), b"lo").expect("damaged");
    lab.batch().upsert(C, contract("A", 1, "long terms"), read(20)).apply(&lab.target).await;
    let whole = store(folder.path()).get(&address).await.expect("the object");
    assert_eq!(whole, "long terms".as_bytes());
}

#[tokio::test]
async fn a_row_that_postgres_refuses_is_put_aside_with_its_reference() {
    let (lab, _folder) = lab().await;
    lab.batch()
        .upsert(C, contract("A", 2_000_000, "x"), at(10))
        .upsert(C, contract("B", 1, "y"), at(11))
        .apply(&lab.target)
        .await;
    assert_eq!(references(&lab).await, [format!("B|{}|-", address(&lab, "y").await)]);
    assert_eq!(lab.text("select rule from ficus.quarantine").await, "postgres.23514");
}

/// As much of S3 as is asked for: `HEAD`, `PUT` and `GET` of whole objects.
async fn bucket() -> (std::net::SocketAddr, Bucket) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let kept = Bucket::default();
    let bucket = Bucket::clone(&kept);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bucket = Bucket::clone(&bucket);
            tokio::spawn(async move {
                let mut request = Vec::new();
                while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                    let Some((answer, rest)) = answer(&request, &bucket) else { continue };
                    request = rest;
                    stream.write_all(&answer).await.expect("answered");
                }
            });
        }
    });
    (address, kept)
}

type Bucket = std::sync::Arc<std::sync::Mutex<std::collections::BTreeMap<String, Vec<u8>>>>;

/// The answer to a request that is there to its end, and what follows it.
fn answer(request: &[u8], bucket: &Bucket) -> Option<(Vec<u8>, Vec<u8>)> {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&request[..end]).expect("a head").to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().expect("a length"));
    let body = request.get(end..end + length)?;
    assert!(head.contains("authorization: aws4-hmac-sha256"), "signed: {head}");
    let mut words = head.split(' ');
    let (method, path) = (words.next().expect("a method"), words.next().expect("a path"));
    let mut bucket = bucket.lock().expect("the bucket");
    let found = match method {
        "put" => {
            bucket.insert(path.to_owned(), body.to_vec());
            Some(Vec::new())
        }
        _ => bucket.get(path).cloned(),
    };
    let status = if found.is_some() { "200 OK" } else { "404 Not Found" };
    let content = found.unwrap_or_default();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\netag: \"x\"\r\n\
         last-modified: Fri, 01 Mar 2024 00:00:00 GMT\r\n\r\n",
        content.len()
    )
    .into_bytes();
    if method != "head" {
        answer.extend(content);
    }
    Some((answer, request[end + length..].to_vec()))
}

#[tokio::test]
async fn a_bucket_is_a_url_and_the_usual_variables() {
    let (lab, _folder) = lab().await;
    let (address_of_bucket, bucket) = bucket().await;
    let options = [
        ("AWS_ENDPOINT", format!("http://{address_of_bucket}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_ACCESS_KEY_ID", "key".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_REGION", "eu-1".to_owned()),
    ];
    let options = options.map(|(name, value)| (name.to_owned(), value));
    let store = ObjectStore::open("s3://files/legacy", options).expect("a store");
    assert!(!format!("{store:?}").contains("secret"));
    store.check().await.expect("it takes objects");
    let target = open(&lab).await.with_objects(store.clone());
    for _ in 0..2 {
        lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&target).await;
    }
    let terms = address(&lab, "x").await;
    assert_eq!(references(&lab).await, [format!("A|{terms}|-")]);
    let path = format!("/files/legacy/{terms}");
    assert_eq!(bucket.lock().expect("the bucket").get(&path).map(Vec::as_slice), Some(&b"x"[..]));
    assert_eq!(store.get(&terms).await.expect("the object"), "x".as_bytes());
    assert!(store.get("sha256/00/00").await.is_err());
}
