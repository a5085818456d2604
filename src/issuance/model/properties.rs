//! What must hold in every state that can be reached, and what must be reachable at all.

use stateright::Property;

use super::action::Action;
use super::play::Play;
use super::script::{NOW, TICK};
use super::world::{Courier, End, World};
use crate::domain::credential::{AbandonCause, CredentialState};
use crate::domain::issuance::{FailCause, IssuanceState};
use crate::issuance::retry::Setback;
use crate::issuance::settle::Outcome;

pub(super) const ONE_OUTSIDE_A_GRACE: &str = "at most one credential verifies outside a grace";
pub(super) const NONE_BEFORE_ITS_PROOF: &str = "none verifies before its proof";
pub(super) const MAILED_ONCE: &str = "no share is mailed twice";
pub(super) const ONE_ON_ITS_WAY: &str = "at most one version is on its way";
pub(super) const NONE_COMES_BACK: &str = "what is over never verifies again";
pub(super) const DECISIONS_FIT: &str = "every decision fits the state it was made on";
pub(super) const WORD_IS_KEPT: &str = "what was answered holds";
pub(super) const TWO_PEOPLE: &str = "what takes a second person has one";
pub(super) const A_WAY_ON: &str = "every open order has a way on";

/// What holds always.
pub(super) fn promises() -> Vec<Property<Play>> {
    vec![
        Property::always(ONE_OUTSIDE_A_GRACE, |_, world: &World| one_outside_a_grace(world)),
        Property::always(NONE_BEFORE_ITS_PROOF, |_, world: &World| {
            world.verifying().all(|credential| world.outside.proven.contains(credential.version))
        }),
        Property::always(MAILED_ONCE, |_, world: &World| world.outside.mailed_again.is_empty()),
        Property::always(ONE_ON_ITS_WAY, |_, world: &World| {
            world.credentials().filter(|credential| credential.state.is_on_its_way()).count() <= 1
        }),
        Property::always(NONE_COMES_BACK, |_, world: &World| none_comes_back(world)),
        Property::always(DECISIONS_FIT, |_, world: &World| world.misfit.is_none()),
        Property::always(TWO_PEOPLE, |_, world: &World| !world.outside.alone),
        Property::always(WORD_IS_KEPT, |_, world: &World| word_is_kept(world)),
        Property::always(A_WAY_ON, |play, world: &World| {
            world.open_order().is_none() || (closes(play, world, Course::Kind) && closes(play, world, Course::Lonely))
        }),
    ]
}

/// What comes about sometimes. It keeps the promises honest: a model in which little happens proves little.
pub(super) fn sights() -> Vec<Property<Play>> {
    vec![
        Property::sometimes("an old credential lives out its grace beside the new one", |_, world: &World| {
            world.verifying().count() == 2
        }),
        Property::sometimes("a second attempt brings the credential", |_, world: &World| {
            order_is(world, IssuanceState::Completed { version: 2 }) && world.orders == 1
        }),
        Property::sometimes("the relay answers for a version that is over", |_, world: &World| {
            let over = |version: &u32| world.finals.contains_key(version);
            world.couriers.iter().any(|it| matches!(it, Courier::Waiting { version, .. } if over(version)))
        }),
        Property::sometimes("two couriers have the same order", |_, world: &World| {
            world.couriers[0] == world.couriers[1] && world.couriers[0] != Courier::Idle
        }),
        Property::sometimes("nobody claims a delivery", |_, world: &World| {
            order_is(world, IssuanceState::Failed { cause: FailCause::Unclaimed })
        }),
        Property::sometimes("the attempts are spent", |_, world: &World| {
            order_is(world, IssuanceState::Failed { cause: FailCause::AttemptsSpent })
        }),
        Property::sometimes("the proofs are spent", |_, world: &World| {
            order_is(world, IssuanceState::Failed { cause: FailCause::ProofsSpent })
        }),
    ]
}

/// What comes about sometimes where nobody acts alone.
pub(super) fn sights_of_requests() -> Vec<Property<Play>> {
    vec![
        Property::sometimes("a request is carried out", |_, world: &World| !world.outside.carried_out.is_empty()),
        Property::sometimes("a credential is ended by two people", |_, world: &World| {
            !world.outside.carried_out.is_empty() && world.finals.values().any(|end| *end == End::Ended)
        }),
        Property::sometimes("a request is denied", |_, world: &World| stands(world, "denied")),
        Property::sometimes("a request expires", |_, world: &World| stands(world, "expired")),
        Property::sometimes("a request fails, because another was faster", |_, world: &World| {
            stands(world, "failed") && stands(world, "approved")
        }),
        Property::sometimes("somebody tries to approve his own request", |_, world: &World| {
            world.requests.iter().any(|request| request.own_attempts > 0)
        }),
        Property::sometimes("nobody has noticed yet that a request has expired", |_, world: &World| {
            world.requests.iter().any(|request| request.deadline().is_some_and(|at| at <= NOW))
        }),
    ]
}

fn stands(world: &World, word: &str) -> bool {
    world.requests.iter().any(|request| request.state.as_str() == word)
}

/// How an open order may be brought to its end by events that nobody can take away: orders and further crashes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Course {
    /// The relay says yes, and the partner collects and confirms.
    Kind,
    /// The relay says nothing, and nobody comes.
    Lonely,
}

impl Course {
    /// More steps than any order needs.
    const STEPS_MAX: usize = 64;

    fn next(self, world: &World) -> Option<Action> {
        if !world.up {
            return Some(Action::Start);
        }
        if let Some(action) = self.errand(world) {
            return Some(action);
        }
        let client = world.client.as_deref()?;
        match client.issuance.state {
            IssuanceState::Queued { not_before } if not_before <= NOW => Some(Action::Take),
            IssuanceState::Queued { .. } => Some(Action::Tick),
            IssuanceState::AwaitingPickup { .. } if client.next_deadline().is_some_and(|at| at <= NOW) => {
                Some(Action::Expire)
            }
            IssuanceState::AwaitingPickup { version } => Some(match self {
                Self::Lonely => Action::Tick,
                Self::Kind if world.outside.collected.contains(version) => Action::ConfirmRightly(version),
                Self::Kind => Action::Collect(version),
            }),
            // Only a courier can bring it on, and there is none.
            IssuanceState::Delivering { .. } | IssuanceState::WaitingForAgreement => None,
            IssuanceState::Completed { .. } | IssuanceState::Failed { .. } | IssuanceState::Cancelled { .. } => None,
        }
    }

    fn errand(self, world: &World) -> Option<Action> {
        let errand = |(which, courier): (usize, &Courier)| match (courier, self) {
            (Courier::Idle, _) => None,
            (Courier::Offering { .. }, Self::Kind) => Some(Action::RecipientAccepted(which)),
            (Courier::Offering { .. }, Self::Lonely) => Some(Action::RecipientPutOff(which, Setback::Passing)),
            (Courier::Holding { .. }, _) => Some(Action::Send(which)),
            (Courier::Waiting { .. }, Self::Kind) => Some(Action::Settle(which, Outcome::Accepted)),
            (Courier::Waiting { .. }, Self::Lonely) => {
                Some(Action::Settle(which, Outcome::Void(AbandonCause::MailUnknown)))
            }
        };
        world.couriers.iter().enumerate().find_map(errand)
    }
}

/// Whether the course closes the order. States on the way are remembered, so that each is walked once.
fn closes(play: &Play, world: &World, course: Course) -> bool {
    let mut known = play.known_to_close.lock().unwrap();
    let (mut world, mut walked) = (world.clone(), Vec::new());
    while world.open_order().is_some() {
        let here = (course, world.digest());
        if known.contains(&here) {
            break;
        }
        walked.push(here);
        let Some(action) = course.next(&world).filter(|_| walked.len() <= Course::STEPS_MAX) else { return false };
        play.act(&mut world, action);
    }
    known.extend(walked);
    true
}

fn one_outside_a_grace(world: &World) -> bool {
    let longest = NOW.after(2 * TICK);
    let outside = world.verifying().filter(|credential| match credential.state {
        CredentialState::Retiring { until } => until > longest,
        CredentialState::Active { .. }
        | CredentialState::Generated
        | CredentialState::Mailed
        | CredentialState::Abandoned { .. }
        | CredentialState::Ended { .. } => true,
    });
    outside.count() <= 1
}

fn none_comes_back(world: &World) -> bool {
    let over = |version: &u32| world.finals.contains_key(version);
    !world.credentials().any(|credential| over(&credential.version))
        && !world.verifying().any(|credential| world.outside.dead.contains(credential.version))
}

/// An accepted event is on record, and a receipt is for a credential that was active.
fn word_is_kept(world: &World) -> bool {
    let outside = &world.outside;
    let on_record = |id: &&str| world.events.keys().any(|key| key.id.as_str() == *id);
    let was_active = |version: u32| match world.finals.get(&version) {
        Some(end) => *end == End::Ended,
        None => world.credentials().any(|it| it.version == version && !it.state.is_on_its_way()),
    };
    outside.broken_word.is_none()
        && outside.answers.keys().all(|id| world.client.is_some() && on_record(id))
        && outside.proven.iter().all(was_active)
}

fn order_is(world: &World, state: IssuanceState) -> bool {
    world.client.as_deref().is_some_and(|client| client.issuance.state == state)
}
