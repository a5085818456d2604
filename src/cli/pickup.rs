//! `tallyd pickup`: what a recipient does, in one command: fetch part 2 with the organisation's certificate, put it
//! together with part 1 from the e-mail, keep the keys, and confirm.
//!
//! Whatever can be wrong with what was pasted is found before part 2 is fetched, because fetches are counted. The keys
//! are written to the disk, or printed, before they are confirmed: a confirmation that is lost can be sent again, keys
//! that are lost cannot.

mod choice;
mod credential;
mod door;
mod elliptic;
mod identity;
mod papers;
mod password;
mod pkcs12;
mod steps;
mod told;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::PathBuf;

use super::combine::{Bundle, Pasted, join, paste_less, pickup_share};
use super::input;
use super::output::{Exit, Failure, Output};
use crate::domain::ids::Label;
use crate::domain::reference::{NotAReference, Reference};
use crate::domain::share::Share;

pub(super) use credential::Format;
pub(super) use door::{Address, Collected, Delivery, Door, DoorError};
pub(super) use identity::Named;
pub(super) use papers::Papers;
pub(super) use password::PasswordFrom;

/// Part 1 comes by standard input, never as an argument.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Part 1 is read from standard input: paste it, or the whole e-mail, and end with Ctrl-D; or give a file with < e-mail.txt. \
The keys are printed as NAME=value lines (or JSON), or written with --out to a new file that only you can read.

If anything is interrupted, run the same command again. With --out it goes on where it stopped: with the keys in the file it \
needs neither the e-mail nor part 2 any more, and a delivery that was confirmed gives its receipt again. Without --out it \
fetches part 2 again until the delivery is confirmed; keys that were printed before that are printed nowhere again.

The password of a .p12 or .pfx file, or of an encrypted key, is asked for at the terminal and not shown. For scripts it is \
the first line of --password-file FILE; with --password-file - it is the first line of standard input, and the e-mail \
follows.")]
pub struct Args {
    /// The pickup address, as the e-mail gives it: https://HOST:PORT/
    #[arg(long, value_name = "URL")]
    url: Address,
    /// The organisation's certificate: PKCS#12 (.p12, .pfx), or PEM with intermediate certificates after it.
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Its private key, PEM, where it is not in the same file.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Which of several certificates in a PKCS#12 file: its name there, or the beginning of its SHA-256.
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// A file whose first line is the password, or - for standard input [default: it is asked for].
    #[arg(long, value_name = "FILE", value_parser = PasswordFrom::named)]
    password_file: Option<PasswordFrom>,
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
    #[arg(value_parser = called)]
    reference: Option<Called>,
}

/// A delivery as it was named, or why that is no name of one. The command line's own parser repeats what it refuses; a
/// part of a key that was given as an argument must not be repeated, so the refusal is made later.
type Called = Result<Reference, String>;

fn called(text: &str) -> Result<Called, Infallible> {
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
    let files = Named {
        cert: &args.cert,
        key: args.key.as_deref(),
        chosen: args.identity.as_deref(),
        password: args.password_file.as_ref().unwrap_or(&PasswordFrom::Terminal),
    };
    let papers = Papers::read(files, args.ca.as_deref())?;
    papers.warnings.iter().for_each(|warning| output.say(warning));
    let door = Door::new(args.url.clone(), papers);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Failure::new("start the runtime", "", cause))?;
    match reference {
        None => runtime.block_on(list(args, &door, output)),
        Some(reference) => {
            let prompt = "Paste part 1, or the whole e-mail, then press Ctrl-D on a line of its own:";
            let paste = |output: &mut Output| input::text(prompt, paste_less(), output);
            runtime.block_on(steps::pick_up(args, &door, reference, paste, output))
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

#[cfg(test)]
mod tests;
