//! What `tallyd check` looks at: everything that a start needs, without taking the lock, binding a socket or writing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::accounts::{Admitted, operators_and_mail_systems};
use super::doors::{material, tls_listeners};
use super::keys::Keys;
use super::refused::Refused;
use super::serve::{letterhead, relay};
use super::{anchors, eyes, quarantine};
use crate::config::Config;
use crate::domain::ids::PeerName;
use crate::domain::time::Timestamp;
use crate::http::keeper::Keeper;
use crate::http::refusals::Refusals;
use crate::http::tls::{TlsDoor, TlsMaterial};
use crate::journal::checkpoint::Checkpoint;
use crate::platform::clock::{Clock, SystemClock, start_check};
use crate::platform::state_directory::StateDirectory;
use crate::store::archive::Archive;
use crate::store::fence::Fence;
use crate::store::handle::StartError;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is as it must be.
    Good {
        /// What was looked at.
        subject: String,
        /// What there is to say.
        told: String,
    },
    /// It works now.
    Warning {
        /// What was looked at.
        subject: String,
        /// What will go wrong.
        told: String,
    },
    /// The daemon would not start, or not work.
    Bad {
        /// What was looked at.
        subject: String,
        /// Why.
        refused: Refused,
    },
}

/// Looks at everything, whatever was wrong before.
pub fn look(config: &Config, offline: bool) -> Vec<Finding> {
    let mut findings =
        vec![Finding::Good { subject: "configuration".into(), told: "every key is known and in range".into() }];
    findings.push(finding("clock", start_check(&SystemClock).map(|now| now.to_string()).map_err(Refused::from)));
    findings.push(finding("keys", Keys::load(config).map(|keys| format!("journal {}", keys.journal.origin()))));
    findings.extend(state(config));
    findings.extend(anchors_of(config, offline));
    findings.extend(certificates(config));
    findings.push(finding("operators", operators_and_mail_systems(config).map(|found| let_in(&found))));
    if !config.operator.four_eyes.is_empty() {
        let commands: Vec<_> = config.operator.four_eyes.iter().map(|command| command.as_str()).collect();
        findings.push(finding("four eyes", eyes::open(config).map(|()| commands.join(", "))));
    }
    findings.push(finding("mails", letterhead(config).map(|_| "addresses and names can be written".to_owned())));
    findings.push(relay_finding(config, offline));
    findings
}

fn let_in((operators, mail_systems): &(Admitted, BTreeSet<u32>)) -> String {
    let users = operators.users.len();
    match mail_systems.len() {
        0 => format!("users let in: {users}"),
        returning => format!("users let in: {users}; accounts that return mail: {returning}"),
    }
}

fn finding(subject: &str, outcome: Result<String, Refused>) -> Finding {
    match outcome {
        Ok(told) => Finding::Good { subject: subject.to_owned(), told },
        Err(refused) => Finding::Bad { subject: subject.to_owned(), refused },
    }
}

fn state(config: &Config) -> Vec<Finding> {
    let directory = &config.state.directory;
    let report = match StateDirectory::look(directory) {
        Ok(report) => report,
        Err(refused) => return vec![Finding::Bad { subject: "state".into(), refused: refused.into() }],
    };
    let held = match report.held_by {
        None => "no daemon runs on it".to_owned(),
        Some(None) => "a daemon runs on it".to_owned(),
        Some(Some(pid)) => format!("a daemon runs on it, process {pid}"),
    };
    let mut findings = Vec::new();
    if !report.filesystem.keeps_state() && !config.allow_example_certificates {
        let cause = format!("it lies on {:?}, which does not keep what is written, or is shared", report.filesystem);
        let refused =
            Refused::files("keep state in", directory.display(), cause, "put state.directory on a local disk");
        findings.push(Finding::Bad { subject: "state".into(), refused });
    }
    findings.push(finding("state", head(config).map(|size| format!("{held}; the journal has {size} entries"))));
    findings
}

/// How many entries the journal has, by a checkpoint that its own key signed and that the fence admits.
fn head(config: &Config) -> Result<u64, Refused> {
    let directory = &config.state.directory;
    // The fence is read before the database, which may grow meanwhile.
    let mut archive = Archive::open(directory).map_err(StartError::from)?;
    let fenced = Fence::look(directory).map_err(StartError::from)?;
    let note = archive.ask(|queries| queries.checkpoint()).map_err(|error| {
        Refused::files("read the database in", directory.display(), error, "run tallyd audit verify")
    })?;
    let size = match Keys::load(config) {
        Ok(keys) => Checkpoint::verify(&note, &keys.journal.verifying_key()).map_err(StartError::from)?.size,
        // That there are none is told beside this.
        Err(_) => note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0),
    };
    fenced.admits(size).map_err(StartError::from)?;
    Ok(size)
}

/// What those that can answer know of the journal. One that cannot be used does not keep the daemon from starting.
fn anchors_of(config: &Config, offline: bool) -> Vec<Finding> {
    let Ok(keys) = Keys::load(config) else { return Vec::new() };
    let key = keys.journal.verifying_key();
    let all = match anchors::of(config, &key) {
        Ok(all) => all,
        Err(refused) => return vec![Finding::Bad { subject: "anchors".into(), refused }],
    };
    let witnesses = if offline { anchors::Witnesses::LeftOut } else { anchors::Witnesses::Asked };
    // That the database cannot be opened or read is told beside this.
    let asked = Archive::open(&config.state.directory)
        .ok()
        .and_then(|mut archive| anchors::ask(&all, &mut archive, &key, witnesses).ok());
    let Some(asked) = asked else { return Vec::new() };
    let subject = |name: &PeerName| format!("anchor {name}");
    let agree = asked.agree.iter().map(|(name, size)| Finding::Good {
        subject: subject(name),
        told: format!("it holds a checkpoint of {size} entries, and the journal goes through it"),
    });
    let contradict = asked.contradict.iter().map(|contradiction| Finding::Bad {
        subject: subject(&contradiction.anchor),
        refused: quarantine::contradicted(config, std::slice::from_ref(contradiction)),
    });
    let silent = asked.silent.iter().map(|(name, cause, hint)| Finding::Bad {
        subject: subject(name),
        refused: Refused::failed("use the anchor", name, cause, hint.as_str()),
    });
    agree.chain(contradict).chain(silent).collect()
}

fn certificates(config: &Config) -> Vec<Finding> {
    let listeners = match tls_listeners(config) {
        Ok(listeners) => listeners,
        Err(refused) => return vec![Finding::Bad { subject: "doors".to_owned(), refused }],
    };
    let clock: crate::http::Clock = Arc::new(|| SystemClock.now());
    let mut findings = Vec::new();
    for (door, listener, keeper) in listeners {
        let door = match &keeper {
            Keeper::Recipients { environment, .. } => format!("{door} {environment}"),
            Keeper::Senders(_) | Keeper::Gateways(_) => door.to_owned(),
        };
        let set_up = material(&listener.files, config.allow_example_certificates).and_then(|material| {
            TlsDoor::new(&material, keeper, Arc::clone(&clock), Arc::new(Refusals::new(0)))?;
            Ok(material)
        });
        match set_up {
            Ok(material) => findings.extend(expiries(&door, &material)),
            Err(refused) => findings.push(Finding::Bad { subject: door, refused }),
        }
    }
    findings
}

fn expiries(door: &str, material: &TlsMaterial) -> Vec<Finding> {
    let now: Timestamp = SystemClock.now();
    let expiries = match material.expiries() {
        Ok(expiries) => expiries,
        Err(problem) => return vec![Finding::Bad { subject: door.to_owned(), refused: problem.into() }],
    };
    let of_expiry = |expiry: crate::http::tls::Expiry| {
        let subject = format!("{door}, {}", expiry.what);
        let told = format!("{} ends {}", expiry.file, expiry.at.date());
        if expiry.at <= now {
            let refused = Refused::files(
                "use",
                &expiry.file,
                format_args!("it ended {}", expiry.at.date()),
                "renew it and reload the daemon",
            );
            Finding::Bad { subject, refused }
        } else if expiry.at <= now.after(expiry.soon) {
            Finding::Warning { subject, told }
        } else {
            Finding::Good { subject, told }
        }
    };
    expiries.into_iter().map(of_expiry).collect()
}

fn relay_finding(config: &Config, offline: bool) -> Finding {
    let host = format!("{}:{}", config.mail.host, config.mail.port);
    let relay = match relay(config) {
        Ok(relay) => relay,
        Err(refused) => return Finding::Bad { subject: "relay".into(), refused },
    };
    if offline {
        return Finding::Good { subject: "relay".into(), told: format!("{host} was not asked") };
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let failed = |cause: String| {
        Refused::failed("reach the relay", &host, cause, "see [mail] in the configuration, and the relay's log")
    };
    let outcome = runtime.map_err(|cause| failed(cause.to_string())).and_then(|runtime| {
        runtime.block_on(async {
            let session = relay.connect().await.map_err(|failure| failed(failure.to_string()))?;
            session.close().await;
            Ok(format!("{host} answers over TLS"))
        })
    });
    finding("relay", outcome)
}
