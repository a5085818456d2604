//! How operators' commands ask the daemon: through its socket, as themselves. Whom they are is the kernel's word.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::output::{Exit, Failure};
use crate::config::Config;
use crate::daemon::own_doors;
use crate::http::client::{self, Answer, NoAnswer, Question};

/// Where the daemon is heard unless something else is said.
const DEFAULT_SOCKET: &str = "/run/tallyd/operator.sock";

/// Where the daemon is.
#[derive(Debug, Clone, clap::Args)]
pub struct Daemon {
    /// The daemon's operator socket [default: operator.socket of the configuration].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Daemon {
    /// The socket: as given, or of the configuration where that can be read, or the default. Whoever has one of his own
    /// is known by it.
    fn socket(&self, config: &Path) -> PathBuf {
        if let Some(socket) = &self.socket {
            return socket.clone();
        }
        let Ok(config) = Config::load(config) else { return PathBuf::from(DEFAULT_SOCKET) };
        let own = own_doors::socket(&config.own_doors, rustix::process::geteuid().as_raw(), own_doors::OPERATOR);
        if own.exists() { own } else { config.operator.socket }
    }

    /// Asks and expects an answer of the 200s.
    pub(super) fn ask(&self, config: &Path, tried: &str, object: &str, question: Question) -> Result<Answer, Failure> {
        let socket = self.socket(config);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|cause| Failure::new("start the runtime", "", cause))?;
        let answer = runtime.block_on(client::over_unix(&socket, question));
        let answer = answer.map_err(|cause| unreachable_daemon(tried, object, &socket, &cause))?;
        if answer.status.is_success() { Ok(answer) } else { Err(refused(tried, object, &answer)) }
    }

    /// The same, for an answer in JSON.
    pub(super) fn ask_json(
        &self,
        config: &Path,
        tried: &str,
        object: &str,
        question: Question,
    ) -> Result<Value, Failure> {
        let answer = self.ask(config, tried, object, question)?;
        serde_json::from_slice(&answer.body).map_err(|cause| Failure::new(tried, object, cause))
    }
}

fn unreachable_daemon(tried: &str, object: &str, socket: &Path, cause: &NoAnswer) -> Failure {
    let hint = match cause {
        NoAnswer::Connect(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "start the daemon (systemctl start tallyd), or name its socket with --socket"
        }
        NoAnswer::Connect(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            "become a member of a group in operator.groups of the configuration"
        }
        NoAnswer::Broken(_) => {
            "the daemon lets in the users and groups of [operator] in the configuration: are you one of them?"
        }
        NoAnswer::Connect(_) | NoAnswer::Tls(_) | NoAnswer::Refused(_) | NoAnswer::Late => {
            "see that the daemon runs: systemctl status tallyd"
        }
    };
    Failure::new(tried, object, format_args!("{}: {cause}", socket.display())).hint(hint)
}

/// A problem document (RFC 9457) as an error of the command line.
fn refused(tried: &str, object: &str, answer: &Answer) -> Failure {
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |member: &str| document.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut cause = text("detail");
    if cause.is_empty() {
        cause = format!("the daemon answered {}", answer.status);
    }
    for fault in document.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let part = |member: &str| fault.get(member).and_then(Value::as_str).unwrap_or_default();
        cause.push_str(&format!("\n  {} {}", part("pointer").trim_start_matches('/'), part("detail")));
    }
    let failure = Failure::new(tried, object, cause).exit(Exit::Failed);
    match text("code").as_str() {
        "unknown-client" => failure.hint("tallyd list shows every client"),
        "unavailable" => failure.hint("the daemon cannot write now: see its log; the same command works when it can"),
        "grace-too-long" => failure.hint("give a shorter --grace, or leave it out for the usual one"),
        "faults-in-body" => failure.hint("correct what is named, and run the command again"),
        "unknown-campaign" | "campaign-over" => failure.hint("tallyd campaigns --all shows every campaign"),
        "nothing-matches" => failure.hint("tallyd reissue --all --dry-run shows who is left alone, and why"),
        "second-person-required" => {
            failure.hint("tallyd reissue CLIENT without --all is put before a second person")
        }
        "case-required" => failure.hint("give the case: --case NUMBER"),
        "own-request" => failure.hint("ask another operator to do it, from an account of his own"),
        "request-closed" => failure.hint("tallyd requests --all tells what became of it"),
        "request-failed" => failure.hint("tallyd show tells what there is; if it is still wanted, order it again"),
        "unknown-request" => failure.hint("tallyd requests shows what waits"),
        "not-a-person" => failure.hint("come from an account of your own that [operator] of the configuration names"),
        "nothing-to-revoke" => failure.hint("tallyd show tells what there is"),
        "unknown-contact" | "contact-ambiguous" => {
            failure.hint("tallyd contacts list shows every contact of the client with its whole id")
        }
        "technical-contact-erased" => failure.hint(
            "tallyd reissue CLIENT --contact - names another one and orders new keys",
        ),
        "contact-exists" | "contact-unchanged" => failure.hint("tallyd contacts list shows the contacts as they are"),
        "technical-contact-exists" => {
            failure.hint("tallyd contacts change CLIENT technical --email - puts another address in its place")
        }
        "delivery-on-its-way" => failure.hint(
            "tallyd reissue CLIENT --contact - takes the delivery back, changes the address and orders new keys, so that \
             no part is sent twice; or wait until the delivery is confirmed",
        ),
        "too-many-contacts" => failure.hint("erase one that is not needed any more: tallyd contacts forget"),
        "too-many-replaced" => failure.hint("see that mails go out (the daemon's log), or erase one: tallyd contacts forget"),
        "client-over" => failure.hint("tallyd reissue CLIENT --contact - orders new keys and names who gets part 1"),
        _ => failure,
    }
}

/// A query parameter's value, percent-encoded (RFC 3986, section 2.3).
pub(super) fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A member of an answer as text for people; empty when it is not there.
pub(super) fn text(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

/// An instant to the second, for tables: `2026-11-23 07:30:00`.
pub(super) fn instant(text: &str) -> String {
    text.get(..19).unwrap_or(text).replace('T', " ")
}
