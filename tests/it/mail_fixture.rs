//! What the mail tests share: a throw-away PKI, a relay towards a sink, a mail with a share, and one delivery as a worker
//! does it.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::SecretString;
use tallyd::domain::contact::{EmailAddress, Language};
use tallyd::domain::ids::Environment;
use tallyd::domain::issuance::Replacement;
use tallyd::domain::share::ShareToken;
use tallyd::mail::{
    Agency, Deadlines, Login, MailFailure, OutgoingMail, PartOne, Relay, RelaySettings, Security, Session,
};

use crate::sink::{Door, Sink};

pub(crate) const SHARE: &str = "tally1.K7QF2M9D.mail.oauth2.3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f.0f1e2d3c";
const PASSWORD: &str = "correct-horse-battery";

/// Short enough for a test, long enough for a busy machine.
pub(crate) const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_millis(1500),
    reply: Duration::from_millis(700),
    acceptance: Duration::from_millis(700),
    overall: Duration::from_secs(3),
};

pub(crate) struct Pki {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) roots_pem: String,
}

impl Pki {
    /// With an authority of its own.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let roots_pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), roots_pem }
    }

    pub(crate) fn server(&self, name: &str, years: std::ops::Range<i32>) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        server_config(certificate.der().clone(), &key)
    }

    pub(crate) fn good(&self) -> Arc<ServerConfig> {
        self.server("127.0.0.1", 2020..2200)
    }
}

fn server_config(certificate: rustls::pki_types::CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap())
}

pub(crate) fn self_signed() -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    server_config(certificate.der().clone(), &key)
}

pub(crate) fn relay(sink: &Sink, door: Door, pki: &Pki, login: bool, deadlines: Deadlines) -> Relay {
    Relay::new(RelaySettings {
        host: "127.0.0.1".to_owned(),
        port: sink.port(),
        security: match door {
            Door::Implicit => Security::ImplicitTls,
            Door::StartTls => Security::StartTls,
        },
        roots_pem: pki.roots_pem.clone().into_bytes(),
        hello: "tallyd.exempel.se".to_owned(),
        sender: "retur@myndigheten.example".parse().unwrap(),
        login: login.then(|| Login { username: "tallyd".to_owned(), password: SecretString::from(PASSWORD) }),
        deadlines,
        probe_after: Duration::ZERO,
        mails_per_session: 2,
    })
    .unwrap()
}

pub(crate) fn recipient() -> EmailAddress {
    "api@exempel.se".parse().unwrap()
}

pub(crate) fn mail() -> OutgoingMail {
    let part_one = PartOne {
        to: recipient(),
        language: Language::Sv,
        message_id: "019aaf5e-7b00-7000-8000-000000000001".parse().unwrap(),
        reference: "K7QF-2M9D".parse().unwrap(),
        software: "Ärendehanteraren".parse().unwrap(),
        organisation: "Exempel AB".parse().unwrap(),
        environment: Environment::Test,
        apis: [].into(),
        written: "2026-11-23T07:30:00.000Z".parse().unwrap(),
        window_ends: "2026-12-07T08:00:00.000Z".parse().unwrap(),
        pickup: "https://hamta.myndigheten.example/".parse().unwrap(),
        agency: Agency {
            name: "Exempelmyndigheten".parse().unwrap(),
            contact: "010-123 45 67".parse().unwrap(),
            from: "api@myndigheten.example".parse().unwrap(),
        },
        shares: vec![(
            "oauth2".parse().unwrap(),
            "exmp-test-abcdefghijklmnopqrst".parse().unwrap(),
            ShareToken::from_text(SHARE.to_owned()),
        )],
        replaces: Replacement::First,
        pinned: false,
    };
    part_one.write().unwrap()
}

/// How one delivery ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The code of the receipt, or why there is none.
    pub(crate) result: Result<u16, MailFailure>,
    /// Whether the session can be used again.
    pub(crate) kept: bool,
}

/// One whole delivery over a new session, as a worker does it. The session, if there still is one, comes back.
pub(crate) async fn deliver(relay: &Relay) -> (Outcome, Option<Session>) {
    let session = match relay.connect().await {
        Ok(session) => session,
        Err(failure) => {
            return (Outcome { result: Err(failure), kept: false }, None);
        }
    };
    deliver_over(session).await
}

pub(crate) async fn deliver_over(session: Session) -> (Outcome, Option<Session>) {
    let (session, result) = match session.offer(&recipient()).await {
        Ok(offered) => offered.send(mail()).await,
        Err((session, failure)) => (session, Err(failure)),
    };
    let kept = session.is_some();
    (Outcome { result: result.map(|receipt| receipt.reply().code), kept }, session)
}
