//! `tallyd witness`: keeps another agency's journal from having two histories, by cosigning its checkpoints.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::output::{Exit, Failure, Output, Reader};
use crate::daemon::refused::Refused;
use crate::daemon::witness::{Settings, serve};
use crate::domain::name::Name;
use crate::journal::key::{Origin, VerifyingKey};
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::files::FileSource;
use crate::platform::logging::{self, LogFormat, LogLevel};
use crate::platform::random::SystemRandomness;
use crate::witness::Witness;

/// What to do as a witness.
#[derive(Debug, clap::Subcommand)]
pub enum WitnessCommand {
    /// Make key and memory, once, and print the public key for the logs.
    Init(Init),
    /// Cosign the checkpoints of these logs over HTTPS (C2SP tlog-witness).
    Serve(Serve),
    /// Forget a log that was put back to an older state, with its operator's knowledge; on record.
    Forget(Forget),
}

/// Under which name.
#[derive(Debug, clap::Args)]
pub struct Init {
    #[command(flatten)]
    place: Place,

    /// The witness's name, usually its address without the scheme, such as witness.exempel.se.
    #[arg(long, value_name = "NAME")]
    name: Origin,
}

/// Where it keeps key and memory.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The witness's directory: its key and what it has cosigned. Never put it back from a backup.
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
}

/// For which logs, and where it is reached.
#[derive(Debug, clap::Args)]
pub struct Serve {
    #[command(flatten)]
    place: Place,

    /// The address and port to listen on.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// The TLS certificate chain, PEM.
    #[arg(long, value_name = "FILE")]
    certificate: FileSource,

    /// The private key of it, PEM.
    #[arg(long, value_name = "FILE")]
    key: FileSource,

    /// A log's public key, as its operator's `tallyd init` printed it; once for each log.
    #[arg(long = "log", value_name = "KEY", required = true)]
    logs: Vec<VerifyingKey>,
}

/// Which log, and why.
#[derive(Debug, clap::Args)]
pub struct Forget {
    #[command(flatten)]
    place: Place,

    /// The log's origin.
    #[arg(value_name = "ORIGIN")]
    origin: Origin,

    /// Why, to be kept with what had been cosigned.
    #[arg(long, value_name = "TEXT")]
    reason: Name,
}

/// Runs it.
pub fn run(command: &WitnessCommand, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        WitnessCommand::Init(args) => init(args, output),
        WitnessCommand::Serve(args) => {
            let log = logging::start(LogFormat::Auto, LogLevel::Info)
                .map_err(|cause| Failure::new("start the log", "", cause))?;
            let settings = Settings {
                directory: args.place.directory.clone(),
                listen: args.listen,
                certificate: args.certificate.clone(),
                key: args.key.clone(),
                logs: args.logs.clone(),
            };
            let ended = serve(&settings);
            log.flush();
            ended.map(|()| Exit::Done).map_err(Failure::from)
        }
        WitnessCommand::Forget(args) => {
            let forgotten =
                Witness::forget(&args.place.directory, &args.origin, args.reason.clone(), SystemClock.now());
            forgotten.map_err(Refused::from)?;
            output.say(format_args!("{} is forgotten; what was cosigned of it stays on record", args.origin));
            Ok(Exit::Done)
        }
    }
}

fn init(args: &Init, output: &mut Output) -> Result<Exit, Failure> {
    let random = SystemRandomness::probe().map_err(|error| Failure::new("draw random bytes", "", error))?;
    let made = Witness::create(&args.place.directory, args.name.clone(), &random).map_err(Refused::from)?;
    match output.reader() {
        Reader::People => {
            output.say("logs name this witness by its public key:");
            output.data(made);
        }
        Reader::Programs => output.json(&serde_json::json!({ "witness_key": made.to_string() })),
    }
    Ok(Exit::Done)
}
