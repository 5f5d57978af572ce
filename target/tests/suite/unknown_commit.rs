//! F05, F08: the connection is lost in the COMMIT itself, and the server did, or did not.
//!
//! A proxy between target and Postgres cuts the connection when it sees `commit`, before it sends
//! it on or after the server has answered.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use secrecy::SecretString;
use sqlx::Row as _;
use target::{Checkpoint, Role, Settings, Target, batch::OffsetAdvance};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

use crate::lab::{Lab, at, contract, plan, short};

const PASS: u8 = 0;
const CUT_BEFORE: u8 = 1;
const CUT_AFTER: u8 = 2;

struct Proxy {
    folder: PathBuf,
    mode: Arc<AtomicU8>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Proxy {
    /// Listens in a folder of its own and sends everything on to `server`.
    fn start(name: &str, server: PathBuf) -> Self {
        let folder = std::env::temp_dir().join(format!("fx-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).expect("a socket");
        let mode = Arc::new(AtomicU8::new(PASS));
        let shared = Arc::clone(&mode);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&server).await.expect("the server");
                tokio::spawn(relay(client, server, Arc::clone(&shared)));
            }
        });
        Self { folder, mode }
    }
}

async fn relay(mut client: UnixStream, mut server: UnixStream, mode: Arc<AtomicU8>) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut cut_after_answer = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                let is_commit = up[..count].windows(7).any(|bytes| bytes == b"commit\0");
                if is_commit {
                    match mode.swap(PASS, Ordering::SeqCst) {
                        CUT_BEFORE => return,
                        CUT_AFTER => cut_after_answer = true,
                        _ => {}
                    }
                }
                if server.write_all(&up[..count]).await.is_err() { return }
            }
            read = server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if cut_after_answer { return }
                if client.write_all(&down[..count]).await.is_err() { return }
            }
        }
    }
}

fn checkpoint(expected: i64, epoch: i64) -> Checkpoint {
    Checkpoint::Offsets {
        group: "g".to_owned(),
        advances: vec![OffsetAdvance {
            topic: "t".to_owned(),
            partition: 0,
            expected,
            next: expected + 1,
            epoch,
            commit_lsn: None,
            source_ts_ms: None,
            fingerprint: None,
            kafka_ts_ms: None,
        }],
    }
}

async fn through_proxy(lab: &Lab, name: &str) -> (Proxy, Target) {
    let row = lab.rows("select current_setting('unix_socket_directories') as folder, current_database()::text as name").await;
    let sockets: String = row[0].get("folder");
    let database: String = row[0].get("name");
    let proxy = Proxy::start(name, PathBuf::from(sockets).join(".s.PGSQL.5432"));
    let host = proxy.folder.display().to_string().replace('/', "%2F");
    let url =
        SecretString::from(format!("postgres://postgres@localhost:5432/{database}?host={host}"));
    let settings = Settings { url, role: Role::Engine, set_role: true, max_connections: 4 };
    let pool = target::connect(&settings).await.expect("a pool");
    let target = Target::open(pool, Arc::new(plan())).await.expect("a target");
    (proxy, target)
}

async fn lose_commits(how: u8, name: &str) {
    let lab = Lab::new().await;
    let (proxy, target) = through_proxy(&lab, name).await;
    let epoch = target.claim_partition("g", "t", 0, "me").await.expect("a claim").epoch;
    for round in 0..5_i64 {
        let position = at(u64::try_from(round).expect("few") + 1);
        proxy.mode.store(how, Ordering::SeqCst);
        lab.batch()
            .upsert("Contract", contract("A", round, "x"), position)
            .checkpoint(checkpoint(round, epoch))
            .apply(&target)
            .await;
        assert_eq!(proxy.mode.load(Ordering::SeqCst), PASS, "the commit was lost");
    }
    // Without a checkpoint, the transaction's own number tells.
    proxy.mode.store(how, Ordering::SeqCst);
    lab.batch().upsert("Contract", contract("B", 1, "x"), at(9)).apply(&target).await;
    assert_eq!(lab.contracts().await, ["A|400|x|live|1", "B|100|x|live|1"]);
    assert_eq!(target.positions().await.expect("positions")[0].next_offset, 5);
    // Neither lost nor written twice: every row is counted exactly once.
    assert_eq!(short(&lab.counts("dbo.Contract", "stream").await), "read 5, applied 5");
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 1, applied 1");
}

#[tokio::test]
async fn f08_the_server_did_commit() {
    lose_commits(CUT_AFTER, "a").await;
}

#[tokio::test]
async fn f08_the_server_did_not_commit() {
    lose_commits(CUT_BEFORE, "b").await;
}
