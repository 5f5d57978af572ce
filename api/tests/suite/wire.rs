//! What a polite client does not send: the facade byte by byte.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::lab::{Lab, Server, owner};

const LIMIT: Duration = Duration::from_secs(10);

/// A legacy application of one connection: gives a prepared answer when what came ends so, and
/// returns what came.
async fn scripted(
    end: &'static str,
    answer: &'static str,
) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let came = until(&mut stream, end).await;
        stream.write_all(answer.as_bytes()).await.expect("answered");
        came
    });
    (address, task)
}

async fn until(stream: &mut TcpStream, end: &str) -> String {
    let (mut came, mut part) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&came).contains(end) {
        let read = tokio::time::timeout(LIMIT, stream.read(&mut part)).await;
        let read = read.unwrap_or_else(|_| panic!("{end:?} did not come: {came:?}"));
        match read.expect("bytes") {
            0 => break,
            read => came.extend_from_slice(&part[..read]),
        }
    }
    String::from_utf8_lossy(&came).into_owned()
}

async fn before(lab: &Lab, legacy: SocketAddr) -> Server {
    lab.serve_with(lab.api_pool(2).await, Some(format!("http://{legacy}"))).await
}

async fn send(server: &Server, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

#[tokio::test]
async fn a_length_and_chunks_together_smuggle_nothing() {
    let lab = Lab::new().await;
    let (legacy, came) =
        scripted("\r\n0\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let server = before(&lab, legacy).await;
    let request = "POST /v2/meters HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\
                   transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let answer = until(&mut send(&server, request).await, "\r\n\r\n").await;
    // Refused, or passed on with one meaning.
    if answer.starts_with("HTTP/1.1 200") {
        let came = came.await.expect("what came").to_lowercase();
        assert!(!came.contains("content-length") && came.contains("hello"), "{came}");
    } else {
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
}

#[tokio::test]
async fn headers_are_not_made_out_of_values() {
    let lab = Lab::new().await;
    let (legacy, came) = scripted("\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let server = before(&lab, legacy).await;
    for bad in ["x-a: 1\rx-evil: 1", "x-a : 1", "x-a: 1\r\n x-evil: 1", "x-a: \0"] {
        let request = format!("GET /v2/meters HTTP/1.1\r\nhost: x\r\n{bad}\r\n\r\n");
        let answer = until(&mut send(&server, &request).await, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{bad:?}: {answer}");
    }
    let request = "GET /v2/meters/a%0d%0aX-Evil:%201?b=%0d%0aX-Evil:1 HTTP/1.1\r\nhost: x\r\n\
                   x-correlation-id: a%0d%0ax-evil: 1\r\n\r\n";
    until(&mut send(&server, request).await, "\r\n\r\n").await;
    let came = came.await.expect("what came").to_lowercase();
    assert!(!came.lines().any(|line| line.starts_with("x-evil")), "{came}");
    assert!(came.starts_with("get /v2/meters/a%0d%0ax-evil:%201?b=%0d%0ax-evil:1 "), "{came}");
}

#[tokio::test]
async fn news_before_the_answer_do_not_harm_it() {
    let lab = Lab::new().await;
    let answer = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
                  HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok";
    let (legacy, came) = scripted("body", answer).await;
    let server = before(&lab, legacy).await;
    let request = "POST /v2/meters HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
                   content-length: 4\r\n\r\n";
    let mut stream = send(&server, request).await;
    let told = until(&mut stream, "\r\n\r\n").await;
    assert!(told.starts_with("HTTP/1.1 100 Continue"), "{told}");
    stream.write_all(b"body").await.expect("sent");
    let answer = until(&mut stream, "ok").await;
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
    assert!(!came.await.expect("what came").to_lowercase().contains("expect"));
}

#[tokio::test]
async fn a_head_has_the_headers_of_a_get_and_no_body() {
    let lab = Lab::new().await;
    let (legacy, came) =
        scripted("\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\netag: \"1\"\r\n\r\n")
            .await;
    let server = before(&lab, legacy).await;
    let request = "HEAD /v2/meters HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut stream = send(&server, request).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.contains("content-length: 1000") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(came.await.expect("what came").starts_with("HEAD "));
}

#[tokio::test]
async fn a_websocket_goes_through_both_ways() {
    let lab = Lab::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = before(&lab, listener.local_addr().expect("an address")).await;
    let legacy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let asked = until(&mut stream, "\r\n\r\n").await;
        let answer = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                      connection: upgrade\r\nsec-websocket-accept: yes\r\n\r\nfirst";
        stream.write_all(answer.as_bytes()).await.expect("answered");
        let more = until(&mut stream, "ping").await;
        stream.write_all(b"pong").await.expect("sent");
        (asked, more)
    });
    let request = "GET /_blazor?id=1 HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-key: key\r\n\r\n";
    let mut stream = send(&server, request).await;
    let opened = until(&mut stream, "first").await.to_lowercase();
    assert!(opened.starts_with("http/1.1 101"), "{opened}");
    for header in ["upgrade: websocket", "connection: upgrade", "sec-websocket-accept: yes"] {
        assert!(opened.contains(header), "{opened}");
    }
    stream.write_all(b"ping").await.expect("sent");
    assert_eq!(until(&mut stream, "pong").await, "pong");
    let (asked, _) = legacy.await.expect("the legacy side");
    let asked = asked.to_lowercase();
    assert!(
        asked.contains("upgrade: websocket") && asked.contains("connection: upgrade"),
        "{asked}"
    );
    assert_eq!(until(&mut stream, "never").await, "", "the end comes through, too");
}

#[tokio::test]
async fn a_protocol_that_nobody_asked_for_is_refused() {
    let lab = Lab::new().await;
    let (legacy, came) =
        scripted("\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n").await;
    let server = before(&lab, legacy).await;
    let request =
        "GET /v2/meters HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n";
    let answer = until(&mut send(&server, request).await, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(!came.await.expect("what came").to_lowercase().contains("h2c"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    let lab = Lab::new().await;
    let (legacy, _) =
        scripted("\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").await;
    let server = before(&lab, legacy).await;
    let request = "GET /v2/meters HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut stream = send(&server, request).await;
    let mut answer = Vec::new();
    // An end or a reset, but not a hundred bytes.
    let _broken = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("content-length: 100") && answer.ends_with("only this"), "{answer}");
    let client = server.client(&lab.token(&owner(1)).await);
    assert_eq!(client.get("/v2/contracts").await.status, 200, "ours go on");
}
