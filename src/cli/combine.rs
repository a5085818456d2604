//! `tallyd combine`: puts both parts together on this machine, for whoever fetched part 2 by other means. It opens no
//! connection and no file.

mod bundle;
mod pasted;

use super::input;
use super::output::{Exit, Failure, Output, Reader};
use crate::domain::contact::Language;
use crate::domain::mistake::Mistake;

pub(super) use bundle::{Bundle, join, mail_shares, mistake, pickup_share};
pub(super) use pasted::{Pasted, without_breaks};

/// What to do about a text that is too long to be an e-mail.
pub(super) fn paste_less() -> &'static str {
    Mistake::TooLong.said(Language::En).remedy
}

/// Both parts come by standard input: an argument would be seen by every user of the machine and kept by the shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Paste part 1 (or the whole e-mail) and part 2 (or the whole answer of the pickup address), in any order, and end with \
Ctrl-D. Nothing is sent anywhere.

To confirm with curl:
  tallyd combine --proof < both-parts.txt | curl --cert organisation.pem --key organisation.key \\
      --json @- https://PICKUP/v1/deliveries/REFERENCE/confirm")]
pub struct Args {
    /// Print the proofs that confirm the delivery, as JSON ready for curl, in place of the secrets.
    #[arg(long)]
    proof: bool,
}

/// Combines, and prints either the secrets or the proofs.
pub fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let prompt = "Paste part 1 and part 2, then press Ctrl-D on a line of its own:";
    let text = input::text(prompt, paste_less(), output)?;
    let bundle = Bundle::of(&Pasted::find(&text))?;
    output.say(format_args!("delivery {}: both parts fit together", bundle.reference));
    if args.proof {
        output.json(&bundle.confirmation());
    } else {
        print_secrets(&bundle, output);
    }
    Ok(Exit::Done)
}

fn print_secrets(bundle: &Bundle, output: &mut Output) {
    let secrets = bundle.secrets.iter().map(|(label, secret)| (label, secret.reveal_to_recipient()));
    match output.reader() {
        Reader::Programs => {
            let secrets: std::collections::BTreeMap<_, _> =
                secrets.map(|(label, text)| (label.as_str(), text)).collect();
            output.json(&serde_json::json!({ "reference": bundle.reference, "client_secrets": secrets }));
        }
        Reader::People => secrets.for_each(|(label, text)| output.data(format_args!("{label}: {text}"))),
    }
}
