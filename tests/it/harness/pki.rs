//! The throw-away PKI as files: what the daemon reads, and what its clients hold.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tallyd::cli::certs::pki::{Issued, Leaf, Pki};
use tallyd::domain::ids::Environment;
use tallyd::domain::time::Timestamp;
use tallyd::platform::clock::{Clock, SystemClock};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A certificate with its key, in files of a client.
pub(crate) struct Pair {
    pub(crate) issued: Issued,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Everything that was certified.
pub(crate) struct Files {
    pki: Mutex<Pki>,
    root: PathBuf,
    pub(crate) sender: Pair,
    pub(crate) incident_response: Pair,
    pub(crate) gateway: Pair,
    pub(crate) organisation_test: Pair,
    pub(crate) organisation_production: Pair,
    pub(crate) relay: Pair,
}

impl Files {
    /// Makes authorities and certificates, and writes what the daemon reads to `tls` and `keys`, what clients hold to
    /// `client`.
    pub(super) fn write(root: &Path, organisation: &str) -> Self {
        let pki = Pki::of(organisation, now()).unwrap();
        let server = pki.servers.issue(&Leaf::server(["localhost"], now())).unwrap();
        let relay = pki.servers.issue(&Leaf::server(["localhost"], now())).unwrap();
        let system = |name| pki.systems.issue(&Leaf::system(name, now())).unwrap();
        let (sender, incident_response) = (system("case-system.exempel.se"), system("incident.exempel.se"));
        let gateway = system("gateway.exempel.se");
        let exempel = Leaf::organisation("Exempel AB", "165590000005", now());
        let test = pki.partners_test.issue(&exempel).unwrap();
        let production = pki.partners_production.issue(&exempel).unwrap();

        let tls = root.join("tls");
        write(&tls.join("server.pem"), &server.certificate, 0o644);
        write(&root.join("keys/server"), &server.key, 0o600);
        write(&tls.join("server-ca.pem"), &pki.servers.certificate(), 0o644);
        write(&tls.join("systems-ca.pem"), &pki.systems.certificate(), 0o644);
        write(&tls.join("partners-test-ca.pem"), &pki.partners_test.certificate(), 0o644);
        write(&tls.join("partners-production-ca.pem"), &pki.partners_production.certificate(), 0o644);
        let client = |name: &str, issued| Pair::write(&root.join("client"), name, issued);
        let files = Self {
            sender: client("sender", sender),
            incident_response: client("incident-response", incident_response),
            gateway: client("gateway", gateway),
            organisation_test: client("organisation-test", test),
            organisation_production: client("organisation-production", production),
            relay: client("relay", relay),
            pki: Mutex::new(pki),
            root: root.to_owned(),
        };
        files.publish_lists();
        files
    }

    /// The authority of all servers.
    pub(crate) fn server_ca(&self) -> PathBuf {
        self.root.join("tls/server-ca.pem")
    }

    /// Certifies another organisation.
    pub(crate) fn organisation(&self, environment: Environment, name: &str, number: &str) -> Pair {
        self.certify(environment, &format!("{environment}-{number}"), &Leaf::organisation(name, number, now()))
    }

    /// Certifies whatever a leaf says, by the authority for organisations.
    pub(crate) fn certify(&self, environment: Environment, stem: &str, leaf: &Leaf) -> Pair {
        let issued = self.pki.lock().unwrap().partners(environment).issue(leaf).unwrap();
        Pair::write(&self.root.join("client"), stem, issued)
    }

    /// Certifies an RSA key of 2048 bits, which openssl makes because ring makes none.
    pub(crate) fn rsa_organisation(&self, environment: Environment) -> Pair {
        let made = Command::new("openssl")
            .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .output()
            .expect("openssl runs");
        // openssl before 3.0 has no -quiet and tells its progress on standard error.
        let made = if made.status.success() { made } else { panic!("{}", String::from_utf8_lossy(&made.stderr)) };
        let leaf = Leaf::organisation("Exempel AB", "165590000005", now());
        let key = String::from_utf8(made.stdout).unwrap();
        let issued = self.pki.lock().unwrap().partners(environment).issue_for_key(&leaf, &key).unwrap();
        Pair::write(&self.root.join("client"), &format!("{environment}-rsa"), issued)
    }

    /// Revokes an organisation's certificate and publishes the lists; the daemon reads them on SIGHUP.
    pub(crate) fn revoke(&self, environment: Environment, pair: &Pair) {
        self.pki.lock().unwrap().partners(environment).revoke(&pair.issued, now()).unwrap();
        self.publish_lists();
    }

    fn publish_lists(&self) {
        let mut pki = self.pki.lock().unwrap();
        let until = now().after(DAY * 7);
        let lists = [
            ("systems", pki.systems.crl(now(), until).unwrap()),
            ("partners-test", pki.partners_test.crl(now(), until).unwrap()),
            ("partners-production", pki.partners_production.crl(now(), until).unwrap()),
        ];
        for (name, list) in lists {
            write(&self.root.join(format!("tls/{name}.crl.pem")), &list, 0o644);
        }
    }

    /// TLS for the relay.
    pub(super) fn relay_tls(&self) -> Arc<ServerConfig> {
        let (chain, key) = parsed(&self.relay.issued);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
    }

    /// TLS for a client with this certificate, or none.
    pub(super) fn client_config(&self, pair: Option<&Pair>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.server_ca()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        Arc::new(match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let (chain, key) = parsed(&pair.issued);
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }
}

impl Pair {
    fn write(directory: &Path, stem: &str, issued: Issued) -> Self {
        let (certificate, key) = (directory.join(format!("{stem}.pem")), directory.join(format!("{stem}.key")));
        write(&certificate, &issued.certificate, 0o644);
        write(&key, &issued.key, 0o600);
        Self { issued, certificate, key }
    }
}

/// The real time, because the daemon under test has no other.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

fn parsed(issued: &Issued) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes()).map(Result::unwrap).collect();
    (chain, PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap())
}

fn write(path: &Path, text: &str, mode: u32) {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
