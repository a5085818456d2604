//! Everything that somebody can do or that can happen, and when it can.

use super::script::NOW;
use super::world::{Courier, World};
use crate::domain::client::Client;
use crate::domain::credential::AbandonCause;
use crate::issuance::retry::Setback;
use crate::issuance::settle::Outcome;

/// Who gives orders. Couriers, the partner, crashes and time are always there. The two together would have tens of times
/// the states of either, and meet in the same decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast {
    /// A case system that approves once, and two operators.
    Operators,
    /// Case systems that post everything again and again, a stranger at the pickup door, and mail that comes back.
    Senders,
    /// A case system that approves once, and two operators none of whom can do anything alone.
    FourEyes,
}

/// Something that somebody does, or that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A case system posts an event.
    Post(Post),
    /// Anna, at the agency, orders.
    Anna(Ordered),
    /// Bo, at the agency, orders.
    Bo(Ordered),
    /// Bo orders by a way that does not ask whether it takes a second person.
    BoAlone(Ordered),
    /// Somebody says yes to a request, by its number from 0.
    Approve(Operator, usize),
    /// Somebody says no to it.
    Deny(Operator, usize),
    /// A courier that has nothing to do reads the order that is due.
    Take,
    /// The relay accepts the recipient, and the version is put on record.
    RecipientAccepted(usize),
    /// The relay does not accept the recipient.
    RecipientPutOff(usize, Setback),
    /// The relay cannot be talked to; the errand has not begun.
    HangUp(usize),
    /// The mail share leaves.
    Send(usize),
    /// The attempt ends: what the relay said, or that nothing came, is put on record.
    Settle(usize, Outcome),
    /// The mail share comes back, at any time after it left: also before the relay's answer is on record.
    MailReturned(u32),
    /// The partner fetches part 2.
    Collect(u32),
    /// Somebody with another organisation's certificate tries to.
    CollectAsStranger(u32),
    /// The partner confirms with both parts of that version.
    ConfirmRightly(u32),
    /// The partner confirms with anything else.
    ConfirmWrongly(u32),
    /// The daemon looks at what time has come for.
    Expire,
    /// Time passes.
    Tick,
    /// The process dies.
    Crash,
    /// The process is stopped, and not everything that had begun was finished in time.
    Stop,
    /// The process starts and clears up before it listens.
    Start,
}

/// An event that is posted, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Post {
    /// The approval.
    Approval,
    /// Another body under the approval's id.
    OtherApproval,
    /// The approval of the same application by another event.
    SecondApproval,
    /// A re-issue.
    Reissue,
    /// A revocation.
    Revoke,
}

/// One of the two at the agency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// Anna.
    Anna,
    /// Bo.
    Bo,
}

impl Operator {
    pub(super) fn uid(self) -> u32 {
        match self {
            Self::Anna => 1000,
            Self::Bo => 1001,
        }
    }
}

/// An operator's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ordered {
    /// A re-issue with this many ticks of grace.
    Grace(u32),
    /// A re-issue of what has become known.
    Compromised,
    /// The end.
    Revoke,
}

impl Cast {
    /// Everything that somebody can try now. That the core refuses it is an outcome like any other.
    pub(super) fn possible(self, world: &World, actions: &mut Vec<Action>) {
        if world.awaits_time() {
            actions.push(Action::Tick);
        }
        if !world.up {
            actions.push(Action::Start);
            return;
        }
        actions.extend([Action::Crash, Action::Stop, Action::Expire]);
        actions.extend(self.orders());
        for number in 0..world.requests.len() {
            for who in [Operator::Anna, Operator::Bo] {
                actions.extend([Action::Approve(who, number), Action::Deny(who, number)]);
            }
        }
        errands(world, actions);
        for version in 1..=world.versions() {
            actions.extend([Action::Collect(version), Action::ConfirmWrongly(version)]);
            if self == Self::Senders {
                actions.push(Action::CollectAsStranger(version));
                if world.outside.mailed.contains(version) {
                    actions.push(Action::MailReturned(version));
                }
            }
            if world.outside.mailed.contains(version) && world.outside.collected.contains(version) {
                actions.push(Action::ConfirmRightly(version));
            }
        }
    }

    fn orders(self) -> &'static [Action] {
        match self {
            Self::Operators => &[
                Action::Post(Post::Approval),
                Action::Anna(Ordered::Grace(2)),
                Action::Anna(Ordered::Compromised),
                Action::Bo(Ordered::Grace(0)),
                Action::Bo(Ordered::Revoke),
            ],
            Self::Senders => &[
                Action::Post(Post::Approval),
                Action::Post(Post::OtherApproval),
                Action::Post(Post::SecondApproval),
                Action::Post(Post::Reissue),
                Action::Post(Post::Revoke),
            ],
            Self::FourEyes => &[
                Action::Post(Post::Approval),
                Action::Anna(Ordered::Compromised),
                Action::Bo(Ordered::Grace(0)),
                Action::Bo(Ordered::Revoke),
                Action::BoAlone(Ordered::Compromised),
                Action::BoAlone(Ordered::Revoke),
            ],
        }
    }
}

/// What the couriers can do next, or what can happen to them.
fn errands(world: &World, actions: &mut Vec<Action>) {
    let due = world.client.as_deref().and_then(Client::next_attempt).is_some_and(|at| at <= NOW);
    // The post room hands an order out once; two nodes on one database would not know of each other.
    if due && world.couriers.contains(&Courier::Idle) {
        actions.push(Action::Take);
    }
    let alike = world.couriers[0] == world.couriers[1];
    for (which, courier) in world.couriers.into_iter().enumerate().skip(usize::from(alike)) {
        match courier {
            Courier::Idle => {}
            Courier::Offering { .. } => {
                actions.extend([Action::RecipientAccepted(which), Action::HangUp(which)]);
                actions.extend([Setback::Passing, Setback::Permanent].map(|why| Action::RecipientPutOff(which, why)));
            }
            // The mail cannot be written, or the connection is gone before a byte of it has left.
            Courier::Holding { .. } => {
                actions.push(Action::Send(which));
                let unsent = [AbandonCause::MailRefused, AbandonCause::MailUnknown];
                actions.extend(unsent.map(|cause| Action::Settle(which, Outcome::Void(cause))));
            }
            Courier::Waiting { .. } => {
                actions.push(Action::Settle(which, Outcome::Accepted));
                let void = [AbandonCause::MailDeferred, AbandonCause::MailRefused, AbandonCause::MailUnknown];
                actions.extend(void.map(|cause| Action::Settle(which, Outcome::Void(cause))));
            }
        }
    }
}
