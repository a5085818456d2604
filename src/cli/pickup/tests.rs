//! The recipient's command against an endpoint that loses answers, refuses and is slow to be ready: in which order things
//! happen, and what is said about the state that they are in.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use super::*;
use crate::cli::certs::pki::{Leaf, Pki};
use crate::cli::output::Reader;
use crate::domain::ids::Environment;
use crate::domain::random::Randomness;
use crate::domain::secret::ClientSecret;
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::random::SystemRandomness;

const REFERENCE: &str = "K7QF-2M9D";

/// What the endpoint does with one request.
enum Act {
    Say(u16, serde_json::Value),
    HangUp,
}

/// Certificates, the two parts of one secret, and where things are written.
struct World {
    dir: PathBuf,
    mail: String,
    pickup: String,
}

impl World {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tallyd-pickup-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let now = SystemClock.now();
        let pki = Pki::new(now).unwrap();
        let server = pki.servers.issue(&Leaf::server(["localhost"], now)).unwrap();
        let own = pki.partners_test.issue(&Leaf::organisation("Exempel AB", "165590000005", now)).unwrap();
        for (name, text) in [
            ("ca.pem", pki.servers.certificate().as_str()),
            ("server.pem", &server.certificate),
            ("server.key", &server.key),
            ("own.pem", &own.certificate),
            ("own.key", &own.key),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
        let random = SystemRandomness::probe().unwrap();
        let (mail, pickup) = parts(REFERENCE, &random);
        Self { dir, mail, pickup }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn parts(reference: &str, random: &dyn Randomness) -> (String, String) {
    let (reference, label) = (reference.parse().unwrap(), "oauth2".parse().unwrap());
    let secret = ClientSecret::generate(&"ex".parse().unwrap(), Environment::Test, random).unwrap();
    let (mail, pickup) = secret.split(random).unwrap();
    let text = |token: crate::domain::share::ShareToken| token.release().to_owned();
    (text(mail.into_token(&reference, &label)), text(pickup.into_token(&reference, &label)))
}

fn delivery(state: &str) -> Act {
    let body = json!({
        "reference": REFERENCE, "application_id": "case-1", "software": "x", "environment": "test", "apis": ["a"],
        "keys": [{ "label": "oauth2", "client_id": "ex-test-abcdefghijklmnopqrst" }], "state": state, "version": 1,
        "window_ends": "2026-12-07T08:00:00.000Z", "active_since": "2026-11-23T08:00:00.000Z", "earlier_fetches": [],
        "something_new": true,
    });
    Act::Say(200, body)
}

fn collected(share: &str) -> Act {
    let share = json!({ "label": "oauth2", "client_id": "ex-test-abcdefghijklmnopqrst", "share": share });
    let (time, certificate) = ("2026-11-23T07:30:00.000Z", "ab".repeat(32));
    let fetch = json!({ "number": 1, "time": time, "address": "192.0.2.7", "certificate_sha256": certificate });
    let body = json!({
        "reference": REFERENCE, "fetch": 2, "fetches_left": 8, "window_ends": "2026-12-07T08:00:00.000Z",
        "shares": [share], "earlier_fetches": [fetch],
    });
    Act::Say(200, body)
}

fn receipt() -> Act {
    Act::Say(200, json!({ "reference": REFERENCE, "state": "active", "active_since": "2026-11-23T08:00:00.000Z" }))
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a run came to: what was asked, printed and told.
struct Run {
    outcome: Result<Exit, Failure>,
    asked: Vec<String>,
    data: String,
    told: String,
}

impl Run {
    fn times(&self, what: &str) -> usize {
        self.asked.iter().filter(|line| line.contains(what)).count()
    }

    fn failure(&self) -> String {
        self.outcome.as_ref().unwrap_err().to_string()
    }
}

/// Runs the command against an endpoint that answers each request as `act` says, by its line and its number.
async fn run_against(
    world: &World,
    out: Option<&Path>,
    pasted: &str,
    mut act: impl FnMut(&str, usize) -> Act + Send + 'static,
) -> Run {
    let chain = CertificateDer::pem_file_iter(world.file("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(world.file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = TlsAcceptor::from(Arc::new(versions.with_no_client_auth().with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let serving = tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(stream) = tls.accept(socket).await else { continue };
            let mut stream = BufReader::new(stream);
            let line = request_line(&mut stream).await;
            let number = seen.lock().unwrap().len();
            seen.lock().unwrap().push(line.clone());
            if let Act::Say(status, body) = act(&line, number) {
                let body = body.to_string();
                let head = format!("HTTP/1.1 {status} x\r\nretry-after: 1\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).await.unwrap();
            }
            let _ = stream.shutdown().await;
        }
    });

    let args = Args {
        url: format!("https://localhost:{port}/").parse().unwrap(),
        cert: world.file("own.pem"),
        key: Some(world.file("own.key")),
        identity: None,
        password_file: None,
        ca: Some(world.file("ca.pem")),
        out: out.map(Path::to_owned),
        format: Format::Env,
        reference: Some(Ok(REFERENCE.parse().unwrap())),
    };
    let password = &PasswordFrom::Terminal;
    let files = Named { cert: &args.cert, key: args.key.as_deref(), chosen: None, password };
    let door = Door::new(args.url.clone(), Papers::read(files, args.ca.as_deref()).unwrap());
    let (data, told) = (Memory::default(), Memory::default());
    let mut output = Output::to(Reader::People, data.clone(), told.clone());
    let paste = |_: &mut Output| Ok(Zeroizing::new(pasted.to_owned()));
    let outcome = steps::pick_up(&args, &door, REFERENCE.parse().unwrap(), paste, &mut output).await;
    serving.abort();
    let asked = asked.lock().unwrap().clone();
    Run { outcome, asked, data: data.text(), told: told.text() }
}

async fn request_line(stream: &mut BufReader<impl tokio::io::AsyncRead + Unpin>) -> String {
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).await.unwrap();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            stream.read_exact(&mut vec![0; length]).await.unwrap();
            return first;
        }
    }
}

/// The usual answers, but for confirmations.
fn usual(
    world: &World,
    mut confirm: impl FnMut() -> Act + Send + 'static,
) -> impl FnMut(&str, usize) -> Act + Send + 'static {
    let share = world.pickup.clone();
    move |line, _| match line {
        line if line.contains("/collect") => collected(&share),
        line if line.contains("/confirm") => confirm(),
        _ => delivery("mailed"),
    }
}

#[tokio::test]
async fn keys_are_on_the_disk_before_they_are_confirmed_and_a_lost_answer_is_asked_for_again() {
    let world = World::new("lost-once");
    let out = world.file("keys.env");
    let (written, mut left) = (out.clone(), 2);
    let act = usual(&world, move || {
        assert!(fs::read_to_string(&written).unwrap().contains("OAUTH2_CLIENT_SECRET=ex_test_"));
        left -= 1;
        if left > 0 { Act::HangUp } else { receipt() }
    });
    let run = run_against(&world, Some(&out), &world.mail, act).await;
    assert_eq!(run.outcome, Ok(Exit::Done), "{}", run.told);
    assert_eq!((run.times("/collect"), run.times("/confirm")), (1, 2));
    assert!(run.told.contains("on 2026-11-23T07:30:00.000Z from 192.0.2.7 with the certificate"), "{}", run.told);
    assert!(run.told.contains("Was that you?"), "{}", run.told);
    assert!(!run.told.contains("ex_test_") && run.data.is_empty());
}

#[tokio::test]
async fn a_confirmation_that_never_comes_through_leaves_the_keys_and_the_same_command_goes_on() {
    let world = World::new("lost");
    let out = world.file("keys.env");
    let run = run_against(&world, Some(&out), &world.mail, usual(&world, || Act::HangUp)).await;
    let said = run.failure();
    assert!(said.contains("stay in") && said.contains("run the same command again"), "{said}");
    assert!(said.contains("8 more times"), "{said}");
    let again = run_against(&world, Some(&out), &world.mail, usual(&world, receipt)).await;
    assert_eq!(again.outcome, Ok(Exit::Done), "{}", again.told);

    assert_eq!((again.times("/collect"), again.times("/confirm")), (0, 1), "the keys are in the file");
    assert!(again.told.contains("are in") && again.told.contains("already, from an earlier run"), "{}", again.told);
    assert!(again.told.contains("[5/5] Confirmed"), "{}", again.told);

    // The confirmation had come through after all, and only its answer was lost: the receipt is given again.
    let act = |line: &str, _| if line.contains("/confirm") { receipt() } else { delivery("active") };
    let after = run_against(&world, Some(&out), "", act).await;
    assert_eq!(after.outcome.clone(), Ok(Exit::Done), "{}", after.told);
    assert_eq!((after.times("/collect"), after.times("/confirm")), (0, 1));
    assert!(after.told.contains("are valid since 2026-11-23T08:00:00.000Z. There is nothing left to do."));

    // Without its answer it is said what is known; with other keys in the file, that they are the wrong ones.
    let act = |line: &str, _| if line.contains("/confirm") { Act::HangUp } else { delivery("active") };
    let said = run_against(&world, Some(&out), "", act).await.failure();
    assert!(
        said.contains("was confirmed, and its keys are valid since") && said.contains("same command again"),
        "{said}"
    );
    let gone = || Act::Say(410, json!({ "code": "confirmed", "detail": "This delivery was confirmed." }));
    let act = move |line: &str, _| if line.contains("/confirm") { gone() } else { delivery("active") };
    let said = run_against(&world, Some(&out), "", act).await.failure();
    assert!(said.contains("it was confirmed, with other keys than those in"), "{said}");
    let said = run_against(&world, None, "", |_, _| delivery("active")).await.failure();
    assert!(said.contains("it was confirmed") && said.contains("earlier run printed or wrote"), "{said}");
}

#[tokio::test]
async fn printed_keys_are_printed_before_they_are_confirmed_and_a_refusal_says_that_they_are_not_valid() {
    let world = World::new("refused");
    let refusal =
        || Act::Say(410, json!({ "code": "superseded", "detail": "A newer delivery has taken this one's place." }));
    let run = run_against(&world, None, &world.mail, usual(&world, refusal)).await;
    assert!(run.data.contains("OAUTH2_CLIENT_ID=ex-test-abcdefghijklmnopqrst\nOAUTH2_CLIENT_SECRET=ex_test_"));
    let said = run.failure();
    assert!(
        said.contains("A newer delivery") && said.contains("are not valid") && said.contains("newest e-mail"),
        "{said}"
    );
    assert_eq!(run.times("/confirm"), 1, "a refusal is not asked for again");
}

#[tokio::test]
async fn a_mistake_in_what_was_pasted_costs_no_fetch() {
    let world = World::new("mistake");
    let (other, _) = parts("00000000", &SystemRandomness::probe().unwrap());
    for pasted in ["", "no part here", &world.mail[..80], &other, &world.pickup] {
        let run = run_against(&world, None, pasted, usual(&world, receipt)).await;
        assert!(run.failure().contains("hint: "), "{}", run.failure());
        assert_eq!(run.times("/collect"), 0);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_busy_is_asked_again_and_one_that_talks_nonsense_is_not_believed() {
    let world = World::new("busy");
    let busy = || Act::Say(503, json!({ "code": "unavailable", "detail": "Not now." }));
    let mut usually = usual(&world, receipt);
    let run = run_against(
        &world,
        None,
        &world.mail,
        move |line, number| {
            if number == 0 { busy() } else { usually(line, number) }
        },
    );
    assert_eq!(run.await.outcome, Ok(Exit::Done));
    let run = run_against(&world, None, &world.mail, |_, _| Act::Say(200, json!({ "share": "tally1.secret" }))).await;
    let said = run.failure();
    assert!(said.contains("is not understood") && !said.contains("tally1"), "{said}");
}

#[test]
fn an_address_is_https_and_a_host() {
    for (text, shown) in [
        ("https://p.exempel.se/", "https://p.exempel.se/"),
        ("https://p.exempel.se", "https://p.exempel.se/"),
        ("https://p.exempel.se:8443", "https://p.exempel.se:8443/"),
        ("https://p.exempel.se:443/pickup/", "https://p.exempel.se/pickup/"),
        ("https://[::1]:8443/", "https://[::1]:8443/"),
    ] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
    }
    for text in
        ["", "p.exempel.se", "http://p.exempel.se/", "https://", "https://u@p.exempel.se/", "https://p/?a=b", "/x"]
    {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}

#[test]
fn a_part_given_as_an_argument_is_not_repeated() {
    let said = called("tally1.K7QF2M9D.mail.oauth2.AAAA.00000000").unwrap().unwrap_err();
    assert!(said.contains("never given as arguments") && !said.contains("AAAA"), "{said}");
    assert!(called("K7QF-2M9D").unwrap().is_ok());
}
