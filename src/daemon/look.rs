//! What `tallyd check` looks at: everything that a start needs, without taking the lock, binding a socket or writing.

use super::accounts::Admitted;
use super::doors::material;
use super::keys::Keys;
use super::refused::Refused;
use super::serve::{letterhead, relay};
use crate::config::{Config, TlsFiles};
use crate::domain::time::Timestamp;
use crate::http::tls::TlsMaterial;
use crate::platform::clock::{Clock, SystemClock, start_check};
use crate::platform::state_directory::StateDirectory;
use crate::store::archive::Archive;

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
    findings.extend(certificates(config));
    let operator = Admitted::find(&config.operator.users, &config.operator.groups);
    findings.push(finding("operators", operator.map(|admitted| format!("users let in: {}", admitted.users.len()))));
    findings.push(finding("mails", letterhead(config).map(|_| "addresses and names can be written".to_owned())));
    findings.push(relay_finding(config, offline));
    findings
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
    let opened = Archive::open(directory).map_err(|error| {
        let hint = error.hint();
        Refused::files("read the database in", directory.display(), error, hint)
    });
    let head = opened.and_then(|mut archive| {
        archive.ask(|queries| queries.checkpoint()).map_err(|error| {
            Refused::files("read the database in", directory.display(), error, "run tallyd audit verify")
        })
    });
    let told = head.map(|note| {
        let size = note.lines().nth(1).unwrap_or("0").to_owned();
        format!("{held}; the journal has {size} entries")
    });
    findings.push(finding("state", told));
    findings
}

fn certificates(config: &Config) -> Vec<Finding> {
    let mut doors: Vec<(String, &TlsFiles)> = vec![("intake".to_owned(), &config.intake.listener.files)];
    doors
        .extend(config.pickups.iter().map(|pickup| (format!("pickup {}", pickup.environment), &pickup.listener.files)));
    let gateway = config.gateway.as_ref().and_then(|gateway| gateway.tls.as_ref());
    doors.extend(gateway.map(|tls| ("gateway".to_owned(), &tls.files)));
    let mut findings = Vec::new();
    for (door, files) in doors {
        match material(files, config.allow_example_certificates) {
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
