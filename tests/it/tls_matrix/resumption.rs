//! No session is ever resumed and no early data taken: a resumed session would skip the certificate.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::server::ServerSessionMemoryCache;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection};

use super::door::*;

/// How the second of two connections with one client's session store began, and whether it could send early data.
fn second_connection(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> (HandshakeKind, bool) {
    let connect = || {
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        let early = client.early_data().is_some();
        client.writer().write_all(b"hello").unwrap();
        let mut wire = Vec::new();
        // Six turns are more than any handshake takes, tickets included.
        for _ in 0..6 {
            wire.clear();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            deliver(&wire, |bytes| server.read_tls(bytes).map(|_| server.process_new_packets().map(drop)));
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            deliver(&wire, |bytes| client.read_tls(bytes).map(|_| client.process_new_packets().map(drop)));
        }
        let mut hello = [0; 5];
        server.reader().read_exact(&mut hello).unwrap();
        (server.handshake_kind().unwrap(), early)
    };
    connect();
    connect()
}

fn deliver(mut wire: &[u8], mut take: impl FnMut(&mut &[u8]) -> std::io::Result<Result<(), rustls::Error>>) {
    while !wire.is_empty() {
        take(&mut wire).unwrap().unwrap();
    }
}

#[tokio::test]
async fn no_session_is_resumed_and_no_early_data_taken() {
    let door = TestDoor::open();
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    for (version, kind_of_control) in [(&TLS12, HandshakeKind::Resumed), (&TLS13, HandshakeKind::Resumed)] {
        let mut client = client_config(&door.pki, Some(&issued), &[version]);
        client.resumption = Resumption::in_memory_sessions(16);
        client.enable_early_data = true;
        let client = Arc::new(client);

        let (kind, early) = second_connection(&door.tls.server_config(), &client);
        assert_eq!((kind, early), (HandshakeKind::Full, false), "{version:?}");

        // The control: with rustls's own defaults the same client does get back in without its certificate.
        let mut lenient = ServerConfig::clone(&door.tls.server_config());
        lenient.session_storage = ServerSessionMemoryCache::new(16);
        lenient.send_tls13_tickets = 2;
        lenient.max_early_data_size = 1024;
        let (kind, early) = second_connection(&Arc::new(lenient), &client);
        assert_eq!((kind, early), (kind_of_control, *version == TLS13), "{version:?}");
    }
}

#[tokio::test]
async fn only_http_1_1_is_agreed_on() {
    let door = TestDoor::open();
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    for (offered, agreed) in [
        (vec![b"h2".to_vec()], Err(())),
        (vec![b"h2".to_vec(), b"http/1.1".to_vec()], Ok(Some(b"http/1.1".to_vec()))),
        (vec![], Ok(None)),
    ] {
        let mut config = door.client(Some(&issued));
        config.alpn_protocols = offered;
        let outcome = door.connect(config).await;
        let protocol = outcome.map(|stream| stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)).map_err(|_| ());
        assert_eq!(protocol, agreed);
    }
}
