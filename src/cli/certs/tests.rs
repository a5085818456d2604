//! The example is whole, fits together, and is known for what it is.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::pki::{Attribute, Authority, Constraints, Leaf, Pki};
use super::*;
use crate::http::identity::{NoOrganisation, OrganisationAttribute, Peer};
use crate::http::keeper::Keeper;
use crate::http::refusals::Refusals;
use crate::http::tls::{NamedFile, TlsDoor, TlsMaterial, is_example_certificate};

fn now() -> Timestamp {
    "2026-11-23T07:30:00.000Z".parse().unwrap()
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("tallyd-certs-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

fn read(dir: &Path, name: &str) -> NamedFile {
    NamedFile::new(name, std::fs::read(dir.join(name)).unwrap())
}

#[test]
fn the_example_is_written_once_and_its_keys_are_private() {
    let dir = scratch("once");
    let args = CertsArgs { dir: dir.clone(), names: vec!["keys.exempel.se".to_owned()], crl_days: 30 };
    let written = run(&args, now()).unwrap();
    for path in &written {
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let private = path.extension().is_some_and(|extension| extension == "key");
        assert_eq!(mode & 0o077 == 0, private, "{}", path.display());
        if path.extension().is_some_and(|extension| extension == "pem") && !path.to_string_lossy().ends_with(".crl.pem")
        {
            for der in CertificateDer::pem_slice_iter(&std::fs::read(path).unwrap()) {
                assert!(is_example_certificate(&der.unwrap()), "{}", path.display());
            }
        }
    }
    let before = std::fs::read(dir.join("server.key")).unwrap();
    assert!(matches!(run(&args, now()), Err(CertsProblem::Write { .. })));
    assert_eq!(std::fs::read(dir.join("server.key")).unwrap(), before);

    let material = TlsMaterial {
        certificate: read(&dir, "server.pem"),
        key: read(&dir, "server.key"),
        client_ca: read(&dir, "partners-test-ca.pem"),
        crls: vec![read(&dir, "partners-test.crl.pem")],
    };
    let environment = crate::domain::ids::Environment::Test;
    let keeper = Keeper::Recipients { environment, attribute: OrganisationAttribute::SerialNumber };
    TlsDoor::new(&material, keeper, Arc::new(now), Arc::new(Refusals::new(1))).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn organisations_are_read_back_as_they_were_written() {
    let pki = Pki::new(now()).unwrap();
    let number = "5590000005".parse().unwrap();
    let peer = |leaf: Leaf| Peer::read(&pki.partners_test.issue(&leaf).unwrap().der.into()).unwrap();
    let by_number = peer(Leaf::organisation("Exempel AB", "165590000005", now()));
    assert_eq!(by_number.organisation(OrganisationAttribute::SerialNumber), Ok(number));
    let by_identifier = peer(Leaf::organisation_by_identifier("Exempel AB", "NTRSE-5590000005", now()));
    assert_eq!(
        by_identifier.organisation(OrganisationAttribute::OrganisationIdentifier).unwrap().as_str(),
        "5590000005"
    );
    let missing = NoOrganisation::Missing(OrganisationAttribute::SerialNumber);
    assert_eq!(by_identifier.organisation(OrganisationAttribute::SerialNumber), Err(missing));
}

#[test]
fn a_subject_can_have_two_serial_numbers() {
    let authority = Authority::root("Test", now(), &Constraints::default()).unwrap();
    let mut leaf = Leaf::organisation("Exempel AB", "165590000005", now());
    leaf.subject.push((Attribute::SerialNumber, "165590000005".to_owned()));
    let peer = Peer::read(&authority.issue(&leaf).unwrap().der.into()).unwrap();
    let repeated = NoOrganisation::Repeated(OrganisationAttribute::SerialNumber);
    assert_eq!(peer.organisation(OrganisationAttribute::SerialNumber), Err(repeated));
}

#[test]
fn a_real_authority_is_not_taken_for_the_example() {
    let leaf = Leaf::organisation("Exempel AB", "165590000005", now());
    assert!(!is_example_certificate(&leaf.self_signed().unwrap().der));
    assert!(!is_example_certificate(b"no certificate"));
}
