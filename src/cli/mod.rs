//! The command line: one file per command, one printer.
//!
//! Commands of the operator ask the daemon through its socket and see what its answers show. Commands of the daemon
//! and of the recipient run in this process.

pub mod admit;
pub mod approve;
pub mod audit;
pub mod backup;
pub mod bounce;
pub mod campaigns;
pub mod certs;
pub mod check;
pub mod combine;
pub mod completions;
mod consequences;
pub mod contacts;
pub mod demo;
pub mod deny;
pub mod init;
mod input;
mod interrupt;
pub mod list;
pub mod man;
pub mod operator;
pub mod output;
pub mod pickup;
mod progress;
pub mod recover;
pub mod reissue;
pub mod requests;
pub mod revoke;
pub mod serve;
pub mod show;
pub mod whose;
pub mod witness;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::DEFAULT_PATH;
use crate::daemon::refused::{Kind, Refused};
use crate::platform::memory::harden_process;
use output::{Exit, Failure, Output, Reader};

/// Issues API credentials to organisations, split over two channels, with a tamper-evident journal.
#[derive(Debug, Parser)]
#[command(name = "tallyd", version, max_term_width = 100, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 configuration or files refused, 4 the journal does not verify, \
                  5 it cannot be verified with the key that was given."
)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, global = true, default_value = DEFAULT_PATH, value_name = "FILE")]
    config: PathBuf,

    /// Print JSON for programs.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make state, keys and the journal's first entry, once.
    Init(init::Args),
    /// Look at configuration, files, certificates and state; change nothing.
    Check(check::Args),
    /// Make the ways in for accounts that the daemon cannot see. The service does it before each start.
    Admit(admit::Args),
    /// Run the daemon.
    Serve(serve::Args),
    /// Copy the database while the daemon runs, without any share, and verify the copy.
    Backup(backup::Args),
    /// Go on from an older state when the newer one is gone for good, on record.
    Recover(recover::Args),
    /// List clients and how their orders are going.
    List(list::Args),
    /// Show one client and its timeline.
    Show(show::Args),
    /// Order a new credential for a client, or for many.
    Reissue(reissue::Args),
    /// List re-issues of many clients that are unfinished.
    Campaigns(campaigns::Args),
    /// End a client's credentials.
    Revoke(revoke::Args),
    /// Say whose a found secret or client_id is, and end it if asked to.
    Whose(whose::Args),
    /// For the mail system's alias: take a mail that came back, and withdraw its delivery.
    Bounce(bounce::Args),
    /// Show what waits for a second person.
    Requests(requests::Args),
    /// As the second person: have a request carried out.
    Approve(approve::Args),
    /// As the second person: close a request, so that nothing is carried out.
    Deny(deny::Args),
    /// List, add, change and erase a client's contacts.
    #[command(subcommand)]
    Contacts(contacts::Contacts),
    /// Look into the journal.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Be a witness for other agencies' journals.
    #[command(subcommand)]
    Witness(witness::WitnessCommand),
    /// Write an example PKI for trying out.
    Certs(certs::CertsArgs),
    /// For recipients: fetch part 2, combine, and confirm.
    Pickup(pickup::Args),
    /// For recipients: put both parts together offline.
    Combine(combine::Args),
    /// Show the whole way of a credential on this machine, step by step.
    Demo(demo::Args),
    /// Write the manual pages of all commands into a directory.
    Man(man::Args),
    /// Print what makes a shell complete the commands.
    Completions(completions::Args),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    // Before any thread and any secret. A kernel that refuses is told of and obeyed: demanding it would lock out
    // whoever only wants to read the help.
    let hardened = harden_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and version are data and end well; the rest is usage.
            let _ = usage.print();
            return match usage.use_stderr() {
                // A mistake in a mail system's alias keeps the mail there until it is mended.
                true if std::env::args_os().nth(1).is_some_and(|command| command == "bounce") => Exit::TryLater.into(),
                true => Exit::Usage.into(),
                false => Exit::Done.into(),
            };
        }
    };
    let reader = if cli.json { Reader::Programs } else { Reader::People };
    let mut output = Output::standard(reader);
    if let Err(error) = hardened {
        output.say(format_args!("warning: {error}"));
    }
    install_provider();
    let ended = match &cli.command {
        Command::Init(args) => init::run(args, &cli.config, &mut output),
        Command::Check(args) => check::run(args, &cli.config, &mut output),
        Command::Admit(args) => admit::run(args, &cli.config, &mut output),
        Command::Serve(args) => serve::run(args, &cli.config),
        Command::Backup(args) => backup::run(args, &cli.config, &mut output),
        Command::Recover(args) => recover::run(args, &cli.config, &mut output),
        Command::List(args) => list::run(args, &cli.config, &mut output),
        Command::Show(args) => show::run(args, &cli.config, &mut output),
        Command::Reissue(args) => reissue::run(args, &cli.config, &mut output),
        Command::Campaigns(args) => campaigns::run(args, &cli.config, &mut output),
        Command::Revoke(args) => revoke::run(args, &cli.config, &mut output),
        Command::Whose(args) => whose::run(args, &cli.config, &mut output),
        Command::Bounce(args) => bounce::run(args, &cli.config, &mut output),
        Command::Requests(args) => requests::run(args, &cli.config, &mut output),
        Command::Approve(args) => approve::run(args, &cli.config, &mut output),
        Command::Deny(args) => deny::run(args, &cli.config, &mut output),
        Command::Contacts(args) => contacts::run(args, &cli.config, &mut output),
        Command::Audit(args) => audit::run(args, &cli.config, &mut output),
        Command::Witness(args) => witness::run(args, &mut output),
        Command::Certs(args) => write_certs(args, &mut output),
        Command::Pickup(args) => pickup::run(args, &mut output),
        Command::Combine(args) => combine::run(args, &mut output),
        Command::Demo(args) => demo::run(args, &mut output),
        Command::Man(args) => man::run(args, Cli::command(), &mut output),
        Command::Completions(args) => completions::run(args, Cli::command(), &mut output),
    };
    let exit = ended.unwrap_or_else(|failure| output.fail(&failure));
    output.finish(exit).into()
}

fn write_certs(args: &certs::CertsArgs, output: &mut Output) -> Result<Exit, Failure> {
    use crate::platform::clock::{Clock, SystemClock};
    let written = certs::run(args, SystemClock.now())
        .map_err(|error| Failure::new("write the example PKI", "", error).exit(Exit::Refused))?;
    for path in &written {
        output.data(path.display());
    }
    output.say("These are examples. The daemon refuses them unless allow_example_certificates is set.");
    Ok(Exit::Done)
}

/// ring is the only cryptographic provider. Libraries that look for a default find it, ours name it.
fn install_provider() {
    // An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let exit = match refused.kind {
            Kind::Failed => Exit::Failed,
            Kind::Files => Exit::Refused,
            Kind::Quarantine => Exit::NotVerified,
        };
        let failure = Self::new(refused.tried, refused.object, refused.cause).exit(exit);
        if refused.hint.is_empty() { failure } else { failure.hint(refused.hint) }
    }
}

impl From<crate::config::ConfigRefused> for Failure {
    fn from(refused: crate::config::ConfigRefused) -> Self {
        Refused::from(refused).into()
    }
}
