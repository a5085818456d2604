//! The story: what happens, in which order, in words that somebody new understands; and every claim checked as it is
//! made. The first one that does not hold ends it as a failure.

use std::time::{Duration, Instant};

use base64ct::{Base64UrlUnpadded, Encoding};
use http::StatusCode;
use zeroize::Zeroizing;

use super::super::audit::verify_state;
use super::super::combine::{Bundle, Pasted, mail_shares};
use super::super::output::{Failure, Output};
use super::super::pickup::{Address, Collected, Delivery, Door, DoorError, put_together};
use super::daemon::Daemon;
use super::search::Fragments;
use super::sink::Sink;
use super::stage::Stage;
use super::{by_hand, letter, others};
use crate::config::Config;
use crate::daemon::init::init;
use crate::domain::reference::Reference;
use crate::domain::share::Side;
use crate::journal::entry::Entry;
use crate::journal::key::VerifyingKey;
use crate::journal::line::Timeline;
use crate::store::archive::Archive;

/// How long a mail may take from the approval on.
const MAIL_DEADLINE: Duration = Duration::from_secs(20);

/// Steps that are announced.
const STEPS: u32 = 10;

/// The application of the story.
const APPLICATION: &str = "case-2026-0417";

/// Tells all of it, and with `keep` stays until it is dropped.
pub(super) async fn tell(stage: &Stage, keep: bool, output: &mut Output) -> Result<(), Failure> {
    let began = Instant::now();
    let mut teller = Teller { output, step: 0 };
    let key = prepare(stage, &mut teller).await?;
    let mut sink = start_sink(stage).await?;
    let daemon = start_daemon(stage, &mut teller).await?;
    approve(stage, &mut teller).await?;
    let mail = part_one(&mut sink, &mut teller).await?;
    let delivery = refuse_stranger(stage, &mail, &mut teller).await?;
    let (bundle, collected) = pick_up(stage, &delivery, &mail, &mut teller).await?;
    confirm(stage, &delivery, &bundle, &mut teller).await?;
    daemon.stop().await?;
    audit(stage, key, &mut teller)?;
    search(stage, &collected, &bundle, &mut teller)?;
    teller.say(format_args!("Done in {:.1} seconds.", began.elapsed().as_secs_f32()));
    if keep {
        let daemon = Daemon::start(stage).await?;
        return by_hand::stay(stage, &mut sink, daemon.id(), output).await;
    }
    Ok(())
}

/// Part 1 as it arrived.
struct PartOne {
    reference: Reference,
    pasted: Pasted,
}

/// Says things, and counts the steps.
struct Teller<'a> {
    output: &'a mut Output,
    step: u32,
}

impl Teller<'_> {
    fn step(&mut self, heading: &str) {
        self.step += 1;
        let space = if self.step == 1 { "" } else { "\n" };
        self.output.data(format_args!("{space}{}/{STEPS}  {heading}", self.step));
    }

    fn say(&mut self, text: impl std::fmt::Display) {
        for line in text.to_string().lines() {
            self.output.data(format_args!("      {line}").to_string().trim_end());
        }
    }
}

async fn prepare(stage: &Stage, teller: &mut Teller<'_>) -> Result<VerifyingKey, Failure> {
    teller.step("A place to play");
    teller.say(format_args!(
        "Everything lies in {} and is removed at the end:\n\
         throw-away certificates, a configuration, keys, and an empty journal.",
        stage.dir().display()
    ));
    let config = Config::load(&stage.config())?;
    // It waits for the store's thread, which is not done on a thread of the runtime.
    let made = tokio::task::spawn_blocking(move || init(&config)).await;
    let made = made.map_err(|cause| Failure::new("begin the journal", "", cause))??;
    teller.say(format_args!("Auditors will verify the journal with this public key:\n  {}", made.verifier_key));
    made.verifier_key.parse().map_err(|cause| Failure::new("read the journal's public key", "", cause))
}

async fn start_sink(stage: &Stage) -> Result<Sink, Failure> {
    Sink::start(stage.ports.mail, others::mail_server(stage)?)
        .await
        .map_err(|cause| Failure::new("start the mail server on port", stage.ports.mail, cause))
}

async fn start_daemon(stage: &Stage, teller: &mut Teller<'_>) -> Result<Daemon, Failure> {
    teller.step("The agency starts tallyd");
    let daemon = Daemon::start(stage).await?;
    let ports = stage.ports;
    teller.say(format_args!(
        "Process {} listens on 127.0.0.1, each door with mutual TLS:\n\
         approvals on port {}, pickup on {} (test) and {} (production), gateways on {}.\n\
         Beside it runs a mail server with TLS on port {}.",
        daemon.id(),
        ports.intake,
        ports.pickup_test,
        ports.pickup_production,
        ports.gateway,
        ports.mail
    ));
    Ok(daemon)
}

async fn approve(stage: &Stage, teller: &mut Teller<'_>) -> Result<(), Failure> {
    teller.step("A case officer has said yes: the case system posts the approval");
    let event = others::approval("approval-1", APPLICATION);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = others::post(stage, &event).await?;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status != StatusCode::ACCEPTED {
            return Err(Failure::new("post the approval", "", format_args!("{}: {body}", answer.status)));
        }
        answers.push(body.get("issuance_id").and_then(|id| id.as_str()).unwrap_or_default().to_owned());
    }
    let [first, second] = &answers[..] else { return Err(not_so("the approval was answered twice")) };
    expect(first == second && !first.is_empty(), "the same event is the same order")?;
    teller.say(format_args!(
        "Exempel AB (559000-0005) gets keys for the population-register API, test environment.\n\
         Answer: 202, order {first}. From now on it cannot be lost.\n\
         The case system posts it again, to be sure: the same answer, and still one order."
    ));
    Ok(())
}

async fn part_one(sink: &mut Sink, teller: &mut Teller<'_>) -> Result<PartOne, Failure> {
    teller.step("Part 1 goes by e-mail");
    let failed = |cause: &str| Failure::new("receive the e-mail with part 1", "", cause);
    let mail = tokio::time::timeout(MAIL_DEADLINE, sink.next()).await.map_err(|_| failed("it did not come in time"))?;
    let mail = mail.ok_or_else(|| failed("the mail server has ended"))?;
    expect(mail.to == others::MAILBOX, "part 1 goes to the technical contact")?;
    let text = letter::plain_text(&mail.content).ok_or_else(|| failed("it has no plain text"))?;
    teller.say(format_args!(
        "The secret is made when the mail server is ready for it, split, and wiped. To {} came:\n ",
        mail.to
    ));
    for line in text.lines() {
        teller.say(format_args!("| {line}"));
    }
    let pasted = Pasted::find(&text);
    let reference = pasted.shares.iter().find(|share| share.side == Side::Mail).map(|share| share.reference);
    let reference = reference.ok_or_else(|| failed("there is no part 1 in it"))?;
    Ok(PartOne { reference, pasted })
}

async fn refuse_stranger(stage: &Stage, mail: &PartOne, teller: &mut Teller<'_>) -> Result<Delivery, Failure> {
    teller.step("Somebody who read that e-mail tries to collect part 2");
    let stranger = door(stage, "stranger")?;
    match stranger.collect(mail.reference).await {
        Err(DoorError::Problem(problem)) if problem.status == StatusCode::NOT_FOUND => {}
        Err(error) => return Err(error.explain("be refused part 2 of", mail.reference)),
        Ok(_) => return Err(not_so("another organisation's certificate opens nothing")),
    }
    teller.say(
        "With a valid certificate, but of another organisation: 404.\n\
         For a stranger the delivery does not exist. The attempt is in the journal.",
    );
    let own = door(stage, "exempel")?;
    own.show(mail.reference).await.map_err(|error| error.explain("look at delivery", mail.reference))
}

async fn pick_up(
    stage: &Stage,
    delivery: &Delivery,
    mail: &PartOne,
    teller: &mut Teller<'_>,
) -> Result<(Bundle, Collected), Failure> {
    teller.step("The organisation collects part 2 with its certificate, and combines");
    let labels = delivery.labels();
    let part_one = mail_shares(&mail.pasted, mail.reference, &labels)?;
    let collected = collect(stage, mail.reference).await?;
    expect(collected.earlier_fetches.is_empty(), "nobody has fetched part 2 before")?;
    let bundle = put_together(mail.reference, &labels, &part_one, &mail.pasted, &collected)?;
    for part in &collected.shares {
        let length = bundle.secrets.get(&part.label).map_or(0, |secret| secret.reveal_to_recipient().len());
        teller.say(format_args!("{}: client_id {}, client_secret of {length} characters", part.label, part.client_id));
    }
    // The first answer might have been lost on its way.
    let again = collect(stage, mail.reference).await?;
    let parts = collected.shares.iter().map(|part| part.share.release());
    expect(parts.eq(again.shares.iter().map(|part| part.share.release())), "part 2 is the identical part again")?;
    let earlier = again.earlier_fetches.first().ok_or_else(|| not_so("an earlier fetch is shown"))?;
    teller.say(format_args!(
        "Had the answer been lost: collected again, it is the same part, and the earlier fetch is shown\n\
         ({} from {}), so that a theft would be noticed.",
        earlier.time, earlier.address
    ));
    Ok((bundle, collected))
}

async fn confirm(stage: &Stage, delivery: &Delivery, bundle: &Bundle, teller: &mut Teller<'_>) -> Result<(), Failure> {
    teller.step("The keys are dead until the organisation proves that it holds both parts");
    for key in &delivery.keys {
        let secret = bundle.secrets.get(&key.label).ok_or_else(|| not_so("every pair has its secret"))?;
        let (status, _) = others::verify(stage, &key.client_id, secret).await?;
        expect(status == StatusCode::UNAUTHORIZED, "the gateway refuses the keys before they are confirmed")?;
    }
    teller.say("An API gateway asks about the keys: 401.");
    let own = door(stage, "exempel")?;
    let receipt = own.confirm(bundle).await.map_err(|error| error.explain("confirm", bundle.reference))?;
    teller.say(format_args!(
        "The organisation sends a proof for each pair, not the secret. Active since {}.",
        receipt.active_since
    ));

    teller.step("Now they are good");
    for key in &delivery.keys {
        let secret = bundle.secrets.get(&key.label).ok_or_else(|| not_so("every pair has its secret"))?;
        let (status, headers) = others::verify(stage, &key.client_id, secret).await?;
        expect(status == StatusCode::NO_CONTENT, "the gateway lets the keys in once they are confirmed")?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        teller.say(format_args!(
            "An API gateway asks about {}: 204, organisation {}, {}, may call {}.",
            key.label,
            header("x-organisation"),
            header("x-environment"),
            header("x-apis")
        ));
    }
    match own.collect(bundle.reference).await {
        Err(DoorError::Problem(problem)) if problem.status == StatusCode::GONE => {}
        Err(error) => return Err(error.explain("be refused part 2 of", bundle.reference)),
        Ok(_) => return Err(not_so("part 2 is gone once the keys are confirmed")),
    }
    teller.say("Part 2 is erased: collecting it again gives 410.");
    Ok(())
}

fn audit(stage: &Stage, key: VerifyingKey, teller: &mut Teller<'_>) -> Result<(), Failure> {
    teller.step("An auditor verifies the journal, from the files and the public key alone");
    let failed = |cause: &dyn std::fmt::Display| Failure::new("verify the journal in", stage.state().display(), cause);
    let verified = verify_state(&stage.state(), key, None, teller.output)?.map_err(|found| failed(&found))?;
    let mut archive = Archive::open(&stage.state()).map_err(|cause| failed(&cause))?;
    let entries = archive.ask(|queries| queries.entries(0, 1000)).map_err(|cause| failed(&cause))?;
    let mut timeline = Timeline::default();
    for bytes in &entries {
        teller.output.data(timeline.next(&Entry::parse(bytes).map_err(|cause| failed(&cause))?));
    }
    teller.say(format_args!("The daemon is stopped. {} entries, root {}: verified.", verified.size, verified.root));
    Ok(())
}

fn search(stage: &Stage, collected: &Collected, bundle: &Bundle, teller: &mut Teller<'_>) -> Result<(), Failure> {
    teller.step("What is left of the secret at the agency");
    let failed = |cause: std::io::Error| Failure::new("search", stage.dir().display(), cause);
    let (mut wanted, mut public) = (Fragments::default(), Fragments::default());
    for part in &collected.shares {
        let secret = bundle.secrets.get(&part.label).ok_or_else(|| not_so("every pair has its secret"))?;
        let secret = secret.reveal_to_recipient().as_bytes();
        let two = payload(part.share.release()).ok_or_else(|| not_so("part 2 can be read"))?;
        let one: Zeroizing<Vec<u8>> = Zeroizing::new(secret.iter().zip(two.iter()).map(|(a, b)| a ^ b).collect());
        [secret, one.as_slice(), two.as_slice()].into_iter().for_each(|value| wanted.add(value));
        public.add(part.client_id.as_str().as_bytes());
    }
    // A search that finds nothing must be one that can find something.
    let control = public.search(stage.dir()).map_err(failed)?;
    expect(!control.places.is_empty(), "the search finds what is there")?;
    let found = wanted.search(stage.dir()).map_err(failed)?;
    if let Some(place) = found.places.first() {
        let cause = format!("there is some in {}", place.display());
        return Err(Failure::new("find nothing of the secret in", stage.dir().display(), cause));
    }
    let names = |places: &[std::path::PathBuf]| -> Vec<String> {
        let names = places.iter().filter_map(|place| place.strip_prefix(stage.dir()).ok());
        names.map(|name| name.display().to_string()).collect()
    };
    teller.say(format_args!(
        "Every file ({}; {} KiB) was looked through for any 16 bytes of the secrets and of\n\
         their parts: raw, in hexadecimal, in base64. The same search finds the public client_ids in {}.\n\
         searched state, journal and logs for the secret: not found",
        found.files,
        found.bytes / 1024,
        names(&control.places).join(" and ")
    ));
    Ok(())
}

/// The bytes that a share token carries.
fn payload(token: &str) -> Option<Zeroizing<Vec<u8>>> {
    Base64UrlUnpadded::decode_vec(token.split('.').nth(4)?).ok().map(Zeroizing::new)
}

fn door(stage: &Stage, who: &str) -> Result<Door, Failure> {
    let address: Address = format!("https://localhost:{}/", stage.ports.pickup_test)
        .parse()
        .map_err(|cause| Failure::new("name the pickup address", "", cause))?;
    Ok(Door::new(address, others::papers(stage, who)?))
}

async fn collect(stage: &Stage, reference: Reference) -> Result<Collected, Failure> {
    let own = door(stage, "exempel")?;
    own.collect(reference).await.map_err(|error| error.explain("collect part 2 of", reference))
}

fn expect(holds: bool, claim: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(not_so(claim)) }
}

fn not_so(claim: &str) -> Failure {
    Failure::new("show that", claim, "it is not so").hint("this is a fault of tallyd: please report it with the log")
}
