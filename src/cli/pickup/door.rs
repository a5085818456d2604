//! The pickup endpoint from the recipient's side: its address, its answers, and its refusals in words that say what to do.
//! It knows nothing of what was pasted.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::super::combine::Bundle;
use super::super::output::Failure;
use super::papers::Papers;
use crate::domain::digest::Fingerprint;
use crate::domain::ids::{ClientId, Label};
use crate::domain::reference::Reference;
use crate::domain::share::ShareToken;
use crate::domain::time::Timestamp;
use crate::http::client::{Answer, NoAnswer, Question, over_tls};

/// How often something is asked that the server cannot do at the moment.
const TRIES: u32 = 3;

/// The longest wait between two tries; a server that says more is told to the user.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// `https://HOST[:PORT][/PATH]/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Address {
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: String,
}

/// The text is not such an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address as the e-mail gives it, such as https://pickup.exempel.se:8443/")]
pub(in crate::cli) struct NotAnAddress;

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let uri: http::Uri = text.parse().map_err(|_| NotAnAddress)?;
        let authority = uri.authority().ok_or(NotAnAddress)?;
        let plain = uri.scheme_str() == Some("https") && uri.query().is_none() && !authority.as_str().contains('@');
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if !plain || host.is_empty() || (authority.port().is_none() && authority.as_str().ends_with(':')) {
            return Err(NotAnAddress);
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { host: host.to_owned(), port: authority.port_u16().unwrap_or(443), path })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "https://{open}{}{close}", self.host)?;
        if self.port != 443 {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "{}/", self.path)
    }
}

/// What awaits a recipient. The words are the server's; they are shown, never acted on but for the state.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Delivery {
    pub(in crate::cli) reference: Reference,
    pub(in crate::cli) application_id: String,
    pub(in crate::cli) software: String,
    pub(in crate::cli) environment: String,
    pub(in crate::cli) apis: Vec<String>,
    pub(in crate::cli) keys: Vec<Key>,
    pub(in crate::cli) state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) cause: Option<String>,
    pub(in crate::cli) window_ends: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) active_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) replaced_by: Option<Newer>,
    pub(in crate::cli) earlier_fetches: Vec<Fetched>,
}

/// The delivery that took another one's place.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Newer {
    pub(in crate::cli) reference: Reference,
    pub(in crate::cli) time: Timestamp,
}

/// One pair, without its secret.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Key {
    pub(in crate::cli) label: Label,
    pub(in crate::cli) client_id: ClientId,
}

/// One fetch of part 2.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Fetched {
    pub(in crate::cli) time: Timestamp,
    pub(in crate::cli) address: String,
    pub(in crate::cli) certificate_sha256: Fingerprint,
}

/// Part 2.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Collected {
    pub(in crate::cli) fetches_left: u32,
    pub(in crate::cli) shares: Vec<SharePart>,
    pub(in crate::cli) earlier_fetches: Vec<Fetched>,
}

/// Part 2 of one pair.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct SharePart {
    pub(in crate::cli) label: Label,
    pub(in crate::cli) client_id: ClientId,
    #[serde(deserialize_with = "token")]
    pub(in crate::cli) share: ShareToken,
}

/// What a confirmation is answered with.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Receipt {
    pub(in crate::cli) active_since: Timestamp,
    pub(in crate::cli) previous_credential_until: Option<Timestamp>,
}

impl Delivery {
    /// The labels of all pairs.
    pub(in crate::cli) fn labels(&self) -> BTreeSet<Label> {
        self.keys.iter().map(|key| key.label.clone()).collect()
    }
}

/// The endpoint, asked with one certificate.
#[derive(Debug)]
pub(in crate::cli) struct Door {
    address: Address,
    papers: Papers,
}

impl Door {
    /// Connects to nothing yet.
    pub(in crate::cli) fn new(address: Address, papers: Papers) -> Self {
        Self { address, papers }
    }

    /// Of the certificate that is shown.
    pub(in crate::cli) fn own_certificate(&self) -> Fingerprint {
        self.papers.certificate
    }

    /// What awaits the certificate's organisation.
    pub(in crate::cli) async fn list(&self) -> Result<Vec<Delivery>, DoorError> {
        self.ask(Question::get(self.target("v1/deliveries")), Again::WhenBusy).await
    }

    /// One delivery. Nothing is fetched by that.
    pub(in crate::cli) async fn show(&self, reference: Reference) -> Result<Delivery, DoorError> {
        let target = self.target(&format!("v1/deliveries/{}", reference.plain()));
        self.ask(Question::get(target), Again::WhenBusy).await
    }

    /// Part 2. Each answer counts, also one that is lost on its way, so it is not asked for again unasked.
    pub(in crate::cli) async fn collect(&self, reference: Reference) -> Result<Collected, DoorError> {
        let target = self.target(&format!("v1/deliveries/{}/collect", reference.plain()));
        self.ask(Question::post(target, "application/json", ""), Again::WhenBusy).await
    }

    /// Confirms; as often as it takes, since it has effect once.
    pub(in crate::cli) async fn confirm(&self, bundle: &Bundle) -> Result<Receipt, DoorError> {
        let target = self.target(&format!("v1/deliveries/{}/confirm", bundle.reference.plain()));
        let body =
            serde_json::to_vec(&bundle.confirmation()).map_err(|error| DoorError::Unreadable(error.to_string()))?;
        self.ask(Question::post(target, "application/json", body), Again::WhenLost).await
    }

    fn target(&self, place: &str) -> String {
        format!("{}/{place}", self.address.path)
    }

    async fn ask<T: DeserializeOwned>(&self, question: Question, again: Again) -> Result<T, DoorError> {
        let mut tries = 1;
        loop {
            let outcome = self.ask_once(question.clone()).await;
            match outcome {
                Err(error) if tries < TRIES => match error.wait(again) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(error),
                },
                outcome => return outcome,
            }
            tries += 1;
        }
    }

    async fn ask_once<T: DeserializeOwned>(&self, question: Question) -> Result<T, DoorError> {
        let (host, port) = (self.address.host.as_str(), self.address.port);
        let answer = over_tls(host, port, self.papers.tls().clone(), question).await?;
        if !answer.status.is_success() {
            return Err(DoorError::Problem(Problem::of(&answer)));
        }
        serde_json::from_slice(&answer.body).map_err(|error| DoorError::Unreadable(unread(&error)))
    }
}

/// When a question is asked again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// When the server says that nothing happened and when to come again.
    WhenBusy,
    /// Also when no answer came.
    WhenLost,
}

/// The endpoint did not do it.
#[derive(Debug)]
pub(in crate::cli) enum DoorError {
    /// No answer came, so what happened is not known.
    NoAnswer(NoAnswer),
    /// It refused.
    Problem(Problem),
    /// It answered something else than a pickup endpoint does.
    Unreadable(String),
}

/// A problem document (RFC 9457).
#[derive(Debug)]
pub(in crate::cli) struct Problem {
    pub(in crate::cli) status: StatusCode,
    pub(in crate::cli) code: String,
    detail: String,
    request_id: String,
    retry_after: Option<Duration>,
}

impl DoorError {
    /// Whether it is certain that nothing was done.
    pub(in crate::cli) fn is_refusal(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.status.is_client_error(),
            Self::NoAnswer(_) | Self::Unreadable(_) => false,
        }
    }

    /// The code of its refusal; empty where there is none.
    pub(in crate::cli) fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.code,
            Self::NoAnswer(_) | Self::Unreadable(_) => "",
        }
    }

    /// For people: what was tried on what, why it failed, and what to do.
    pub(in crate::cli) fn explain(self, tried: &str, object: impl fmt::Display) -> Failure {
        match self {
            Self::NoAnswer(error) => {
                let hint = no_answer_hint(&error);
                Failure::new(tried, object, error).hint(hint)
            }
            Self::Unreadable(why) => Failure::new(tried, object, format_args!("the answer is not understood: {why}"))
                .hint("see that --url is the address in the e-mail, and that tallyd is not older than the agency's"),
            Self::Problem(problem) => {
                let hint = problem.hint();
                let failure = Failure::new(tried, object, &problem.detail);
                match hint {
                    Some(hint) => failure.hint(hint),
                    None => {
                        failure.hint(format!("if you ask the agency about it, quote request {}", problem.request_id))
                    }
                }
            }
        }
    }

    fn wait(&self, again: Again) -> Option<Duration> {
        match self {
            Self::Problem(problem) => {
                let busy = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&problem.status);
                problem.retry_after.filter(|wait| busy && *wait <= WAIT_MAX)
            }
            Self::NoAnswer(NoAnswer::Late | NoAnswer::Broken(_) | NoAnswer::Connect(_)) if again == Again::WhenLost => {
                Some(Duration::from_secs(1))
            }
            Self::NoAnswer(_) | Self::Unreadable(_) => None,
        }
    }
}

impl From<NoAnswer> for DoorError {
    fn from(error: NoAnswer) -> Self {
        Self::NoAnswer(error)
    }
}

impl Problem {
    fn of(answer: &Answer) -> Self {
        let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text =
            |member: &str| document.get(member).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let mut detail = text("detail");
        if detail.is_empty() {
            detail = format!("the server answered {}", answer.status);
        }
        let retry_after = answer.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Self {
            status: answer.status,
            code: text("code"),
            detail,
            request_id: text("request_id"),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self.code.as_str() {
            "not-found" => Some(
                "compare the delivery with the e-mail; use the certificate of the organisation that the e-mail names, and \
                 the address in that e-mail, since test and production have different ones",
            ),
            "certificate-not-known" => {
                Some("--cert must be the organisation's certificate that was issued for this purpose")
            }
            "superseded" | "mail-failed" | "over" | "replaced" => {
                Some("use the newest e-mail; without a delivery, tallyd pickup lists what awaits you")
            }
            "too-many-requests" => Some("wait a minute, then run the same command again"),
            "unavailable" | "not-yet" | "stopping" => Some("run the same command again in a few minutes"),
            _ => None,
        }
    }
}

fn no_answer_hint(error: &NoAnswer) -> &'static str {
    match error {
        NoAnswer::Connect(_) => "see that --url is the address in the e-mail, and that your network lets you reach it",
        NoAnswer::Tls(_) => {
            "the server did not prove that it is the agency's: compare --url with the e-mail; if the agency uses an authority \
             of its own, name its certificate with --ca. Do not go on otherwise"
        }
        NoAnswer::Refused(_) => {
            "use the organisation's certificate for this environment (test and production differ), with its intermediate \
             certificates after it in the same file"
        }
        NoAnswer::Late => "run the same command again",
        NoAnswer::Broken(_) => "see that --url is the address in the e-mail, then run the same command again",
    }
}

/// serde's messages may quote a value of the answer, which may be a share.
fn unread(error: &serde_json::Error) -> String {
    format!("line {}, column {}: {:?}", error.line(), error.column(), error.classify())
}

fn token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ShareToken, D::Error> {
    String::deserialize(deserializer).map(ShareToken::from_text)
}
