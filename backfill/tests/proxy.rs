//! A wire that breaks after so many bytes.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Passes connections on, and resets each after the server has said so many bytes; when there are
/// no more cuts it lets them live.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    cuts: Arc<Mutex<Vec<usize>>>,
}

impl Proxy {
    /// `cuts`: one for each connection, in turn.
    pub(crate) async fn start(server: SocketAddr, mut cuts: Vec<usize>) -> Self {
        cuts.reverse();
        let cuts = Arc::new(Mutex::new(cuts));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let left = Arc::clone(&cuts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let cut = left.lock().unwrap().pop().unwrap_or(usize::MAX);
                tokio::spawn(pass(client, server, cut));
            }
        });
        Self { address, cuts }
    }

    /// Cuts that are still to come.
    pub(crate) fn left(&self) -> usize {
        self.cuts.lock().unwrap().len()
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, mut cut: usize) {
    let mut server = TcpStream::connect(server).await.unwrap();
    let (mut question, mut answer) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut question) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => if server.write_all(&question[..count]).await.is_err() { return },
            },
            read = server.read(&mut answer) => {
                let count = read.unwrap_or(0).min(cut);
                if client.write_all(&answer[..count]).await.is_err() {
                    return;
                }
                cut -= count;
                if count == 0 || cut == 0 {
                    // Not the end of a stream but its loss.
                    client.set_zero_linger().unwrap();
                    return;
                }
            }
        }
    }
}
