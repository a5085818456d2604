//! The configuration that the daemon under test gets. Times are short, so that tests are.

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

use tallyd::domain::ids::Environment;

/// What differs between tests.
pub(crate) struct Settings {
    /// A relay outside of the harness, by its port; without one the harness runs its sink.
    pub(crate) relay: Option<u16>,
    /// STARTTLS instead of TLS from the first byte.
    pub(crate) start_tls: bool,
    /// Who certifies everybody.
    pub(crate) certified_by: &'static str,
    /// Lines for the top.
    pub(crate) top: String,
    /// Lines for `[agency]`.
    pub(crate) agency: String,
    /// Lines for `[operator]`, instead of the one that lets in the user of the test.
    pub(crate) operator: String,
    /// Lines for `[mail]`.
    pub(crate) mail: String,
    /// Lines for `[policy]`.
    pub(crate) policy: String,
    /// Lines for the sender `case-system`.
    pub(crate) sender: String,
    /// Whole sections for the end.
    pub(crate) end: String,
    /// Whether the journal verifies in the end: false where the test breaks it, or makes none.
    pub(crate) ends_with_a_good_journal: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            relay: None,
            start_tls: false,
            certified_by: tallyd::http::tls::EXAMPLE_ORGANISATION,
            top: String::new(),
            agency: String::new(),
            operator: String::new(),
            mail: String::new(),
            policy: String::new(),
            sender: String::new(),
            end: String::new(),
            ends_with_a_good_journal: true,
        }
    }
}

/// Where the daemon listens, on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) intake: u16,
    pub(crate) pickup_test: u16,
    pub(crate) pickup_production: u16,
    pub(crate) gateway: u16,
    pub(crate) metrics: u16,
}

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on, below those that the kernel gives to clients, so that no connection takes it before
/// the daemon does.
pub(crate) fn free_port() -> u16 {
    let start = u16::try_from(std::process::id() % 97).unwrap() * 100;
    for _ in 0..10_000 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("ten thousand ports are taken");
}

impl Ports {
    /// Five free ones.
    pub(super) fn find() -> Self {
        Self {
            intake: free_port(),
            pickup_test: free_port(),
            pickup_production: free_port(),
            gateway: free_port(),
            metrics: free_port(),
        }
    }

    /// The pickup door of one environment.
    pub(crate) fn pickup(&self, environment: Environment) -> u16 {
        match environment {
            Environment::Test => self.pickup_test,
            Environment::Production => self.pickup_production,
        }
    }
}

impl Settings {
    /// The whole configuration.
    pub(super) fn text(&self, directory: &Path, ports: &Ports, relay: u16) -> String {
        let dir = directory.display();
        let Ports { intake, pickup_test, pickup_production, gateway, metrics } = ports;
        let own = format!("users = [{}]", rustix::process::getuid().as_raw());
        let security = if self.start_tls { "starttls" } else { "tls" };
        let Self { top, agency, operator, mail, policy, sender, end, .. } = self;
        let operator = if operator.is_empty() { &own } else { operator };
        let door = |port: &u16, ca: &str| {
            format!(
                "listen = \"127.0.0.1:{port}\"\ncertificate = \"{dir}/tls/server.pem\"\nkey = \"{dir}/keys/server\"\n\
                 client_ca = \"{dir}/tls/{ca}-ca.pem\"\nclient_crl = \"{dir}/tls/{ca}.crl.pem\""
            )
        };
        let (intake, gateway) = (door(intake, "systems"), door(gateway, "systems"));
        let (test, production) = (door(pickup_test, "partners-test"), door(pickup_production, "partners-production"));
        format!(
            r#"
stop_deadline = "2s"
allow_example_certificates = true
{top}

[agency]
name = "Exempelmyndigheten"
contact = "api@myndigheten.example"
prefix = "ex"
{agency}

[state]
directory = "{dir}/state"

[journal]
origin = "exempel.se/tallyd"
signing_key = "{dir}/keys/journal"

[sealing]
key = "{dir}/keys/sealing"

[pseudonyms]
key = "{dir}/keys/pseudonyms"

[intake]
{intake}

[[sender]]
name = "case-system"
san_dns = "case-system.exempel.se"
may = ["tallyd.application.approved.v1", "tallyd.agreement.signed.v1", "tallyd.agreement.ended.v1", "tallyd.credential.reissue.v1", "tallyd.credential.revoke.v1"]
{sender}

[[sender]]
name = "incident-response"
san_dns = "incident.exempel.se"
may = ["tallyd.credential.revoke.v1"]

[[pickup]]
environment = "test"
{test}
url = "https://localhost:{pickup_test}"

[[pickup]]
environment = "production"
{production}
url = "https://localhost:{pickup_production}"

[gateway]
{gateway}

[[gateway.client]]
name = "apigw"
san_dns = "gateway.exempel.se"

[operator]
socket = "{dir}/run/operator.sock"
{operator}

[metrics]
listen = "127.0.0.1:{metrics}"

[mail]
host = "localhost"
port = {relay}
security = "{security}"
ca = "{dir}/tls/server-ca.pem"
from = "api-nycklar@myndigheten.example"
connect_deadline = "5s"
reply_deadline = "5s"
exchange_deadline = "10s"
retry_first = "100ms"
retry_longest = "400ms"
attempts = 5
{mail}

[policy]
{policy}

[[api]]
name = "population-register"
keys = ["oauth2", "apigw"]

[[api]]
name = "addresses"
keys = ["oauth2"]

[[api]]
name = "sandbox"
keys = ["oauth2"]
environments = ["test"]

[log]
format = "json"
level = "debug"
{end}
"#
        )
    }
}
