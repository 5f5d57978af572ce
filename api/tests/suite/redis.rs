//! A Redis for the tests: the real one where the machine has `redis-server`, else a small one that
//! speaks enough of the protocol, and does in Rust what the script says in Lua. The small one tests
//! our client; the script itself is only tested by the real one, so the tests say which it was.

use std::{
    collections::HashMap,
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha1::{Digest as _, Sha1};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::JoinHandle,
};

pub(crate) enum Redis {
    Real(Child),
    Small(JoinHandle<()>),
}

impl Redis {
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        if let Some(child) = real(address).await {
            return (Self::Real(child), address);
        }
        eprintln!("there is no redis-server on this machine: a small one of our own stands in");
        let listener = TcpListener::bind(address).await.expect("the port");
        (Self::Small(tokio::spawn(serve(listener))), address)
    }

    /// Still there and connected, but it does not answer; `false` where it can't be made to.
    pub(crate) async fn hang(&self) -> bool {
        let Self::Real(child) = self else { return false };
        let Some(id) = child.id() else { return false };
        let stopped = Command::new("kill").args(["-STOP", &id.to_string()]).status().await;
        stopped.is_ok_and(|status| status.success())
    }

    /// After [`hang`](Self::hang).
    pub(crate) async fn go_on(&self) {
        let Self::Real(child) = self else { return };
        let id = child.id().expect("it runs").to_string();
        Command::new("kill").args(["-CONT", &id]).status().await.expect("it goes on");
    }

    pub(crate) async fn stop(self) {
        match self {
            Self::Real(mut child) => child.kill().await.expect("it ends"),
            Self::Small(task) => task.abort(),
        }
    }
}

async fn real(address: SocketAddr) -> Option<Child> {
    let port = address.port().to_string();
    let arguments = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port];
    let mut command = Command::new("redis-server");
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let child = command.spawn().ok()?;
    for _ in 0..500 {
        if TcpStream::connect(address).await.is_ok() {
            return Some(child);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
}

type Buckets = Arc<Mutex<HashMap<Vec<u8>, u64>>>;

/// Connections end with the task: they are its own.
async fn serve(listener: TcpListener) {
    let buckets = Buckets::default();
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let buckets = Arc::clone(&buckets);
        connections.spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut knows_script = false;
            while let Some(command) = read(&mut stream).await {
                let answer = answer(&command, &mut knows_script, &buckets);
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// An array of bulk strings, which every command is.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Vec<Vec<u8>>> {
    let count = number(stream).await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; number(stream).await? + 2];
        stream.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        words.push(word);
    }
    Some(words)
}

async fn number(stream: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.trim_end().get(1..)?.parse().ok()
}

fn answer(command: &[Vec<u8>], knows_script: &mut bool, buckets: &Buckets) -> String {
    let word = |at: usize| String::from_utf8_lossy(&command[at]).to_uppercase();
    match word(0).as_str() {
        "SCRIPT" => {
            *knows_script = true;
            let hash: String =
                Sha1::digest(&command[2]).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("${}\r\n{hash}\r\n", hash.len())
        }
        "EVALSHA" if !*knows_script => "-NOSCRIPT No matching script.\r\n".to_owned(),
        "EVALSHA" => {
            let number = |at: usize| word(at).parse::<u64>().expect("a number");
            format!(":{}\r\n", take(buckets, &command[3], number(4), number(5)))
        }
        _ => "+OK\r\n".to_owned(),
    }
}

fn take(buckets: &Buckets, key: &[u8], cost: u64, room: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
    let now = u64::try_from(now).expect("before 586524");
    let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
    let tat = buckets.get(key).copied().unwrap_or(0).max(now) + cost;
    if tat > now + room {
        return tat - now - room;
    }
    buckets.insert(key.to_vec(), tat);
    0
}
