//! `tallyd pickup`: what a recipient does, in one command: fetch part 2 with the organisation's certificate, put it
//! together with part 1 from the e-mail, keep the keys, and confirm.
//!
//! Whatever can be wrong with what was pasted is found before part 2 is fetched, because fetches are counted. The keys
//! are written to the disk, or printed, before they are confirmed: a confirmation that is lost can be sent again, keys
//! that are lost cannot.

mod credential;
mod door;
mod papers;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::combine::{Bundle, PASTE_LESS, Pasted, join, mail_shares, pickup_share};
use super::input;
use super::output::{Exit, Failure, Output, Reader};
use crate::domain::digest::Fingerprint;
use crate::domain::ids::Label;
use crate::domain::reference::{NotAReference, Reference};
use crate::domain::share::Share;
use credential::{Credential, Keeping};

pub(super) use credential::Format;
pub(super) use door::{Address, Collected, Delivery, Door, DoorError};
pub(super) use papers::Papers;

/// Part 1 comes by standard input, never as an argument.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Part 1 is read from standard input: paste it, or the whole e-mail, and end with Ctrl-D; or give a file with < e-mail.txt. \
The keys are printed as NAME=value lines (or JSON), or written with --out to a new file that only you can read. If \
anything is interrupted, run the same command again.

A certificate in a .p12 or .pfx file is made readable with:
  openssl pkcs12 -in organisation.p12 -nokeys -out organisation.pem
  openssl pkcs12 -in organisation.p12 -nocerts -nodes -out organisation.key; chmod 600 organisation.key")]
pub struct Args {
    /// The pickup address, as the e-mail gives it: https://HOST[:PORT]/
    #[arg(long, value_name = "URL")]
    url: Address,
    /// The organisation's certificate, PEM; intermediate certificates after it.
    #[arg(long, value_name = "PEM")]
    cert: PathBuf,
    /// Its private key, PEM, not encrypted.
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// Whose server certificates to trust [default: this system's list].
    #[arg(long, value_name = "PEM")]
    ca: Option<PathBuf>,
    /// Where to write the keys: a new file, mode 0600. Without it they are printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to write them.
    #[arg(long, value_enum, default_value_t = Format::Env)]
    format: Format,
    /// The delivery, as the e-mail names it (K7QF-2M9D). Without it, what awaits you is listed.
    #[arg(value_parser = named)]
    reference: Option<Named>,
}

/// A delivery as it was named, or why that is no name of one. The command line's own parser repeats what it refuses; a
/// part of a key that was given as an argument must not be repeated, so the refusal is made later.
type Named = Result<Reference, String>;

fn named(text: &str) -> Result<Named, Infallible> {
    if text.contains("tally1.") {
        return Ok(Err("that is a part of a key; parts are pasted, never given as arguments".to_owned()));
    }
    Ok(text.parse().map_err(|error: NotAReference| error.to_string()))
}

/// Lists what awaits, or picks one delivery up.
pub fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let reference = args.reference.clone().transpose().map_err(|cause| {
        let hint = "name the delivery as the e-mail does, or name none to see what awaits you";
        Failure::new("read the delivery's name", "", cause).hint(hint).exit(Exit::Usage)
    })?;
    let papers = Papers::read(&args.cert, &args.key, args.ca.as_deref())?;
    if let Some(mode) = papers.key_is_open {
        output.say(format_args!(
            "warning: {} has mode {mode:04o}, so other users of this machine can read the key: chmod 600 {}",
            args.key.display(),
            args.key.display()
        ));
    }
    let door = Door::new(args.url.clone(), papers);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Failure::new("start the runtime", "", cause))?;
    match reference {
        None => runtime.block_on(list(args, &door, output)),
        Some(reference) => {
            let prompt = "Paste part 1, or the whole e-mail, then press Ctrl-D on a line of its own:";
            let paste = |output: &mut Output| input::text(prompt, PASTE_LESS, output);
            runtime.block_on(pick_up(args, &door, reference, paste, output))
        }
    }
}

async fn list(args: &Args, door: &Door, output: &mut Output) -> Result<Exit, Failure> {
    let deliveries = door.list().await.map_err(|error| error.explain("ask what awaits you at", &args.url))?;
    let row = |delivery: &Delivery| {
        let keys: Vec<_> = delivery.keys.iter().map(|key| key.label.as_str()).collect();
        vec![
            delivery.reference.to_string(),
            delivery.software.clone(),
            delivery.environment.clone(),
            delivery.apis.join(", "),
            keys.join(", "),
            delivery.window_ends.date(),
            delivery.earlier_fetches.len().to_string(),
        ]
    };
    let rows: Vec<_> = deliveries.iter().map(row).collect();
    let headings = ["delivery", "software", "environment", "apis", "keys", "collect before", "fetched"];
    match args.format {
        Format::Json => output.json(&deliveries),
        Format::Env => {
            output.show(&deliveries, &headings, &rows, "nothing awaits this certificate's organisation here")
        }
    }
    Ok(Exit::Done)
}

async fn pick_up(
    args: &Args,
    door: &Door,
    reference: Reference,
    paste: impl FnOnce(&mut Output) -> Result<Zeroizing<String>, Failure>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let delivery = door.show(reference).await.map_err(|error| error.explain("look at delivery", reference))?;
    let keeping = Keeping::plan(args.out.as_deref(), reference)?;
    match delivery.state.as_str() {
        "mailed" => {}
        "active" => return confirmed_before(&delivery, &keeping, output),
        _ => return Err(over(&delivery)),
    }
    output.say(format_args!(
        "Delivery {reference}: keys for {} ({}), to be collected before {}.",
        delivery.software,
        delivery.environment,
        delivery.window_ends.date()
    ));
    let pasted = Pasted::find(&paste(output)?);
    let labels = delivery.labels();
    // Nothing was fetched yet, so a mistake here costs nothing.
    let mail = mail_shares(&pasted, reference, &labels)?;

    let collected = door.collect(reference).await.map_err(|error| error.explain("collect part 2 of", reference))?;
    tell_fetches(&collected, door.own_certificate(), output);
    let bundle = put_together(reference, &labels, &mail, &pasted, &collected)?;
    let format = if output.reader() == Reader::Programs { Format::Json } else { args.format };
    let text = Credential::new(&delivery, &collected, &bundle).write(format);
    hand_over(&keeping, &text, output)?;
    confirm(door, &bundle, &keeping, collected.fetches_left, output).await
}

/// Part 2 together with the shares of the e-mail.
pub(super) fn put_together(
    reference: Reference,
    labels: &BTreeSet<Label>,
    mail: &[&Share],
    pasted: &Pasted,
    collected: &Collected,
) -> Result<Bundle, Failure> {
    let picked_up = collected.shares.iter().map(|part| pickup_share(&part.share)).collect::<Result<Vec<_>, _>>()?;
    join(reference, labels, mail, &picked_up.iter().collect::<Vec<_>>(), &pasted.broken)
}

/// To the disk, or to the reader. Nothing is confirmed before this has succeeded.
fn hand_over(keeping: &Keeping, text: &str, output: &mut Output) -> Result<(), Failure> {
    if let Keeping::File(path) = keeping {
        credential::keep(path, text)?;
        output.say(format_args!("The keys are written to {} (mode 0600).", path.display()));
        return Ok(());
    }
    output.data(text.trim_end_matches('\n'));
    if output.has_arrived() {
        return Ok(());
    }
    let hint = "nothing was confirmed: run the same command again; --out writes to a file";
    Err(Failure::new("print the keys", "", "standard output takes no more").hint(hint))
}

async fn confirm(
    door: &Door,
    bundle: &Bundle,
    keeping: &Keeping,
    fetches_left: u32,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match door.confirm(bundle).await {
        Ok(receipt) => {
            output.say(format_args!("Confirmed: the keys are valid since {}.", receipt.active_since));
            if let Some(until) = receipt.previous_credential_until {
                output.say(format_args!("The keys that they replace stay valid until {until}."));
            }
            Ok(Exit::Done)
        }
        Err(error) => {
            let known = error.is_refusal();
            let failure = error.explain("confirm delivery", bundle.reference);
            let state = match (known, keeping) {
                (true, Keeping::Print) => "the keys that were printed are not valid".to_owned(),
                (true, Keeping::File(path)) => format!("the keys in {} are not valid", path.display()),
                (false, Keeping::Print) => "whether the printed keys are valid yet is not known".to_owned(),
                (false, Keeping::File(path)) => {
                    format!("the keys stay in {}; whether they are valid yet is not known", path.display())
                }
            };
            let again = format!(
                "{state}. Nothing is lost: run the same command again (part 2 can be fetched {fetches_left} more times)"
            );
            let hint = match failure.hint.as_deref() {
                Some(hint) => format!("{again}; {hint}"),
                None => again,
            };
            Err(failure.hint(hint))
        }
    }
}

/// Who had part 2 before, plainly: a stranger with the organisation's certificate is noticed here and nowhere else.
fn tell_fetches(collected: &Collected, own: Fingerprint, output: &mut Output) {
    output.say(format_args!("Part 2 is fetched; it can be fetched {} more times.", collected.fetches_left));
    if collected.earlier_fetches.is_empty() {
        return;
    }
    output.say("Part 2 was fetched before:");
    for fetch in &collected.earlier_fetches {
        let certificate = if fetch.certificate_sha256 == own {
            "this certificate".to_owned()
        } else {
            format!("the certificate with SHA-256 {}", fetch.certificate_sha256)
        };
        output.say(format_args!("  on {} from {} with {certificate}", fetch.time, fetch.address));
    }
    output.say("Was that you? If not, tell the agency, and quote the delivery.");
}

/// An earlier run did all of it, and perhaps its last answer was lost.
fn confirmed_before(delivery: &Delivery, keeping: &Keeping, output: &mut Output) -> Result<Exit, Failure> {
    let since = delivery.active_since.map(|at| format!(" since {at}")).unwrap_or_default();
    if let Keeping::File(path) = keeping
        && path.exists()
    {
        output.say(format_args!(
            "Delivery {} was confirmed before: the keys in {} are valid{since}. There is nothing left to do.",
            delivery.reference,
            path.display()
        ));
        return Ok(Exit::Done);
    }
    let cause = format!("it was confirmed, and its keys are valid{since}");
    Err(Failure::new("pick up delivery", delivery.reference, cause).hint(
        "the keys that an earlier run printed or wrote are the right ones; if nobody has them, ask the agency for a new issue",
    ))
}

fn over(delivery: &Delivery) -> Failure {
    let cause = delivery.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    let hint = match delivery.state.as_str() {
        "generated" => "its e-mail is being sent at this moment: try again in a minute",
        _ => "use the newest e-mail; without a delivery, tallyd pickup lists what awaits you",
    };
    Failure::new("pick up delivery", delivery.reference, format_args!("it is {}{cause}", delivery.state)).hint(hint)
}

#[cfg(test)]
mod tests;
