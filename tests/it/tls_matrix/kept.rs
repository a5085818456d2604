//! Certificates that stop being good while their connection is open.

use super::door::*;

#[tokio::test]
async fn a_certificate_that_is_revoked_by_a_reload_is_refused_on_its_next_request() {
    let mut door = TestDoor::open();
    let (kept, other) =
        (door.pki.partners_test.issue(&exempel()).unwrap(), door.pki.partners_test.issue(&exempel()).unwrap());
    let mut stream = door.connect(door.client(Some(&kept))).await.unwrap();
    let mut other_stream = door.connect(door.client(Some(&other))).await.unwrap();
    assert_eq!(get(&mut stream, "/v1/whoami").await.unwrap().status, 200);
    door.pki.partners_test.revoke(&kept, start()).unwrap();
    assert_eq!(get(&mut stream, "/v1/whoami").await.unwrap().status, 200, "nobody has reloaded yet");
    door.reload();
    refused_and_closed(&mut stream).await;
    for _ in 0..3 {
        assert_eq!(
            get(&mut other_stream, "/v1/whoami").await.unwrap().status,
            200,
            "an open connection outlives a reload"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_expires_is_refused_on_its_next_request() {
    let door = TestDoor::open();
    let mut leaf = exempel();
    leaf.not_after = start().after(HOUR);
    let issued = door.pki.partners_test.issue(&leaf).unwrap();
    let mut stream = door.connect(door.client(Some(&issued))).await.unwrap();
    door.pass_time(HOUR);
    assert_eq!(get(&mut stream, "/v1/whoami").await.unwrap().status, 200, "valid up to and with its last second");
    door.pass_time(std::time::Duration::from_secs(1));
    refused_and_closed(&mut stream).await;
}

#[tokio::test]
async fn a_revocation_list_that_runs_out_closes_kept_connections_until_a_new_one_is_loaded() {
    let mut door = TestDoor::open();
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    let mut stream = door.connect(door.client(Some(&issued))).await.unwrap();
    let mut patient = door.connect(door.client(Some(&issued))).await.unwrap();
    assert_eq!(get(&mut stream, "/v1/whoami").await.unwrap().status, 200);
    door.pass_time(HOUR * 24 * 7);
    refused_and_closed(&mut stream).await;
    door.reload();
    assert_eq!(get(&mut patient, "/v1/whoami").await.unwrap().status, 200);
}

#[tokio::test]
async fn an_authority_that_is_no_longer_trusted_takes_its_connections_along() {
    let mut door = TestDoor::open();
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    let mut stream = door.connect(door.client(Some(&issued))).await.unwrap();
    assert_eq!(get(&mut stream, "/v1/whoami").await.unwrap().status, 200);
    std::mem::swap(&mut door.pki.partners_test, &mut door.pki.partners_production);
    door.reload();
    refused_and_closed(&mut stream).await;
}

async fn refused_and_closed(stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin)) {
    let reply = get(stream, "/v1/whoami").await.unwrap();
    assert_eq!((reply.status, code(&reply).as_str()), (401, "certificate-no-longer-valid"));
    assert!(reply.head.to_ascii_lowercase().contains("connection: close"));
    assert_eq!(read_to_end(stream).await, b"");
}
