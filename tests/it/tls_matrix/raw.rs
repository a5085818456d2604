//! Raw requests and the status that each deserves, over a plain socket and behind TLS.

use tokio::io::AsyncWriteExt;

use super::door::*;

const OK: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

/// What the statuses are for a connection's whole input.
const CORPUS: &[(&str, &[u16])] = &[
    (OK, &[200]),
    ("GET /healthz HTTP/1.0\r\nHost: a\r\n\r\n", &[200]),
    ("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[200]),
    ("GET /healthz?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", &[200]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", &[200]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", &[200]),
    ("POST /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[405]),
    ("PUT /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[405]),
    ("TRACE /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[405]),
    ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", &[404]),
    ("GET //healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[404]),
    ("GET /%68ealthz HTTP/1.1\r\nHost: a\r\n\r\n", &[404]),
    ("GET /x/../healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[404]),
    ("GET /healthz\0 HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("GET /healthz HTTP/1.1\nHost: a\n\n", &[400]),
    ("GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", &[400]),
    ("GET /healthz HTTP/1.1\r\n\r\n", &[400]),
    ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400]),
    ("GET /healthz HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", &[400]),
    ("GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n", &[400]),
    ("GET http://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("GET /healthz\r\nHost: a\r\n\r\n", &[400]),
    ("\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505]),
    ("GET /healthz HTTP/3.0\r\nHost: a\r\n\r\n", &[505]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", &[400]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 4\r\n\r\nabc", &[400]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc", &[400]),
    ("POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nabc", &[501]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n", &[400]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", &[400]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n", &[400]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", &[413]),
    ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n70\r\n", &[400]),
];

#[tokio::test]
async fn raw_requests_get_the_status_that_they_deserve() {
    let running = loopback(Default::default());
    for (text, statuses) in CORPUS {
        assert_eq!(statuses_of(&running, text.as_bytes()).await, *statuses, "{text:?}");
        // Behind a good request on the same connection it is the same, and the good one is answered.
        let both = format!("{OK}{text}");
        let expected: Vec<u16> = std::iter::once(200).chain(statuses.iter().copied()).collect();
        assert_eq!(statuses_of(&running, both.as_bytes()).await, expected, "pipelined: {text:?}");
    }
}

#[tokio::test]
async fn nothing_after_a_refused_request_is_served() {
    let running = loopback(Default::default());
    let smuggled = format!("GET /healthz HTTP/1.1\n\n{OK}{OK}");
    assert_eq!(statuses_of(&running, smuggled.as_bytes()).await, [400]);
    let early_end = format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{OK}"
    );
    assert_eq!(statuses_of(&running, early_end.as_bytes()).await, [400]);
}

#[tokio::test]
async fn heads_that_are_too_large_are_told_so() {
    let running = loopback(Default::default());
    let fields = |count: usize| format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(statuses_of(&running, fields(64).as_bytes()).await, [200]);
    assert_eq!(statuses_of(&running, fields(65).as_bytes()).await, [431]);
    let large = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(100_000));
    assert_eq!(statuses_of(&running, large.as_bytes()).await, [431]);
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(100_000));
    assert_eq!(statuses_of(&running, long.as_bytes()).await, [414]);
}

#[tokio::test]
async fn refusals_are_problem_documents_with_the_id_of_their_request() {
    let running = loopback(Default::default());
    let mut stream = running.connect([127, 0, 0, 1].into()).await;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let reply = read_reply(&mut stream).await.unwrap();
    assert_eq!(code(&reply), "malformed-request");
    let head = reply.head.to_ascii_lowercase();
    assert!(head.contains("content-type: application/problem+json") && head.contains("connection: close"), "{head}");
    let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    assert!(reply.body.contains(id), "{}", reply.body);
    assert_eq!(read_to_end(&mut stream).await, b"");
}

#[tokio::test]
async fn behind_tls_the_bytes_are_held_to_the_same_rules() {
    let door = TestDoor::open();
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    for (text, status) in [
        ("GET /v1/whoami HTTP/1.1\nHost: a\n\n", 400),
        ("GET /v1/whoami HTTP/1.1\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("POST /v1/echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413),
    ] {
        let mut stream = door.connect(door.client(Some(&issued))).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(read_reply(&mut stream).await.unwrap().status, status, "{text:?}");
        assert_eq!(read_to_end(&mut stream).await, b"", "{text:?}");
    }
    let mut stream = door.connect(door.client(Some(&issued))).await.unwrap();
    for piece in ["POST /v1/echo/a:b-1 HTTP/1.1\r\nHo", "st: a\r\nContent-Le", "ngth: 5\r\n\r", "\nab", "cde"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(read_reply(&mut stream).await.unwrap().body, "a:b-1 5");
}

pub(super) fn loopback(limits: tallyd::http::limits::Limits) -> Running {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refusals = std::sync::Arc::new(tallyd::http::refusals::Refusals::new(5));
    run(tallyd::http::listener::Doorway::Loopback(socket), limits, refusals)
}

/// Sends everything at once, ends the sending side, and reads the statuses of all answers.
async fn statuses_of(running: &Running, bytes: &[u8]) -> Vec<u16> {
    let mut stream = running.connect([127, 0, 0, 1].into()).await;
    // A server that has answered already need not take all of it.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let text = String::from_utf8(read_to_end(&mut stream).await).unwrap();
    text.match_indices("HTTP/1.").filter_map(|(place, _)| text.get(place + 9..place + 12)?.parse().ok()).collect()
}
