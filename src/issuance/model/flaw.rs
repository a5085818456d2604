//! Controls: the core with one guard taken out. The checker must find the trace that the guard is there for.
//!
//! A guard is taken out by hiding from the decision what the guard looks at, or by dropping or bending a fact that it decided;
//! the rest is the real decision, on the real state.

use super::action::{Action, Ordered};
use super::script::{NOW, Script, TICK, WRONG_PROOF};
use super::world::{Courier, World};
use crate::domain::client::Client;
use crate::domain::credential::{Credential, CredentialState};
use crate::domain::dice::Dice;
use crate::domain::digest::ProofDigest;
use crate::domain::ids::MessageId;
use crate::domain::issuance::IssuanceState;
use crate::issuance::settle::Outcome;
use crate::journal::fact::Fact;
use crate::store::contract::{Command, Decision, Loaded};

/// What is wrong with the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// `Confirm` takes every proof for the right one.
    AnyProofWillDo,
    /// `Generate` asks neither whose turn it is nor what is on its way.
    GeneratesOutOfTurn,
    /// `Settle` takes the relay's word for a version that was withdrawn meanwhile.
    SettlesWhatWasOvertaken,
    /// `Confirm` forgets the version before.
    LeavesTheOldOneActive,
    /// `Confirm` gives the version before more grace than was asked for.
    GraceWithoutEnd,
    /// A re-issue of what has become known ends nothing.
    EndsNothing,
    /// The mail is handed over again when no reply came.
    MailsAgainWhenNoReplyCame,
    /// A start does not clear up what a crash left behind.
    NothingIsClearedUp,
    /// An event is answered before it is on record.
    AnswersBeforeTheCommit,
    /// Orders are not asked whether they take a second person.
    ActsAlone,
    /// Whoever made a request may be its second person.
    ApprovesOwn,
    /// A request can be approved after its time.
    ApprovesLate,
}

impl Flaw {
    /// The decision of a core with this flaw.
    pub(super) fn decide<C: Command>(
        self,
        script: &Script,
        world: &World,
        action: Action,
        command: &C,
        state: &Loaded,
    ) -> Result<Decision<C::Answer>, C::Refusal> {
        let mut view = state.clone();
        if let Some(client) = view.slice.client.as_mut() {
            self.hide(script, world, action, client);
        }
        if let (Some(request), Action::Approve(..)) = (view.slice.request.as_mut(), action) {
            if self == Self::ApprovesOwn {
                request.content.by.uid = u32::MAX;
            }
            if self == Self::ApprovesLate {
                request.content.expires = NOW.after(100 * TICK);
            }
        }
        let mut decision = command.decide(&view, NOW)?;
        decision.facts.retain_mut(|(_, fact)| self.keeps(action, fact));
        Ok(decision)
    }

    fn hide(self, script: &Script, world: &World, action: Action, client: &mut Client) {
        match (self, action) {
            (Self::AnyProofWillDo, Action::ConfirmWrongly(_)) => {
                let sent = ProofDigest::of(WRONG_PROOF);
                let keys = client.credentials.values_mut().flat_map(|credential| credential.keys.values_mut());
                keys.for_each(|digests| digests.proof = sent);
            }
            (Self::GeneratesOutOfTurn, Action::RecipientAccepted(which)) => {
                let Courier::Offering { version, .. } = world.couriers[which] else { return };
                client.credentials.retain(|_, credential| !credential.state.is_on_its_way());
                client.issuance.state = IssuanceState::Queued { not_before: NOW };
                client.last_version = version - 1;
            }
            (Self::SettlesWhatWasOvertaken, Action::Settle(which, Outcome::Accepted)) => {
                let Courier::Waiting { order, version } = world.couriers[which] else { return };
                client.issuance.id = Script::issuance(order);
                client.credentials.insert(version, still_generated(script, order, version));
            }
            (
                Self::AnyProofWillDo
                | Self::GeneratesOutOfTurn
                | Self::SettlesWhatWasOvertaken
                | Self::LeavesTheOldOneActive
                | Self::GraceWithoutEnd
                | Self::EndsNothing
                | Self::MailsAgainWhenNoReplyCame
                | Self::NothingIsClearedUp
                | Self::AnswersBeforeTheCommit
                | Self::ActsAlone
                | Self::ApprovesOwn
                | Self::ApprovesLate,
                _,
            ) => {}
        }
    }

    /// Whether the fact still stands, and as it was decided.
    fn keeps(self, action: Action, fact: &mut Fact) -> bool {
        let confirms = matches!(action, Action::ConfirmRightly(_));
        match (self, fact) {
            (Self::LeavesTheOldOneActive, Fact::CredentialRetiring(_) | Fact::CredentialEnded(_)) => !confirms,
            (Self::EndsNothing, Fact::CredentialEnded(_)) => action != Action::Anna(Ordered::Compromised),
            (Self::GraceWithoutEnd, Fact::CredentialRetiring(data)) => {
                data.until = NOW.after(100 * TICK);
                true
            }
            (
                Self::AnyProofWillDo
                | Self::GeneratesOutOfTurn
                | Self::SettlesWhatWasOvertaken
                | Self::LeavesTheOldOneActive
                | Self::GraceWithoutEnd
                | Self::EndsNothing
                | Self::MailsAgainWhenNoReplyCame
                | Self::NothingIsClearedUp
                | Self::AnswersBeforeTheCommit
                | Self::ActsAlone
                | Self::ApprovesOwn
                | Self::ApprovesLate,
                _,
            ) => true,
        }
    }
}

/// The version as it was before somebody withdrew it.
fn still_generated(script: &Script, order: u32, version: u32) -> Credential {
    Credential {
        version,
        issuance: Script::issuance(order),
        reference: script.reference(version),
        message_id: MessageId::new(NOW, &Dice::new(0)).unwrap(),
        state: CredentialState::Generated,
        generated: NOW,
        window_ends: NOW,
        keys: Default::default(),
        life_ends: None,
        told_days: None,
        reminded: false,
        fetches: 0,
        wrong_proofs: 0,
        refusals: 0,
    }
}
