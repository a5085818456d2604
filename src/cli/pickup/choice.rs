//! Which certificate of a PKCS#12 file is the organisation's: one that has its private key there. Several are for people to
//! choose from. It knows neither files nor passwords.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use super::super::output::Failure;
use super::elliptic;
use super::identity::refused;
use super::pkcs12::{Named, Opened};
use crate::domain::digest::Fingerprint;
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::terminal::printable;

/// A beginning of a fingerprint that names one among a few.
const FINGERPRINT_DIGITS_MIN: usize = 6;

/// Names are anything that somebody typed; more of them than this is not shown.
const NAME_CHARACTERS_MAX: usize = 80;

/// A certificate of which the file holds the private key.
struct Candidate<'a> {
    certificate: X509Certificate<'a>,
    der: &'a CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    name: Option<&'a str>,
    fingerprint: String,
}

/// The identity that is meant: its certificate, those that lead from it to its authority, and its key.
pub(super) fn choose(
    path: &Path,
    opened: Opened,
    chosen: Option<&str>,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Failure> {
    let candidates = candidates(&opened);
    let meant: Vec<_> = match chosen {
        Some(chosen) => candidates.iter().filter(|candidate| candidate.is_meant_by(chosen)).collect(),
        None => candidates.iter().collect(),
    };
    match (meant.as_slice(), chosen) {
        ([candidate], _) => {
            let chain = candidate.chain(&opened.certificates);
            Ok((chain, candidate.key.clone_key()))
        }
        ([], Some(_)) if !candidates.is_empty() => {
            let cause =
                format!("none of its identities is called so:{}", listed(&candidates.iter().collect::<Vec<_>>()));
            Err(refused(path, cause).hint(NAME_ONE))
        }
        ([], _) => Err(none(path, &opened)),
        (_, _) => {
            let cause = format!("there are {} identities in it:{}", meant.len(), listed(&meant));
            Err(refused(path, cause).hint(NAME_ONE))
        }
    }
}

const NAME_ONE: &str = "name one of them with --identity, by its name or by the beginning of its SHA-256";

fn candidates(opened: &Opened) -> Vec<Candidate<'_>> {
    let keys: Vec<_> = opened.keys.iter().map(|key| (key, public_key(&key.it))).collect();
    let mut found: Vec<Candidate<'_>> = Vec::new();
    for certificate in &opened.certificates {
        let Ok((_, parsed)) = X509Certificate::from_der(&certificate.it) else { continue };
        let own = keys.iter().find_map(|(key, public)| {
            let it = match public {
                Some(public) => (public == parsed.public_key().raw).then(|| key.it.clone_key()),
                None => elliptic::completed(&key.it, parsed.public_key()),
            };
            Some((it?, key.name.as_deref()))
        });
        let (Some((key, name)), fingerprint) = (own, Fingerprint::of(&certificate.it).to_string()) else { continue };
        // Some programs write a certificate twice.
        if found.iter().any(|candidate| candidate.fingerprint == fingerprint) {
            continue;
        }
        let name = certificate.name.as_deref().or(name);
        found.push(Candidate { certificate: parsed, der: &certificate.it, key, name, fingerprint });
    }
    found
}

/// Its SubjectPublicKeyInfo, if the key is one that can be signed with here.
pub(super) fn public_key(key: &PrivateKeyDer<'static>) -> Option<Vec<u8>> {
    let provider = rustls::crypto::ring::default_provider();
    let signing: Arc<dyn SigningKey> = provider.key_provider.load_private_key(key.clone_key()).ok()?;
    signing.public_key().map(|public| public.to_vec())
}

impl Candidate<'_> {
    fn is_meant_by(&self, chosen: &str) -> bool {
        let digits: String = chosen.chars().filter(|character| *character != ':').collect();
        let by_fingerprint =
            digits.len() >= FINGERPRINT_DIGITS_MIN && self.fingerprint.starts_with(&digits.to_ascii_lowercase());
        by_fingerprint || self.name == Some(chosen)
    }

    /// From the certificate upwards; the authority at the top is not sent.
    fn chain(&self, all: &[Named<CertificateDer<'static>>]) -> Vec<CertificateDer<'static>> {
        let parsed: Vec<_> =
            all.iter().filter_map(|one| Some((&one.it, X509Certificate::from_der(&one.it).ok()?.1))).collect();
        let mut chain = vec![self.der.clone()];
        let mut issuer = self.certificate.issuer().as_raw();
        while let Some((der, above)) = parsed.iter().find(|(der, above)| {
            above.subject().as_raw() == issuer && above.issuer().as_raw() != issuer && !chain.contains(der)
        }) {
            chain.push((*der).clone());
            issuer = above.issuer().as_raw();
        }
        chain
    }

    fn described(&self) -> String {
        let shortened = |text: &str| printable(text).chars().take(NAME_CHARACTERS_MAX).collect::<String>();
        let name = self.name.map_or_else(|| "without a name".to_owned(), |name| format!("\"{}\"", shortened(name)));
        let subject = shortened(&self.certificate.subject().to_string());
        let validity = self.certificate.validity();
        let now = ASN1Time::from_timestamp(SystemClock.now().millis().div_euclid(1000));
        let expired = if now.is_ok_and(|now| now > validity.not_after) { ", which is over" } else { "" };
        let until = validity.not_after.to_datetime().date();
        let fingerprint: String = self.fingerprint.chars().take(16).collect();
        format!("{name}: {subject}, valid until {until}{expired}, SHA-256 {fingerprint}…")
    }
}

fn listed(candidates: &[&Candidate<'_>]) -> String {
    candidates.iter().map(|candidate| format!("\n  {}", candidate.described())).collect()
}

fn none(path: &Path, opened: &Opened) -> Failure {
    if opened.keys.is_empty() {
        return refused(path, "there is no private key in it")
            .hint("have the certificate exported together with its private key");
    }
    let is_understood = |key: &PrivateKeyDer<'static>| public_key(key).is_some() || elliptic::lacks_public_key(key);
    if !opened.keys.iter().any(|key| is_understood(&key.it)) {
        return refused(path, "its private key is of a kind that is not understood").hint(UNDERSTOOD);
    }
    refused(path, "there is a private key in it, and no certificate that belongs to it")
        .hint("have the key exported together with its certificate")
}

/// Keys that can be used.
pub(super) const UNDERSTOOD: &str = "keys of RSA, P-256, P-384 and Ed25519 are understood; P-521 is not";

#[cfg(test)]
mod tests {
    use std::fs;

    use zeroize::Zeroizing;

    use super::*;
    use crate::cli::pickup::pkcs12::tests::{Bench, PASSWORD};
    use crate::cli::pickup::pkcs12::{Password, Sealed};

    fn opened(file: &[u8]) -> Opened {
        Sealed::read(file).unwrap().open(&Password::new(Zeroizing::new(PASSWORD.to_owned()))).unwrap()
    }

    fn chosen(opened: Opened, name: Option<&str>) -> Result<Vec<String>, String> {
        let (chain, _) = choose(Path::new("own.p12"), opened, name).map_err(|failure| failure.to_string())?;
        let subject = |der: &CertificateDer<'static>| X509Certificate::from_der(der).unwrap().1.subject().to_string();
        Ok(chain.iter().map(subject).collect())
    }

    #[test]
    fn intermediate_certificates_follow_in_order_and_the_authority_at_the_top_is_left_out() {
        let bench = Bench::new("chain");
        bench.run(
            "printf 'basicConstraints=critical,CA:true\n' > ca.cnf
             openssl req -newkey rsa:2048 -nodes -subj '/CN=Mellan CA' -keyout mid.key -out mid.csr
             openssl x509 -req -in mid.csr -CA ca.pem -CAkey ca.key -set_serial 8 -out mid.pem -days 30 -extfile ca.cnf
             openssl x509 -req -in own.csr -CA mid.pem -CAkey mid.key -set_serial 9 -out own.pem -days 30
             openssl req -x509 -newkey rsa:2048 -nodes -subj '/CN=Annan CA' -keyout other.key -out other.pem -days 30
             cat other.pem ca.pem mid.pem > more.pem",
        );
        for options in ["", "-legacy"] {
            let file = bench.exported(&format!("-certfile more.pem {options}"));
            let chain = chosen(opened(&file), None).unwrap();
            assert!(chain.len() == 2 && chain[0].contains("Exempel AB") && chain[1] == "CN=Mellan CA", "{chain:?}");
        }
    }

    #[test]
    fn several_identities_are_listed_and_one_is_chosen_by_name_or_fingerprint() {
        let bench = Bench::new("several");
        let old = bench.exported("-name 'Exempel AB 2025'");
        bench.run(
            "openssl req -x509 -newkey rsa:2048 -nodes -subj '/O=Exempel AB/CN=ny' -keyout own.key -out own.pem -days 9
             openssl x509 -in own.pem -noout -fingerprint -sha256 | cut -d= -f2 > fingerprint",
        );
        let new = bench.exported("-name $'Exempel\\nAB 2026'");
        let both = || {
            let (mut both, new) = (opened(&old), opened(&new));
            both.keys.extend(new.keys);
            both.certificates.extend(new.certificates);
            both
        };
        let listed = chosen(both(), None).unwrap_err();
        assert!(listed.contains("there are 2 identities in it:"), "{listed}");
        assert!(listed.contains("\"Exempel AB 2025\": ") && listed.contains("\"Exempel\\u{a}AB 2026\": "), "{listed}");
        assert!(
            listed.contains("valid until ") && listed.contains("hint: name one of them with --identity"),
            "{listed}"
        );
        let fingerprint = fs::read_to_string(bench.0.join("fingerprint")).unwrap();
        for name in ["Exempel\nAB 2026", fingerprint.trim(), &fingerprint[..12]] {
            assert!(chosen(both(), Some(name)).unwrap()[0].contains("CN=ny"), "{name}");
        }
        assert!(chosen(both(), Some("Exempel AB 2025")).unwrap()[0].contains("165590000005"));
        for name in ["Exempel", "", &fingerprint[..3]] {
            assert!(chosen(both(), Some(name)).unwrap_err().contains("none of its identities is called so:"), "{name}");
        }
    }

    /// NSS gives the certificates of one subject one name, and exports all of that name.
    #[test]
    fn a_renewed_certificate_beside_the_old_one_is_chosen_by_its_fingerprint() {
        let bench = Bench::new("renewed");
        bench.run(
            "mkdir db; certutil -N -d sql:db --empty-password
             for serial in 1 2; do
               openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/O=Exempel AB' \\
                 -keyout own.key -out own.pem -days 9 -set_serial $serial
               openssl pkcs12 -export -inkey own.key -in own.pem -passout env:PW -out own.p12 -name 'Exempel AB'
               pk12util -i own.p12 -d sql:db -W \"$PW\" -K ''
             done
             openssl x509 -in own.pem -noout -fingerprint -sha256 | cut -d= -f2 > fingerprint
             pk12util -o both.p12 -n 'Exempel AB' -d sql:db -W \"$PW\" -K ''",
        );
        let file = fs::read(bench.0.join("both.p12")).unwrap();
        let listed = chosen(opened(&file), Some("Exempel AB")).unwrap_err();
        assert!(listed.contains("there are 2 identities in it:"), "{listed}");
        let fingerprint = fs::read_to_string(bench.0.join("fingerprint")).unwrap();
        assert_eq!(chosen(opened(&file), Some(fingerprint.trim())).unwrap(), ["O=Exempel AB"]);
    }

    /// RFC 5915 leaves the public key to the writer; `openssl ec -no_public` writes the very octets that Java's keytool does.
    #[test]
    fn a_key_without_its_public_key_as_java_writes_it_is_used_with_that_of_its_certificate() {
        let bench = Bench::new("java");
        for curve in ["P-256", "P-384"] {
            bench.run(&format!(
                "openssl ecparam -name {curve} -genkey -noout | openssl ec -no_public -out own.key
                 openssl req -x509 -key own.key -subj '/O=Exempel AB/CN=java' -out own.pem -days 9
                 ! openssl pkcs8 -topk8 -nocrypt -in own.key | openssl asn1parse -strparse 26 2>&1 | grep -F 'cont [ 1 ]'
                 openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:{curve} -nodes -subj '/CN=other' \\
                   -keyout other.key -out other.pem -days 9"
            ));
            let file = bench.exported("-certfile other.pem -name 'Exempel AB'");
            assert!(opened(&file).keys.iter().all(|key| elliptic::lacks_public_key(&key.it)), "{curve}");
            let (chain, key) = choose(Path::new("own.p12"), opened(&file), None).map_err(|it| it.to_string()).unwrap();
            let (_, certificate) = X509Certificate::from_der(&chain[0]).unwrap();
            assert_eq!(certificate.subject().to_string(), "O=Exempel AB, CN=java", "{curve}");
            assert_eq!(public_key(&key).as_deref(), Some(certificate.public_key().raw), "{curve}");

            bench.run("openssl pkcs12 -export -nocerts -inkey own.key -passout env:PW -out key.p12");
            let mut strange = opened(&fs::read(bench.0.join("key.p12")).unwrap());
            strange.certificates = opened(&bench.exported("-certfile other.pem")).certificates.split_off(1);
            assert_eq!(strange.certificates.len(), 1);
            let said = chosen(strange, None).unwrap_err();
            assert!(said.contains("no certificate that belongs to it"), "{curve}: {said}");
        }
    }

    #[test]
    fn a_file_without_an_identity_says_what_is_missing() {
        let bench = Bench::new("none");
        for (options, says) in
            [("-nokeys", "there is no private key in it"), ("-nocerts", "no certificate that belongs to it")]
        {
            bench.run(&format!(
                "openssl pkcs12 -export -inkey own.key -in own.pem {options} -passout env:PW -out own.p12"
            ));
            let said = chosen(opened(&fs::read(bench.0.join("own.p12")).unwrap()), None).unwrap_err();
            assert!(said.contains(says) && said.contains("hint: have the"), "{said}");
        }
        for without_public in ["cp own.key x.key", "openssl ec -no_public -in own.key -out x.key"] {
            bench.run(&format!(
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-521 -nodes -subj /CN=x -keyout own.key -out own.pem
                 {without_public}; openssl pkcs12 -export -inkey x.key -in own.pem -passout env:PW -out own.p12"
            ));
            let said = chosen(opened(&fs::read(bench.0.join("own.p12")).unwrap()), None).unwrap_err();
            assert!(said.contains("of a kind that is not understood") && said.contains("P-521 is not"), "{said}");
        }
    }
}
