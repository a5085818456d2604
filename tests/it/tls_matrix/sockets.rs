//! Unix sockets, where the kernel says who is calling, and the loopback door.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use tallyd::http::keeper::SocketKeeper;
use tallyd::http::limits::Limits;
use tallyd::http::listener::Doorway;
use tallyd::http::refusals::{Refusal, Refusals};
use tokio::net::UnixStream;

use super::door::*;
use super::raw::loopback;

async fn ask_as_operator(name: &str, users: impl FnOnce(u32) -> BTreeSet<u32>) -> (Result<Reply, String>, u32, u64) {
    let path = std::env::temp_dir().join(format!("tallyd-{name}-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let socket = UnixListener::bind(&path).unwrap();
    let own = std::fs::metadata(&path).unwrap().uid();
    let keeper = SocketKeeper::Operators {
        users: users(own),
        groups: BTreeSet::new(),
        mail_systems: BTreeSet::new(),
        name_of: Arc::new(|_| None),
    };
    let running = run(Doorway::Socket(socket, keeper), Limits::default(), Arc::new(Refusals::new(5)));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let outcome = get(&mut stream, "/v1/uid").await;
    std::fs::remove_file(&path).unwrap();
    (outcome, own, running.refusals.count(Refusal::SocketPeer))
}

#[tokio::test]
async fn an_operator_is_who_the_kernel_says() {
    let (outcome, own, refused) = ask_as_operator("operator", |own| BTreeSet::from([own])).await;
    assert_eq!((outcome.unwrap().body, refused), (own.to_string(), 0));
}

#[tokio::test]
async fn another_user_is_not_heard() {
    let (outcome, _, refused) = ask_as_operator("stranger", |own| BTreeSet::from([own + 1])).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn the_metrics_door_answers_on_loopback() {
    let running = loopback(Limits::default());
    let mut stream = running.connect([127, 0, 0, 1].into()).await;
    assert_eq!(get(&mut stream, "/healthz").await.unwrap().body, "alive\n");
    assert_eq!(get(&mut stream, "/readyz").await.unwrap().status, 200);
    let figures = get(&mut stream, "/metrics").await.unwrap();
    assert!(figures.head.contains("application/openmetrics-text") && figures.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_door_without_tls_opens_on_loopback_only() {
    let socket = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let health = Arc::new(tallyd::http::health::Health {
        registry: Default::default(),
        readiness: Box::new(|| tallyd::http::health::Readiness::Ready),
    });
    let opened = tallyd::http::listener::Listener::open(
        Doorway::Loopback(socket),
        Arc::new(tallyd::http::route::Router::new([]).unwrap()),
        health,
        Limits::default(),
        surroundings(Arc::new(Refusals::new(5))),
    );
    assert!(opened.is_err());
}
