//! What the example PKI consists of, file by file. Pure but for the keys that are drawn.

use std::time::Duration;

use zeroize::Zeroizing;

use super::pki::{Authority, Issued, Leaf, Pki, PkiProblem};
use crate::domain::ids::Environment;
use crate::domain::time::Timestamp;

/// One file of the example.
pub(super) struct ExampleFile {
    pub(super) name: String,
    pub(super) content: Zeroizing<String>,
}

/// The organisation of all examples.
const NAME: &str = "Exempel AB";
const SERIAL_NUMBER: &str = "165590000005";
const IDENTIFIER: &str = "NTRSE-5590000005";

impl ExampleFile {
    /// Whether it is a private key.
    pub(super) fn is_private(&self) -> bool {
        self.name.ends_with(".key")
    }
}

/// All files.
pub(super) fn files(names: &[String], crl_days: u16, now: Timestamp) -> Result<Vec<ExampleFile>, PkiProblem> {
    let mut pki = Pki::new(now)?;
    let crl_until = now.after(Duration::from_secs(u64::from(crl_days) * 24 * 60 * 60));
    let mut set = Set(vec![public("README", README.to_owned())]);

    let server_names = std::iter::once("localhost").chain(names.iter().map(String::as_str));
    set.authority("server-ca", &pki.servers);
    set.pair("server", pki.servers.issue(&Leaf::server(server_names, now))?);
    set.pair("relay", pki.servers.issue(&Leaf::server(["localhost", "relay.exempel.se"], now))?);

    set.authority("systems-ca", &pki.systems);
    set.crl("systems", pki.systems.crl(now, crl_until)?);
    set.pair("sender", pki.systems.issue(&Leaf::system("case-system.exempel.se", now))?);
    set.pair("gateway", pki.systems.issue(&Leaf::system("gateway.exempel.se", now))?);

    for environment in Environment::ALL {
        let authority = pki.partners(*environment);
        set.authority(&format!("partners-{environment}-ca"), authority);
        set.crl(&format!("partners-{environment}"), authority.crl(now, crl_until)?);
        let organisation = Leaf::organisation(NAME, SERIAL_NUMBER, now);
        set.pair(&format!("exempel-{environment}"), authority.issue(&organisation)?);
        let by_identifier = Leaf::organisation_by_identifier(NAME, IDENTIFIER, now);
        set.pair(&format!("exempel-{environment}-identifier"), authority.issue(&by_identifier)?);
    }
    Ok(set.0)
}

struct Set(Vec<ExampleFile>);

impl Set {
    fn authority(&mut self, stem: &str, authority: &Authority) {
        self.0.push(public(format!("{stem}.pem"), authority.certificate()));
        self.0.push(ExampleFile { name: format!("{stem}.key"), content: authority.key() });
    }

    fn crl(&mut self, stem: &str, text: String) {
        self.0.push(public(format!("{stem}.crl.pem"), text));
    }

    fn pair(&mut self, stem: &str, issued: Issued) {
        self.0.push(public(format!("{stem}.pem"), issued.certificate));
        self.0.push(ExampleFile { name: format!("{stem}.key"), content: issued.key });
    }
}

fn public(name: impl Into<String>, content: String) -> ExampleFile {
    ExampleFile { name: name.into(), content: Zeroizing::new(content) }
}

const README: &str = "\
Example certificates, made by `tallyd certs`. Not for use: every authority is called
\"tallyd example, not for use\", and the daemon refuses their certificates unless its
configuration allows example certificates.

server-ca.pem                       the authority of all servers here: what clients trust
server.pem, .key                    the daemon's listeners
relay.pem, .key                     a mail relay to try with
systems-ca.pem, systems.crl.pem     the authority of the agency's own systems
sender.pem, .key                    a case system, known by case-system.exempel.se
gateway.pem, .key                   an API gateway, known by gateway.exempel.se
partners-test-ca.pem, .crl.pem      the authority of organisations, test environment
exempel-test.pem, .key              Exempel AB, its number in serialNumber (2.5.4.5)
exempel-test-identifier.pem, .key   Exempel AB, its number in organizationIdentifier (2.5.4.97)
partners-production-…, exempel-production-…   the same for production

*-ca.key are the authorities' private keys: with them further certificates and
revocation lists can be made, for example with openssl.
";
