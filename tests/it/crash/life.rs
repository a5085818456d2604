//! One round: a first life of the daemon that may end at any moment, a second one in which everything must come good,
//! and the verdict.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tallyd::domain::ids::Environment;
use tallyd::http::client::Question;

use crate::harness::approval::Approval;
use crate::harness::keys::Keys;
use crate::harness::mailbox::PartOne;
use crate::harness::people::Reply;
use crate::harness::{Harness, SOON};
use crate::process::{Injection, Process};

/// Between looks at whether something has come.
const LOOK: Duration = Duration::from_millis(5);

/// Who says 202 to the case system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    /// The daemon.
    Honest,
    /// Somebody before the daemon, who passes the event on afterwards. The control.
    Eager,
}

/// An approval that was accepted is not there any more.
#[derive(Debug, thiserror::Error)]
#[error("the approval was accepted and is lost")]
pub(crate) struct Lost;

/// How a round ended that ended well.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How the first life ended.
    pub(crate) first_life: ExitStatus,
}

/// One round, as the case system and the technician see it.
pub(crate) struct Round<'a> {
    harness: &'a mut Harness,
    intake: Intake,
    approval: &'a Approval,
    /// Mails that the relay has from earlier rounds.
    mails_before: usize,
    /// The issuance that the 202 named.
    accepted: Option<String>,
    /// What the technician has put together, and of which delivery.
    keys: Option<(String, Keys)>,
    confirmed: bool,
}

impl<'a> Round<'a> {
    /// On the state that was kept aside, in which the approval may have been accepted already.
    pub(crate) fn new(
        harness: &'a mut Harness,
        intake: Intake,
        approval: &'a Approval,
        accepted: Option<String>,
    ) -> Self {
        let state = harness.path().join("state");
        std::fs::remove_dir_all(&state).unwrap();
        copy(&kept_aside(harness), &state);
        let mails_before = harness.sink().mails().len();
        Self { harness, intake, approval, mails_before, accepted, keys: None, confirmed: false }
    }

    /// Both lives and the verdict.
    pub(crate) fn run(mut self, injection: &Injection) -> Result<Outcome> {
        let first_life = self.first_life(injection)?;
        // What the crash left is searched in the end, when all parts are known.
        let left = self.harness.path().join("crashed");
        let _ = std::fs::remove_dir_all(&left);
        copy(&self.harness.path().join("state"), &left);
        self.harness.serve();
        let second = self.second_life();
        self.harness.stop();
        second?;
        self.harness.run(&["audit", "verify"]).expect_exit(0);
        let found = self.harness.found();
        ensure!(found.is_empty(), "left behind on disk:\n{}", found.join("\n"));
        Ok(Outcome { first_life })
    }

    fn first_life(&mut self, injection: &Injection) -> Result<ExitStatus> {
        let mut daemon = Process::injected(self.harness, injection);
        if daemon.ready(self.harness) && (self.accepted.is_some() || self.post()?) {
            let deadline = Instant::now() + SOON;
            while daemon.ended().is_none() && !self.pick_up()? {
                ensure!(Instant::now() < deadline, "no credential in the first life");
                std::thread::sleep(LOOK);
            }
        }
        Ok(daemon.stop())
    }

    /// True when the event is accepted, as far as the case system knows.
    fn post(&mut self) -> Result<bool> {
        let event = self.approval.event();
        if self.intake == Intake::Eager {
            self.accepted = Some(String::new());
            // What becomes of it is of no interest to this intake.
            let _ = self.harness.sender().try_ask(structured(&event));
            return Ok(true);
        }
        let Ok(reply) = self.harness.sender().try_ask(structured(&event)) else { return Ok(false) };
        match reply.status {
            202 => {
                let issuance = reply.json()["issuance_id"].as_str().context("a 202 names the issuance")?.to_owned();
                ensure!(self.accepted.as_ref().is_none_or(|first| *first == issuance), "a second issuance was opened");
                self.accepted = Some(issuance);
                Ok(true)
            }
            503 => Ok(false),
            _ => bail!("the approval was answered with {reply:?}"),
        }
    }

    /// The technician tries with what there is; true when confirmed.
    fn pick_up(&mut self) -> Result<bool> {
        if let Some((reference, keys)) = &self.keys {
            let recipient = self.harness.recipient(Environment::Test);
            let question = Question::post(
                format!("/v1/deliveries/{reference}/confirm"),
                "application/json",
                serde_json::json!({ "proofs": keys.proofs() }).to_string(),
            );
            match recipient.try_ask(question) {
                Ok(Reply { status: 200, .. }) => self.confirmed = true,
                Ok(Reply { status: 503, .. }) | Err(_) => {}
                Ok(reply) => bail!("the confirmation was answered with {reply:?}"),
            }
            return Ok(self.confirmed);
        }
        let Some(part_one) = self.mails().pop() else { return Ok(false) };
        let target = format!("/v1/deliveries/{}/collect", part_one.reference);
        let question = Question { method: http::Method::POST, ..Question::get(target) };
        match self.harness.recipient(Environment::Test).try_ask(question) {
            Ok(reply) if reply.status == 200 => {
                let keys = Keys::combine(&part_one, &reply.json());
                self.harness.remember_secret(&keys.only().secret);
                self.keys = Some((part_one.reference, keys));
            }
            // On its way into the tables; or dead, and a newer mail is on its way.
            Ok(Reply { status: 503 | 410, .. }) | Err(_) => {}
            Ok(reply) => bail!("the pickup was answered with {reply:?}"),
        }
        Ok(false)
    }

    fn second_life(&mut self) -> Result<()> {
        if self.accepted.is_none() {
            ensure!(self.post()?, "the repeated event was not accepted");
        }
        if self.orders()?.is_empty() {
            return Err(Lost.into());
        }
        let deadline = Instant::now() + SOON;
        while !self.pick_up()? {
            ensure!(Instant::now() < deadline, "no credential in the second life");
            std::thread::sleep(LOOK);
        }
        self.verdict()
    }

    fn verdict(&mut self) -> Result<()> {
        let (active, keys) = self.keys.as_ref().context("there are keys")?;
        let pair = keys.only();
        ensure!(self.harness.gateway().verify(&pair.client_id, &pair.secret) == 204, "the credential does not verify");
        let orders = self.orders()?;
        let [order] = &orders[..] else { bail!("{} orders for one approval", orders.len()) };
        ensure!(order["state"] == "completed", "{order}");
        let versions = order["credentials"].as_array().context("an order has versions")?;
        for version in versions {
            let reference = version["reference"].as_str().context("a version has a reference")?.replace('-', "");
            let state = if reference == *active { "active" } else { "abandoned" };
            ensure!(version["state"] == state, "{version} should be {state}");
        }
        let mut references: Vec<_> = self.mails().into_iter().map(|mail| mail.reference).collect();
        for dead in references.iter().filter(|reference| *reference != active) {
            let reply = self.harness.recipient(Environment::Test).collect(dead);
            ensure!(reply.status == 410, "a dead delivery was answered with {reply:?}");
        }
        references.sort();
        ensure!(references.windows(2).all(|pair| pair[0] != pair[1]), "a version was mailed twice: {references:?}");
        // Once more, to be sure: the same answer and no second credential.
        let event = self.approval.event();
        let again = self.harness.sender().post_event(&event);
        ensure!(again.status == 202 && again.json()["issuance_id"] == order["issuance_id"], "{again:?}");
        Ok(())
    }

    fn orders(&self) -> Result<Vec<Value>> {
        let reply = self.harness.sender().get(&format!("/v1/issuances?application_id={}", self.approval.application()));
        ensure!(reply.status == 200, "{reply:?}");
        Ok(reply.json().as_array().context("orders are a list")?.clone())
    }

    /// The mails with part 1, oldest first.
    fn mails(&self) -> Vec<PartOne> {
        let mails = self.harness.sink().mails().into_iter().skip(self.mails_before);
        let mails = mails.filter(|mail| mail.to == [self.approval.technical()]);
        let parts: Vec<_> = mails.filter_map(|mail| PartOne::read(&mail.raw)).collect();
        parts.iter().for_each(|part_one| self.harness.remember(part_one));
        parts
    }
}

/// One label and one contact, so that a round has few pages to write.
pub(crate) fn one_contact() -> Approval {
    let mut approval = Approval::new();
    approval.data["contacts"].as_array_mut().unwrap().truncate(1);
    approval
}

fn structured(event: &Value) -> Question {
    Question::post("/v1/events", "application/cloudevents+json", event.to_string())
}

/// Keeps the state as it is for every round to begin with, where the search of the harness does not look.
pub(crate) fn keep_aside(harness: &Harness) {
    copy(&harness.path().join("state"), &kept_aside(harness));
}

fn kept_aside(harness: &Harness) -> PathBuf {
    harness.path().join("outside/state")
}

/// Copies a directory as it is.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{} could not be copied", from.display());
}
