//! The way of one delivery, step by step, from the server's word on it to the receipt. Each step can be the last of a run:
//! the next run finds out where the way stopped, from the server and from the file of the keys, and goes on from there.

use std::path::Path;

use zeroize::Zeroizing;

use super::super::combine::{Bundle, Pasted, mail_shares};
use super::super::output::{Exit, Failure, Output, Reader};
use super::Args;
use super::credential::{self, Credential, Format, Keeping};
use super::door::{Collected, Delivery, Door};
use super::told;
use crate::domain::reference::Reference;

/// Picks one delivery up, or what is left of it to do.
pub(super) async fn pick_up(
    args: &Args,
    door: &Door,
    reference: Reference,
    paste: impl FnOnce(&mut Output) -> Result<Zeroizing<String>, Failure>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let delivery = door.show(reference).await.map_err(|error| error.explain("look at delivery", reference))?;
    let keeping = Keeping::plan(args.out.as_deref(), &delivery)?;
    match delivery.state.as_str() {
        "mailed" => {}
        "active" => return confirmed_before(door, &delivery, &keeping, output).await,
        _ => return Err(told::over(&delivery, &keeping)),
    }
    step(1, told::what_it_is(&delivery), output);
    let path = match &keeping {
        Keeping::Print => None,
        Keeping::New(path) => Some(path.as_path()),
        // An earlier run came as far as this.
        Keeping::Kept(path, bundle) => {
            let held = path.display();
            step(
                4,
                format_args!("The keys are in {held} already, from an earlier run; they are confirmed now."),
                output,
            );
            return confirm(door, bundle, Some(path), None, output).await;
        }
    };
    let pasted = Pasted::find(&paste(output)?);
    let (bundle, collected) = both_parts(door, &delivery, &pasted, output).await?;
    let format = if output.reader() == Reader::Programs { Format::Json } else { args.format };
    let text = Credential::new(&delivery, &collected, &bundle).write(format);
    hand_over(path, &text, output)?;
    confirm(door, &bundle, path, Some(collected.fetches_left), output).await
}

/// Nothing is fetched before part 1 is whole: until then, a mistake costs nothing.
async fn both_parts(
    door: &Door,
    delivery: &Delivery,
    pasted: &Pasted,
    output: &mut Output,
) -> Result<(Bundle, Collected), Failure> {
    let (reference, labels) = (delivery.reference, delivery.labels());
    let mail = match mail_shares(pasted, reference, &labels) {
        Ok(mail) => mail,
        Err(failure) => return Err(told::about_others(door, reference, pasted).await.unwrap_or(failure)),
    };
    step(2, "Part 1 is whole and belongs to this delivery.", output);
    let collected = door.collect(reference).await.map_err(|error| error.explain("collect part 2 of", reference))?;
    step(3, format_args!("Part 2 is fetched; it can be fetched {} more times.", collected.fetches_left), output);
    told::earlier_fetches(&collected, door.own_certificate(), output);
    let bundle = super::put_together(reference, &labels, &mail, pasted, &collected)?;
    Ok((bundle, collected))
}

/// To the disk, or to the reader. Nothing is confirmed before this has succeeded.
fn hand_over(path: Option<&Path>, text: &str, output: &mut Output) -> Result<(), Failure> {
    if let Some(path) = path {
        credential::keep(path, text)?;
        step(
            4,
            format_args!("Both parts fit together. The keys are written to {} (mode 0600).", path.display()),
            output,
        );
        return Ok(());
    }
    output.data(text.trim_end_matches('\n'));
    if output.has_arrived() {
        step(4, "Both parts fit together. The keys are printed.", output);
        return Ok(());
    }
    let hint = "nothing was confirmed: run the same command again; --out writes to a file";
    Err(Failure::new("print the keys", "", "standard output takes no more").hint(hint))
}

async fn confirm(
    door: &Door,
    bundle: &Bundle,
    path: Option<&Path>,
    fetches_left: Option<u32>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match door.confirm(bundle).await {
        Ok(receipt) => {
            step(5, format_args!("Confirmed: the keys are valid since {}.", receipt.active_since), output);
            told::receipt(bundle.reference, &receipt, path, output);
            Ok(Exit::Done)
        }
        Err(error) => Err(told::unconfirmed(error, bundle.reference, path, fetches_left)),
    }
}

/// An earlier run did all of it, and perhaps its last answer was lost. The keys in the file prove themselves once more,
/// which has no effect but to give the receipt again.
async fn confirmed_before(
    door: &Door,
    delivery: &Delivery,
    keeping: &Keeping,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let Keeping::Kept(path, bundle) = keeping else { return Err(told::keys_are_elsewhere(delivery)) };
    match door.confirm(bundle).await {
        Ok(receipt) => {
            output.say(format_args!(
                "Delivery {} was confirmed before: the keys in {} are valid since {}. There is nothing left to do.",
                delivery.reference,
                path.display(),
                receipt.active_since
            ));
            told::receipt(bundle.reference, &receipt, Some(path), output);
            Ok(Exit::Done)
        }
        Err(error) => Err(told::other_keys(error, delivery, path)),
    }
}

/// One line each, also where standard error is a log.
fn step(number: u8, said: impl std::fmt::Display, output: &mut Output) {
    output.say(format_args!("[{number}/5] {said}"));
}
