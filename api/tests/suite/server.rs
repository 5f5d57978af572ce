//! Slow clients, and the end.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::lab::{Lab, owner};

#[tokio::test]
async fn a_client_that_dawdles_over_its_headers_is_cut_off() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(b"GET /v2/contracts HTTP/1.1\r\nhost: x\r\n").await.expect("sent");
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(25), stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok(), "the connection is still open");
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_and_waits_for_no_idle_client() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    assert_eq!(client.get("/v2/tenants").await.status, 200); // and stays connected
    let mut lock = lab.admin.begin().await.expect("a transaction");
    sqlx::query("lock table contracts").execute(&mut *lock).await.expect("the lock");
    let under_way = tokio::spawn({
        let client = client.clone();
        async move { client.get("/v2/contracts").await.status }
    });
    let waits = "select exists (select from pg_locks where not granted)";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&lab.admin).await.expect("locks") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.stop.cancel();
    let started = Instant::now();
    while TcpStream::connect(server.address).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(5), "still accepting");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!server.task.is_finished());
    lock.rollback().await.expect("unlocked");
    assert_eq!(under_way.await.expect("a task"), 200);
    let ended = tokio::time::timeout(Duration::from_secs(5), server.task).await;
    ended.expect("in time").expect("a task").expect("no failure");
}
