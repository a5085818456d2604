//! Checks of a credential over kept mTLS connections, against hyper that answers 204 to everything behind the same TLS.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64ct::{Base64, Encoding};
use tallyd::domain::share::{ShareToken, combine};
use tokio::runtime::Runtime;

use super::bare::Bare;
use super::client::{Kept, request, tls};
use super::daemon::{Daemon, GATEWAY, Mailing};
use super::figure::{Size, compare};
use super::issuances::queue;
use super::load::Load;
use super::place::Place;
use super::printer;
use super::sink::{Fate, Sink};

/// Kept connections, each of which checks a credential of its own.
const CLIENTS: usize = 32;

pub(crate) fn run(size: Size) -> Result<()> {
    let place = Place::new("checks")?;
    let runtime = Runtime::new()?;
    queue(&place, &runtime, "state", CLIENTS)?;
    let sink = Sink::start(&place, Fate::Kept)?;
    let daemon = Daemon::start(&place, "state", &Mailing { port: sink.port, sessions: 4 })?;
    daemon.wait_until_mailed()?;
    let credentials = runtime.block_on(activate(&place, &daemon, &sink.mails()?))?;
    drop(sink);
    ensure!(credentials.len() == CLIENTS, "not every credential was activated");
    let requests: Vec<_> = credentials.iter().map(|basic| check(basic)).collect();

    let bare = Bare::start(&place)?;
    let tls = tls(&place, Some(&place.system(GATEWAY)?))?;
    let time = Duration::from_millis(size.pick(500, 2_000));
    let ours = Load { port: daemon.gateway, clients: CLIENTS, expected: 204 };
    let theirs = Load { port: bare.port, ..ours };
    let ratio = compare(
        format!("checks over {CLIENTS} kept mTLS connections"),
        "bare hyper, 204 behind the same TLS",
        0.8,
        size.rounds(),
        || ours.repeat_over_kept(&runtime, &tls, &requests, time),
        || theirs.repeat_over_kept(&runtime, &tls, &requests, time),
    )?;
    printer::ratio(&ratio)?;
    daemon.stop()
}

fn check(basic: &str) -> Vec<u8> {
    request("GET /v1/verify", &format!("authorization: Basic {basic}\r\nx-api: population-register\r\n"), "")
}

/// Goes the recipient's way for every mail: collect, combine, confirm. What HTTP Basic wants to hear of one pair each.
async fn activate(place: &Place, daemon: &Daemon, mails: &[String]) -> Result<Vec<String>> {
    let mut connection = Kept::connect(daemon.pickup, tls(place, Some(&place.partner()?))?).await?;
    let mut credentials = Vec::new();
    for mail in mails {
        let mailed = shares(mail)?;
        let reference = mailed.first().context("a mail without a share")?.reference.to_string();
        connection.ask(&request(&format!("POST /v1/deliveries/{reference}/collect"), "", ""), 200).await?;
        let collected: serde_json::Value = serde_json::from_slice(connection.body())?;
        let (mut proofs, mut basic) = (serde_json::Map::new(), None);
        for part in collected["shares"].as_array().context("no shares")? {
            let text = |name: &str| part[name].as_str().context("a share that is cut");
            let picked_up = ShareToken::from_text(text("share")?.to_owned()).read()?;
            let mailed = mailed.iter().find(|share| share.label == picked_up.label).context("a label is missing")?;
            let secret = combine(mailed, &picked_up)?;
            proofs.insert(text("label")?.to_owned(), secret.proof(&picked_up.reference).to_hex().into());
            let pair = format!("{}:{}", text("client_id")?, secret.reveal_to_recipient());
            basic = Some(Base64::encode_string(pair.as_bytes()));
        }
        let body = serde_json::json!({ "proofs": proofs }).to_string();
        let confirm = format!("POST /v1/deliveries/{reference}/confirm");
        connection.ask(&request(&confirm, "content-type: application/json\r\n", &body), 200).await?;
        credentials.extend(basic);
    }
    Ok(credentials)
}

/// The shares of a mail. In its HTML each stands whole.
fn shares(mail: &str) -> Result<Vec<tallyd::domain::share::Share>> {
    let mail = mail.replace("=\n", "");
    let (_, html) = mail.split_once("text/html").context("a mail without HTML")?;
    let words = html.split(|character: char| !(character.is_ascii_alphanumeric() || "._-".contains(character)));
    let tokens: BTreeSet<_> = words.filter(|word| word.starts_with("tally1.")).collect();
    tokens.into_iter().map(|token| Ok(ShareToken::from_text(token.to_owned()).read()?)).collect()
}
