//! Load over HTTP: connections that are kept, each with one request at a time, and as little as
//! can be done for an answer, because the load shares the cores with the server.

use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::CONNECTIONS;

pub(crate) struct Load {
    address: SocketAddr,
    requests: Vec<String>,
}

/// How long each answer took, in microseconds, in order.
pub(crate) struct Answers(Vec<u32>);

/// Of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Latency {
    p50_us: u32,
    p99_us: u32,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u32| f64::from(us) / 1000.0;
        write!(f, "p50 {:.1} ms, p99 {:.1} ms", ms(self.p50_us), ms(self.p99_us))
    }
}

impl Answers {
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }

    pub(crate) fn latency(&self) -> Latency {
        let at = |percent: usize| {
            let last = self.0.len().saturating_sub(1);
            self.0.get((self.0.len() * percent / 100).min(last)).copied().unwrap_or_default()
        };
        Latency { p50_us: at(50), p99_us: at(99) }
    }
}

impl Load {
    pub(crate) fn new(address: SocketAddr, token: &str, paths: Vec<String>) -> Self {
        let request = |path| {
            format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n")
        };
        Self { address, requests: paths.into_iter().map(request).collect() }
    }

    /// Asks for so long. Any answer but 200 is an error.
    pub(crate) async fn run(&self, time: Duration) -> anyhow::Result<Answers> {
        let mut tasks = JoinSet::new();
        for connection in 0..CONNECTIONS {
            let mut requests = self.requests.clone();
            let shift = usize::try_from(connection)? * 7 % requests.len().max(1);
            requests.rotate_left(shift);
            tasks.spawn(ask(self.address, requests, time));
        }
        let mut all = Vec::new();
        while let Some(took) = tasks.join_next().await {
            all.extend(took??);
        }
        all.sort_unstable();
        Ok(Answers(all))
    }
}

async fn ask(
    address: SocketAddr,
    requests: Vec<String>,
    time: Duration,
) -> anyhow::Result<Vec<u32>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (began, mut took, mut bytes) = (Instant::now(), Vec::new(), Vec::with_capacity(64 << 10));
    for request in requests.iter().cycle() {
        let asked = Instant::now();
        if asked.duration_since(began) >= time {
            break;
        }
        stream.write_all(request.as_bytes()).await?;
        answer(&mut stream, &mut bytes).await?;
        took.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(took)
}

/// Reads one answer to its end.
async fn answer(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
    bytes.clear();
    loop {
        ensure!(stream.read_buf(bytes).await? > 0, "the server ended the connection");
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(bytes.get(..head).unwrap_or_default())?;
        ensure!(text.starts_with("HTTP/1.1 200"), "{text}");
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        let whole = head + 4 + length.with_context(|| format!("no length: {text}"))?;
        while bytes.len() < whole {
            ensure!(stream.read_buf(bytes).await? > 0, "an answer broke off");
        }
        return Ok(());
    }
}
