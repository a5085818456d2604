//! Which certificates get in, over a full handshake.

use tallyd::cli::certs::pki::{Attribute, Authority, Constraints, Issued, Usage};
use tallyd::domain::digest::Fingerprint;
use tallyd::domain::time::Timestamp;
use tallyd::http::identity::{OrganisationAttribute, Peer};
use tallyd::http::keeper::{Keeper, PeerBook, PeerRule};
use tallyd::http::refusals::Refusal;
use tallyd::http::tls::{NamedFile, TlsProblem};

use super::door::*;

async fn refused_in_the_handshake(door: &TestDoor, issued: Option<&Issued>, name: &str) {
    let outcome = door.try_get(issued).await;
    assert!(outcome.is_err(), "{name}: {outcome:?}");
}

#[tokio::test]
async fn the_organisations_own_certificates_get_in() {
    let door = TestDoor::open();
    let renewed = exempel();
    let intermediate = door.pki.partners_test.subordinate("Issuing", start(), &Constraints::default()).unwrap();
    for issued in [door.pki.partners_test.issue(&exempel()), door.pki.partners_test.issue(&renewed)] {
        let reply = door.try_get(Some(&issued.unwrap())).await.unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (200, "5590000005"));
    }
    // An intermediate authority's certificates need a revocation list of its own.
    refused_in_the_handshake(&door, Some(&intermediate.issue(&exempel()).unwrap()), "no list of the issuer").await;
}

#[tokio::test]
async fn an_rsa_certificate_gets_in() {
    let arguments = ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let made = std::process::Command::new("openssl").args(arguments.iter().filter(|word| **word != "-quiet")).output();
    let key = String::from_utf8(made.unwrap().stdout).unwrap();
    let door = TestDoor::open();
    let issued = door.pki.partners_test.issue_for_key(&exempel(), &key).unwrap();
    assert_eq!(door.try_get(Some(&issued)).await.unwrap().status, 200);
}

#[tokio::test]
async fn certificates_that_prove_nothing_are_refused_in_the_handshake() {
    let mut revoked = None;
    let mut door = TestDoor::open_with(Default::default(), |pki| {
        let issued = pki.partners_test.issue(&exempel()).unwrap();
        pki.partners_test.revoke(&issued, start()).unwrap();
        revoked = Some(issued);
    });
    let authority = &door.pki.partners_test;
    let with = |change: fn(&mut tallyd::cli::certs::pki::Leaf)| {
        let mut leaf = exempel();
        change(&mut leaf);
        authority.issue(&leaf).unwrap()
    };
    let foreign = Authority::root("Partners, test", start(), &Constraints::default()).unwrap();
    let cases = [
        ("self-signed", exempel().self_signed().unwrap()),
        ("an authority of the same name", foreign.issue(&exempel()).unwrap()),
        ("another environment's authority", door.pki.partners_production.issue(&exempel()).unwrap()),
        ("the servers' authority", door.pki.servers.issue(&exempel()).unwrap()),
        ("expired", with(|leaf| leaf.not_after = before_start())),
        ("not yet valid", with(|leaf| leaf.not_before = start().after(HOUR))),
        ("a server's", with(|leaf| leaf.usages = vec![Usage::Server])),
        ("revoked", revoked.unwrap()),
    ];
    refused_in_the_handshake(&door, None, "no certificate").await;
    for (name, issued) in &cases {
        refused_in_the_handshake(&door, Some(issued), name).await;
    }
    assert_eq!(door.running.refusals.count(Refusal::Certificate), cases.len() as u64);
    assert_eq!(door.running.refusals.count(Refusal::Handshake), 1);

    // The control: the same door lets a good one in, so what was refused was refused for what it was.
    door.reload();
    let good = door.pki.partners_test.issue(&exempel()).unwrap();
    assert_eq!(door.try_get(Some(&good)).await.unwrap().status, 200);
}

#[tokio::test]
async fn what_an_authority_may_not_vouch_for_is_refused() {
    for (constraints, dns_name, gets_in) in [
        (Constraints { path_length: Some(0), ..Constraints::default() }, "a.exempel.se", false),
        (Constraints { path_length: Some(1), ..Constraints::default() }, "a.exempel.se", true),
        (Constraints { permitted_dns: Some("exempel.se".to_owned()), ..Constraints::default() }, "a.exempel.se", true),
        (
            Constraints { permitted_dns: Some("exempel.se".to_owned()), ..Constraints::default() },
            "a.example.com",
            false,
        ),
    ] {
        let mut below = None;
        let door = TestDoor::open_with(Default::default(), |pki| {
            let limited = pki.partners_test.subordinate("Limited", start(), &constraints).unwrap();
            below = Some(limited.subordinate("Issuing", start(), &Constraints::default()).unwrap());
        });
        let (mut below, mut pki_list) = (below.unwrap(), door.pki);
        let mut material = material(&mut pki_list, start());
        material.crls.push(NamedFile::new("issuing.crl.pem", below.crl(start(), start().after(HOUR)).unwrap()));
        door.tls.reload(&material, keeper()).unwrap();
        let mut leaf = exempel();
        leaf.dns_names = vec![dns_name.to_owned()];
        let issued = below.issue(&leaf).unwrap();
        let config = client_config(&pki_list, Some(&issued), rustls::DEFAULT_VERSIONS);
        let outcome = match door.running.connect_tls(config, [127, 0, 0, 1].into()).await {
            Ok(mut stream) => get(&mut stream, "/v1/whoami").await,
            Err(cause) => Err(cause.to_string()),
        };
        assert_eq!(outcome.is_ok_and(|reply| reply.status == 200), gets_in, "{constraints:?} {dns_name}");
    }
}

#[tokio::test]
async fn without_a_current_revocation_list_of_the_issuer_nobody_gets_in() {
    let mut door = TestDoor::open();
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    let mut material = material(&mut door.pki, start());
    let foreign = door.pki.partners_production.crl(start(), start().after(HOUR)).unwrap();
    let good = std::mem::replace(&mut material.crls, vec![NamedFile::new("foreign.crl.pem", foreign)]);
    door.tls.reload(&material, keeper()).unwrap();
    refused_in_the_handshake(&door, Some(&issued), "list of another issuer").await;

    let forged = Authority::root("Partners, test", start(), &Constraints::default());
    let forged = forged.unwrap().crl(start(), start().after(HOUR)).unwrap();
    material.crls = vec![NamedFile::new("forged.crl.pem", forged)];
    door.tls.reload(&material, keeper()).unwrap();
    refused_in_the_handshake(&door, Some(&issued), "list with a wrong signature").await;

    material.crls = good;
    door.tls.reload(&material, keeper()).unwrap();
    assert_eq!(door.try_get(Some(&issued)).await.unwrap().status, 200);
    door.pass_time(HOUR * 24 * 8);
    refused_in_the_handshake(&door, Some(&issued), "list that has run out").await;
}

#[tokio::test]
async fn a_good_certificate_without_a_clear_organisation_is_told_so_on_every_path() {
    let door = TestDoor::open();
    let with = |subject: &[(Attribute, &str)]| {
        let mut leaf = exempel();
        leaf.subject = subject.iter().map(|(attribute, text)| (*attribute, (*text).to_owned())).collect();
        door.pki.partners_test.issue(&leaf).unwrap()
    };
    let (number, name) = ((Attribute::SerialNumber, "165590000005"), (Attribute::CommonName, "165590000005"));
    let cases = [
        ("none", with(&[name])),
        ("two", with(&[number, (Attribute::SerialNumber, "165590000013"), name])),
        ("the same twice", with(&[number, number, name])),
        ("no number", with(&[(Attribute::SerialNumber, "abc"), name])),
        ("a wrong check digit", with(&[(Attribute::SerialNumber, "165590000006"), name])),
        ("the other attribute", with(&[(Attribute::OrganisationIdentifier, "NTRSE-5590000005"), name])),
    ];
    for (what, issued) in &cases {
        let mut bodies = Vec::new();
        for path in ["/v1/whoami", "/v1/nothing"] {
            let mut stream = door.connect(door.client(Some(issued))).await.unwrap();
            let reply = get(&mut stream, path).await.unwrap();
            assert_eq!((reply.status, code(&reply).as_str()), (403, "certificate-not-known"), "{what}");
            bodies.push(reply.body.split_once("\"request_id\"").unwrap().0.to_owned());
        }
        assert_eq!(bodies[0], bodies[1], "{what}");
    }
    assert_eq!(door.running.refusals.count(Refusal::Unknown), 2 * cases.len() as u64);
}

#[tokio::test]
async fn a_path_that_does_not_exist_and_one_of_another_door_look_the_same() {
    let door = TestDoor::open();
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    let mut stream = door.connect(door.client(Some(&issued))).await.unwrap();
    let mut bodies = Vec::new();
    for path in ["/v1/nothing", "/metrics", "/v1/uid", "/v1/whoami/", "/v1/%77hoami", "/v1/x/../whoami"] {
        let reply = get(&mut stream, path).await.unwrap();
        assert_eq!(reply.status, 404, "{path}");
        bodies.push(reply.body.split_once("\"request_id\"").unwrap().0.to_owned());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
}

#[tokio::test]
async fn a_peer_is_known_by_its_one_registered_fact() {
    let door = TestDoor::open();
    let mut leaf = exempel();
    leaf.dns_names = vec!["Case-System.exempel.se".to_owned()];
    let issued = door.pki.partners_test.issue(&leaf).unwrap();
    let peer = Peer::read(&issued.der.clone().into()).unwrap();
    assert_eq!(peer.fingerprint, Fingerprint::of(&issued.der));
    let organisation = PeerRule::Organisation(OrganisationAttribute::SerialNumber, "5590000005".parse().unwrap());
    let dns = |name: &str| PeerRule::SanDns(name.to_owned());
    for (rule, known) in [
        (dns("case-system.exempel.se"), true),
        (dns("exempel.se"), false),
        (dns("*.exempel.se"), false),
        (organisation.clone(), true),
        (PeerRule::Spki(peer.pin), true),
        (PeerRule::Spki(tallyd::domain::digest::SpkiPin::of(b"another key")), false),
    ] {
        let book = PeerBook::new([("case".parse().unwrap(), rule.clone())]).unwrap();
        assert_eq!(Keeper::Senders(book).name(&peer).is_ok(), known, "{rule:?}");
    }
    let both = [("a".parse().unwrap(), dns("case-system.exempel.se")), ("b".parse().unwrap(), organisation.clone())];
    assert!(Keeper::Gateways(PeerBook::new(both).unwrap()).name(&peer).is_err(), "fits two peers");
    assert!(
        PeerBook::new([("a".parse().unwrap(), organisation.clone()), ("b".parse().unwrap(), organisation)]).is_err()
    );
}

#[tokio::test]
async fn material_that_does_not_fit_is_refused_by_name_and_changes_nothing() {
    let mut door = TestDoor::open();
    let issued = door.pki.partners_test.issue(&exempel()).unwrap();
    let (good, other) = (material(&mut door.pki, start()), material(&mut door.pki, start()));
    let empty = |name: &str| NamedFile::new(name, *b"no PEM at all\n");
    let half = |file: &NamedFile| NamedFile::new(file.name.clone(), &file.bytes[..file.bytes.len() / 2]);
    let cases = [
        ("server.pem", tallyd::http::tls::TlsMaterial { certificate: empty("server.pem"), ..good.clone() }),
        ("server.key", tallyd::http::tls::TlsMaterial { key: empty("server.key"), ..good.clone() }),
        ("server.key", tallyd::http::tls::TlsMaterial { key: other.key.clone(), ..good.clone() }),
        ("client-ca.pem", tallyd::http::tls::TlsMaterial { client_ca: empty("client-ca.pem"), ..good.clone() }),
        ("clients.crl.pem", tallyd::http::tls::TlsMaterial { crls: vec![empty("clients.crl.pem")], ..good.clone() }),
        ("server.pem", tallyd::http::tls::TlsMaterial { certificate: half(&good.certificate), ..good.clone() }),
        ("clients.crl.pem", tallyd::http::tls::TlsMaterial { crls: vec![half(&good.crls[0])], ..good.clone() }),
        ("server.key", tallyd::http::tls::TlsMaterial { key: half(&good.key), ..good.clone() }),
    ];
    for (file, material) in cases {
        let problem = door.tls.reload(&material, keeper()).unwrap_err();
        assert!(problem.to_string().contains(file), "{problem}");
    }
    let mixed = tallyd::http::tls::TlsMaterial { key: other.key.clone(), ..good.clone() };
    assert!(matches!(door.tls.reload(&mixed, keeper()), Err(TlsProblem::KeyMismatch { .. })));
    assert_eq!(door.try_get(Some(&issued)).await.unwrap().status, 200);
    assert_eq!(good.expiries().unwrap().len(), 3);
}

fn before_start() -> Timestamp {
    Timestamp::from_millis(start().millis() - 60_000).unwrap()
}
