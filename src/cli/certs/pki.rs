//! Certificate authorities for examples, the demo and tests: shaped like real ones, and able to make every kind of
//! certificate that must be refused. Keys are P-256; an RSA key made elsewhere can be brought along, because ring makes
//! none. Every authority is called [`EXAMPLE_ORGANISATION`], by which the daemon knows its certificates and refuses them
//! outside of the demo. This file writes no files.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints,
    PublicKeyData, RevocationReason, RevokedCertParams, SanType, SerialNumber, SignatureAlgorithm, SigningKey,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::domain::ids::Environment;
use crate::domain::time::Timestamp;
use crate::http::tls::EXAMPLE_ORGANISATION;

/// The authorities of one agency and its partners.
#[derive(Debug)]
pub struct Pki {
    /// For the daemon's listeners and the mail relay.
    pub servers: Authority,
    /// For the agency's own systems: senders and gateways.
    pub systems: Authority,
    /// For organisations, in the test environment.
    pub partners_test: Authority,
    /// For organisations, in production.
    pub partners_production: Authority,
}

/// One certificate authority with its key and what it has revoked.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
    certificate: Vec<u8>,
    /// The certificates between this authority and its root, its own included; empty for a root.
    chain: Vec<Vec<u8>>,
    revoked: Vec<(Vec<u8>, Timestamp)>,
    crls_made: u64,
}

/// What an authority may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraints {
    /// How many authorities may follow below it.
    pub path_length: Option<u8>,
    /// The one DNS domain that its certificates may name.
    pub permitted_dns: Option<String>,
}

/// What an end-entity certificate shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The subject's attributes in their order. One of them may stand twice.
    pub subject: Vec<(Attribute, String)>,
    /// DNS names of the subject alternative name.
    pub dns_names: Vec<String>,
    /// IP addresses of the subject alternative name.
    pub addresses: Vec<IpAddr>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when, inclusive.
    pub not_after: Timestamp,
    /// What it may be used for.
    pub usages: Vec<Usage>,
}

/// A subject attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// 2.5.4.6.
    Country,
    /// 2.5.4.10.
    Organisation,
    /// 2.5.4.3.
    CommonName,
    /// 2.5.4.5.
    SerialNumber,
    /// 2.5.4.97.
    OrganisationIdentifier,
}

/// An extended key usage (RFC 5280, section 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// `clientAuth`.
    Client,
    /// `serverAuth`.
    Server,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Issued {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The certificate and those between it and the root, PEM.
    pub certificate: String,
    /// The private key, PKCS#8 PEM.
    pub key: Zeroizing<String>,
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiProblem {
    /// The key or a value cannot be used.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// More of the subject is doubled than this can write.
    #[error("only one attribute of a subject may stand twice")]
    Repeated,
    /// A certificate that was just made cannot be read.
    #[error("a certificate cannot be read again")]
    Unreadable,
}

/// An instant as rcgen takes it. Its type belongs to a crate that nothing else here needs, and so has no name here.
macro_rules! date {
    ($at:expr) => {
        rcgen::date_time_ymd(1970, 1, 1) + since_epoch($at)
    };
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Pki {
    /// Fresh authorities, valid from a day before `now` for ten years.
    pub fn new(now: Timestamp) -> Result<Self, PkiProblem> {
        Self::of(EXAMPLE_ORGANISATION, now)
    }

    /// The same of another organisation, which the daemon does not know as an example.
    pub fn of(organisation: &str, now: Timestamp) -> Result<Self, PkiProblem> {
        let root = |name| Authority::root_of(organisation, name, now, &Constraints::default());
        Ok(Self {
            servers: root("Servers")?,
            systems: root("Systems")?,
            partners_test: root("Partners, test")?,
            partners_production: root("Partners, production")?,
        })
    }

    /// The authority for organisations in one environment.
    pub fn partners(&mut self, environment: Environment) -> &mut Authority {
        match environment {
            Environment::Test => &mut self.partners_test,
            Environment::Production => &mut self.partners_production,
        }
    }
}

impl Authority {
    /// A root of its own.
    pub fn root(name: &str, now: Timestamp, constraints: &Constraints) -> Result<Self, PkiProblem> {
        Self::root_of(EXAMPLE_ORGANISATION, name, now, constraints)
    }

    fn root_of(organisation: &str, name: &str, now: Timestamp, constraints: &Constraints) -> Result<Self, PkiProblem> {
        let (params, key) = (authority_params(organisation, name, now, constraints)?, KeyPair::generate()?);
        let certificate = params.self_signed(&key)?.der().to_vec();
        Ok(Self { params, key, certificate, chain: Vec::new(), revoked: Vec::new(), crls_made: 0 })
    }

    /// An authority below this one.
    pub fn subordinate(&self, name: &str, now: Timestamp, constraints: &Constraints) -> Result<Self, PkiProblem> {
        let (params, key) = (authority_params(EXAMPLE_ORGANISATION, name, now, constraints)?, KeyPair::generate()?);
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer)?.der().to_vec();
        let chain = std::iter::once(certificate.clone()).chain(self.chain.iter().cloned()).collect();
        Ok(Self { params, key, certificate, chain, revoked: Vec::new(), crls_made: 0 })
    }

    /// Certifies a fresh P-256 key.
    pub fn issue(&self, leaf: &Leaf) -> Result<Issued, PkiProblem> {
        self.certify(leaf, &KeyPair::generate()?)
    }

    /// Certifies a key that was made elsewhere (PKCS#8 PEM; RSA or P-256).
    pub fn issue_for_key(&self, leaf: &Leaf, key_pem: &str) -> Result<Issued, PkiProblem> {
        self.certify(leaf, &KeyPair::from_pem(key_pem)?)
    }

    /// Puts a certificate on the next revocation list.
    pub fn revoke(&mut self, issued: &Issued, at: Timestamp) -> Result<(), PkiProblem> {
        let (_, certificate) = X509Certificate::from_der(&issued.der).map_err(|_| PkiProblem::Unreadable)?;
        self.revoked.push((certificate.raw_serial().to_vec(), at));
        Ok(())
    }

    /// A revocation list (PEM) that counts until `next_update`.
    pub fn crl(&mut self, this_update: Timestamp, next_update: Timestamp) -> Result<String, PkiProblem> {
        self.crls_made += 1;
        let revoked = |(serial, at): &(Vec<u8>, Timestamp)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: date!(*at),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date!(this_update),
            next_update: date!(next_update),
            crl_number: SerialNumber::from(self.crls_made),
            issuing_distribution_point: None,
            revoked_certs: self.revoked.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&Issuer::from_params(&self.params, &self.key))?.pem()?)
    }

    /// The authority's own certificate, PEM.
    pub fn certificate(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// The authority's private key, PKCS#8 PEM.
    pub fn key(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }

    fn certify(&self, leaf: &Leaf, key: &KeyPair) -> Result<Issued, PkiProblem> {
        let (params, repeated) = leaf.params()?;
        let signer = Signer { key: &self.key, repeated };
        let certificate = params.signed_by(key, &Issuer::from_params(&self.params, signer))?;
        let der = restored(certificate.der(), repeated);
        let chain = std::iter::once(&der).chain(&self.chain);
        let certificate = chain.map(|der| pem("CERTIFICATE", der)).collect();
        Ok(Issued { der, certificate, key: Zeroizing::new(key.serialize_pem()) })
    }
}

impl Leaf {
    /// For a server: it has names, and the loopback addresses.
    pub fn server(dns_names: impl IntoIterator<Item = impl Into<String>>, now: Timestamp) -> Self {
        let dns_names: Vec<String> = dns_names.into_iter().map(Into::into).collect();
        let name = dns_names.first().cloned().unwrap_or_default();
        let addresses = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16])];
        let usages = vec![Usage::Server];
        Self { addresses, usages, dns_names, ..Self::new(vec![(Attribute::CommonName, name)], now) }
    }

    /// For a system of the agency: a sender or a gateway, known by its DNS name.
    pub fn system(dns_name: &str, now: Timestamp) -> Self {
        let subject = vec![(Attribute::CommonName, dns_name.to_owned())];
        Self { dns_names: vec![dns_name.to_owned()], ..Self::new(subject, now) }
    }

    /// As Swedish organisation certificates are: the number in `serialNumber`, `16` and ten digits.
    pub fn organisation(name: &str, serial_number: &str, now: Timestamp) -> Self {
        Self::of_organisation(name, (Attribute::SerialNumber, serial_number), now)
    }

    /// As certificates by ETSI EN 319 412-1 are: the number in `organizationIdentifier`.
    pub fn organisation_by_identifier(name: &str, identifier: &str, now: Timestamp) -> Self {
        Self::of_organisation(name, (Attribute::OrganisationIdentifier, identifier), now)
    }

    fn of_organisation(name: &str, (attribute, number): (Attribute, &str), now: Timestamp) -> Self {
        let subject = [
            (Attribute::Country, "SE"),
            (Attribute::Organisation, name),
            (attribute, number),
            (Attribute::CommonName, name),
        ];
        Self::new(subject.into_iter().map(|(attribute, text)| (attribute, text.to_owned())).collect(), now)
    }

    /// Valid from a day before `now`, for a year, for clients.
    fn new(subject: Vec<(Attribute, String)>, now: Timestamp) -> Self {
        let (not_before, not_after) = (before(now, DAY), now.after(YEAR));
        Self { subject, dns_names: vec![], addresses: vec![], not_before, not_after, usages: vec![Usage::Client] }
    }

    /// Signed by its own key, by no authority.
    pub fn self_signed(&self) -> Result<Issued, PkiProblem> {
        let (params, repeated) = self.params()?;
        if repeated.is_some() {
            return Err(PkiProblem::Repeated);
        }
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let key = Zeroizing::new(key.serialize_pem());
        Ok(Issued { der: certificate.der().to_vec(), certificate: certificate.pem(), key })
    }

    fn params(&self) -> Result<(CertificateParams, Option<Attribute>), PkiProblem> {
        let mut params = CertificateParams::new(self.dns_names.clone())?;
        params.subject_alt_names.extend(self.addresses.iter().copied().map(SanType::IpAddress));
        let (subject, repeated) = distinguished_name(&self.subject)?;
        params.distinguished_name = subject;
        (params.not_before, params.not_after) = (date!(self.not_before), date!(self.not_after));
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = self.usages.iter().copied().map(Usage::purpose).collect();
        Ok((params, repeated))
    }
}

impl Attribute {
    /// The last number of its object identifier; the first three are 2.5.4 (X.520).
    fn last_arc(self) -> u8 {
        match self {
            Self::CommonName => 3,
            Self::SerialNumber => 5,
            Self::Country => 6,
            Self::Organisation => 10,
            Self::OrganisationIdentifier => 97,
        }
    }

    fn value(self, text: &str) -> Result<DnValue, PkiProblem> {
        Ok(match self {
            Self::Country | Self::SerialNumber => DnValue::PrintableString(text.try_into()?),
            Self::CommonName | Self::Organisation | Self::OrganisationIdentifier => {
                DnValue::Utf8String(text.to_owned())
            }
        })
    }
}

impl Usage {
    fn purpose(self) -> ExtendedKeyUsagePurpose {
        match self {
            Self::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Self::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued")
    }
}

/// Signs what [`restored`] makes of a certificate.
struct Signer<'a> {
    key: &'a KeyPair,
    repeated: Option<Attribute>,
}

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.key.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        PublicKeyData::algorithm(self.key)
    }
}

impl SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key.sign(&restored(message, self.repeated))
    }
}

/// rcgen keeps one value per type of attribute, so a second one is written as 2.5.4.127, which nobody has assigned.
const STAND_IN_ARC: u8 = 127;

/// Puts the true type in the place of the stand-in, which is as long.
fn restored(der: &[u8], repeated: Option<Attribute>) -> Vec<u8> {
    let mut bytes = der.to_vec();
    let Some(attribute) = repeated else { return bytes };
    let stand_in = [0x06, 0x03, 0x55, 0x04, STAND_IN_ARC];
    if let Some(place) = der.windows(stand_in.len()).position(|window| window == stand_in)
        && let Some(arc) = bytes.get_mut(place + stand_in.len() - 1)
    {
        *arc = attribute.last_arc();
    }
    bytes
}

fn distinguished_name(
    attributes: &[(Attribute, String)],
) -> Result<(DistinguishedName, Option<Attribute>), PkiProblem> {
    let (mut name, mut repeated) = (DistinguishedName::new(), None);
    for (attribute, text) in attributes {
        let kind = |arc: u8| DnType::from_oid(&[2, 5, 4, u64::from(arc)]);
        let (own, stand_in) = (kind(attribute.last_arc()), kind(STAND_IN_ARC));
        if name.get(&own).is_none() {
            name.push(own, attribute.value(text)?);
        } else if repeated.replace(*attribute).is_none() {
            name.push(stand_in, attribute.value(text)?);
        } else {
            return Err(PkiProblem::Repeated);
        }
    }
    Ok((name, repeated))
}

fn authority_params(
    organisation: &str,
    name: &str,
    now: Timestamp,
    constraints: &Constraints,
) -> Result<CertificateParams, PkiProblem> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date!(before(now, DAY)), date!(now.after(YEAR * 10)));
    params.is_ca =
        IsCa::Ca(constraints.path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = constraints.permitted_dns.clone().map(|domain| NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(domain)],
        excluded_subtrees: vec![],
    });
    Ok(params)
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    let millis = i64::try_from(by.as_millis()).unwrap_or(0);
    Timestamp::from_millis(now.millis().saturating_sub(millis)).unwrap_or(now)
}

fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(at.millis() / 1000).unwrap_or(0))
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let base64 = data_encoding::BASE64.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}
