//! Clients that take their time, or too many places.

use std::time::{Duration, Instant};

use tallyd::http::limits::Limits;
use tallyd::http::refusals::Refusal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::door::*;
use super::raw::loopback;

const SHORT: Duration = Duration::from_millis(300);

fn short() -> Limits {
    Limits {
        handshake_time: SHORT,
        head_time: SHORT,
        body_time: SHORT,
        write_time: SHORT,
        idle_time: SHORT,
        ..Limits::default()
    }
}

/// That something took its deadline, and not much longer.
fn on_time(since: Instant) {
    let took = since.elapsed();
    assert!((SHORT..SHORT * 10).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_client_that_never_begins_the_handshake_is_cut_off() {
    let door = TestDoor::open_with(short(), |_| {});
    let began = Instant::now();
    let mut silent = door.running.connect([127, 0, 0, 1].into()).await;
    let mut half = door.running.connect([127, 0, 0, 1].into()).await;
    half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    assert_eq!(read_to_end(&mut silent).await, b"");
    read_to_end(&mut half).await;
    on_time(began);
    assert_eq!(door.running.refusals.count(Refusal::HandshakeSlow), 2);
}

#[tokio::test]
async fn a_head_that_drips_is_answered_408() {
    let running = loopback(short());
    let mut stream = running.connect([127, 0, 0, 1].into()).await;
    let began = Instant::now();
    let (mut reading, mut writing) = stream.split();
    let drip = async {
        for byte in b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" {
            let _ = writing.write_all(&[*byte]).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let reply = tokio::select! {
        reply = read_reply(&mut reading) => reply.unwrap(),
        () = drip => panic!("the whole head was waited for"),
    };
    on_time(began);
    assert_eq!(reply.status, 408);
}

#[tokio::test]
async fn a_body_that_stalls_is_answered_408() {
    let running = loopback(short());
    let mut stream = running.connect([127, 0, 0, 1].into()).await;
    let began = Instant::now();
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
    let reply = read_reply(&mut stream).await.unwrap();
    on_time(began);
    assert_eq!((reply.status, code(&reply).as_str()), (408, "body-too-slow"));
    read_to_end(&mut stream).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let door = TestDoor::open_with(short(), |_| {});
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    let mut stream = door.connect(door.client(Some(&issued))).await.unwrap();
    assert_eq!(get(&mut stream, "/v1/slow").await.unwrap().status, 204, "being served is not being idle");
    let began = Instant::now();
    assert_eq!(read_to_end(&mut stream).await, b"");
    on_time(began);
}

#[tokio::test]
async fn a_reader_that_stalls_is_cut_off() {
    let limits = Limits { connections_max: 1, ..short() };
    let door = TestDoor::open_with(limits, |_| {});
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    let mut stalled = door.connect(door.client(Some(&issued))).await.unwrap();
    stalled.write_all(b"GET /v1/large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    stalled.read_u8().await.unwrap();
    assert!(door.try_get(Some(&issued)).await.is_err(), "the only place is taken");
    tokio::time::sleep(SHORT * 4).await;
    assert_eq!(door.try_get(Some(&issued)).await.unwrap().status, 200, "the place is free again");
    assert!(read_to_end(&mut stalled).await.len() < LARGE);
}

#[tokio::test]
async fn one_source_cannot_take_all_places() {
    let limits = Limits { connections_max: 4, connections_per_source_max: 2, ..Limits::default() };
    let door = TestDoor::open_with(limits, |_| {});
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    let from = |last: u8| door.running.connect_tls(door.client(Some(&issued)), [127, 0, 0, last].into());
    let first = from(1).await.unwrap();
    let _second = from(1).await.unwrap();
    assert!(from(1).await.is_err());
    assert_eq!(door.running.refusals.count(Refusal::SourceFull), 1);

    let mut another = from(2).await.unwrap();
    assert_eq!(get(&mut another, "/v1/whoami").await.unwrap().status, 200);
    let _fourth = from(3).await.unwrap();
    assert!(from(4).await.is_err());
    assert_eq!(door.running.refusals.count(Refusal::ListenerFull), 1);

    drop(first);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(from(4).await.is_ok(), "a place that was left is free");
}

#[tokio::test]
async fn a_connection_has_a_greatest_age() {
    let limits = Limits { age_max: SHORT, ..Limits::default() };
    let door = TestDoor::open_with(limits, |_| {});
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    let mut stream = door.connect(door.client(Some(&issued))).await.unwrap();
    assert_eq!(get(&mut stream, "/v1/slow").await.unwrap().status, 204, "what is being served is finished");
    assert_eq!(read_to_end(&mut stream).await, b"");
}

#[tokio::test]
async fn a_stop_finishes_what_is_being_served_and_takes_nothing_new() {
    let door = TestDoor::open();
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    let mut busy = door.connect(door.client(Some(&issued))).await.unwrap();
    let mut idle = door.connect(door.client(Some(&issued))).await.unwrap();
    assert_eq!(get(&mut idle, "/v1/whoami").await.unwrap().status, 200);
    busy.write_all(b"GET /v1/slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    door.running.stop.stop();
    assert_eq!(read_reply(&mut busy).await.unwrap().status, 204);
    assert_eq!(read_to_end(&mut idle).await, b"");
    let address = door.running.address.unwrap();
    patiently(door.running.ended).await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_the_drain_time() {
    let limits = Limits { drain_time: Duration::from_millis(100), ..Limits::default() };
    let door = TestDoor::open_with(limits, |_| {});
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    let mut busy = door.connect(door.client(Some(&issued))).await.unwrap();
    busy.write_all(b"GET /v1/slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    door.running.stop.stop();
    patiently(door.running.ended).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    assert!(read_reply(&mut busy).await.is_err());
}
