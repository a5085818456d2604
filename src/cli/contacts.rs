//! `tallyd contacts`: whom a client's mails go to. Addresses are personal data, so where they come in and where they are
//! shown is said here.
//!
//! An address may be given as an argument: it is a shared mailbox of an organisation and no secret. Who does not want it
//! in the list of processes and in the shell's history gives `-` and has it read from standard input. The address of
//! somebody who wants to be forgotten is read from there only.

mod add;
mod change;
mod forget;
mod list;

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::Path;

use serde_json::Value;

use super::operator::text;
use super::output::{Exit, Failure, Output};

/// More than any address has; what is longer is something else.
const ADDRESS_BYTES_MAX: u64 = 1024;

/// What to do with contacts.
#[derive(Debug, clap::Subcommand)]
pub enum Contacts {
    /// List a client's contacts with their addresses.
    List(list::Args),
    /// Add a contact.
    Add(add::Args),
    /// Change a contact's address or language.
    Change(change::Args),
    /// Erase a contact's address, or an address wherever it stands.
    Forget(forget::Args),
}

/// Runs it.
pub fn run(contacts: &Contacts, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    match contacts {
        Contacts::List(args) => list::run(args, config, output),
        Contacts::Add(args) => add::run(args, config, output),
        Contacts::Change(args) => change::run(args, config, output),
        Contacts::Forget(args) => forget::run(args, config, output),
    }
}

/// An address as it was given, or from standard input when that is `-`.
pub(super) fn address(given: &str, output: &mut Output) -> Result<String, Failure> {
    if given == "-" { address_from_standard_input(output) } else { Ok(given.to_owned()) }
}

fn address_from_standard_input(output: &mut Output) -> Result<String, Failure> {
    let input = io::stdin();
    let at_a_terminal = input.is_terminal();
    if at_a_terminal {
        output.say("The address, then Enter:");
    }
    let mut input = input.lock().take(ADDRESS_BYTES_MAX);
    let mut given = String::new();
    // A line is enough from a person. Whatever a program writes is the address, so that nothing is left out unseen.
    let read = if at_a_terminal { input.read_line(&mut given) } else { input.read_to_string(&mut given) };
    read.map_err(|cause| Failure::new("read an address from", "standard input", cause))?;
    let given = given.trim();
    if given.is_empty() {
        let failure = Failure::new("read an address from", "standard input", "there is none");
        return Err(failure.hint("write the address and nothing else to it"));
    }
    Ok(given.to_owned())
}

/// Tells what an erasure that was approved leaves to be done.
pub(super) fn tell_what_is_missing(answer: &Value, output: &mut Output) {
    if let Some(next) = forget::what_next(answer) {
        output.say(next);
    }
}

/// Tells what the daemon took with a warning.
pub(super) fn warn(answer: &Value, output: &mut Output) {
    for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        output.say(format_args!("warning: the address {}", text(warning, "/detail")));
    }
}
