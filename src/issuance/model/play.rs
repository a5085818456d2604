//! What every action does: it is one command of the core, or something outside that needs none.
//!
//! To add a command: a variant of [`Action`], a line in [`Cast`]'s methods that says when and by whom it can be given,
//! and a line in `Play::act` that submits it.

mod requests;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use stateright::{Model, Property};

use super::action::{Action, Cast, Operator, Ordered, Post};
use super::flaw::Flaw;
use super::properties::{self, Course};
use super::script::{JITTER, NOW, ORDERS_MAX, Script};
use super::world::{Courier, Told, World, order_of};
use crate::domain::credential::AbandonCause;
use crate::domain::ids::IssuanceId;
use crate::domain::issuance::Replacement;
use crate::issuance::approve::{Approve, EventAnswer};
use crate::issuance::bounce::Bounce;
use crate::issuance::confirm::ConfirmAnswer;
use crate::issuance::expire::{Expire, Recover};
use crate::issuance::notify::NoticeIds;
use crate::issuance::order::Order;
use crate::issuance::reissue::Reissue;
use crate::issuance::revoke::Revoke;
use crate::issuance::settle::{Outcome, Settle};
use crate::journal::actor::Actor;
use crate::journal::fact::EventIdentity;
use crate::store::contract::{Command, Decision};
use requests::is_alone;

/// The model: the script, who takes part, and the flaw that a control puts into the core.
pub(super) struct Play {
    pub(super) cast: Cast,
    pub(super) script: Script,
    pub(super) flaw: Option<Flaw>,
    /// States from which a course is known to close the order.
    pub(super) known_to_close: Mutex<HashSet<(Course, u64)>>,
}

impl Play {
    /// The real core, or one with a flaw.
    pub(super) fn new(cast: Cast, flaw: Option<Flaw>) -> Self {
        Self { cast, script: Script::new(cast), flaw, known_to_close: Mutex::default() }
    }

    /// What comes of it.
    pub(super) fn act(&self, world: &mut World, action: Action) {
        match action {
            Action::Post(post) => self.post(world, action, post),
            Action::Anna(ordered) => self.order(world, action, Operator::Anna, ordered),
            Action::Bo(ordered) => self.order(world, action, Operator::Bo, ordered),
            Action::BoAlone(ordered) => self.carry_out(world, action, Operator::Bo, ordered),
            Action::Approve(who, number) => self.approve(world, action, who, number),
            Action::Deny(who, number) => self.deny(world, action, who, number),
            Action::Take => self.take(world),
            Action::RecipientAccepted(which) => self.generate(world, action, which),
            Action::RecipientPutOff(which, setback) => {
                self.settle(world, action, which, Outcome::NoVersion(setback));
            }
            Action::HangUp(which) => world.set_courier(which, Courier::Idle),
            Action::Send(which) => self.send(world, which),
            Action::Settle(which, outcome) => self.settle(world, action, which, outcome),
            Action::MailReturned(version) => {
                let bounce = Bounce {
                    actor: Actor::MailSystem { uid: 998, account: None },
                    application: self.application(),
                    version,
                    status: None,
                    notices: self.notices(),
                    policy: Arc::clone(&self.script.policy),
                };
                if self.submit(world, action, &bounce).is_some() {
                    world.outside.dead.insert(version);
                }
            }
            Action::Collect(version) => {
                if self.submit(world, action, self.script.collect(version)).is_some() {
                    world.outside.collected.insert(version);
                }
            }
            Action::CollectAsStranger(version) => {
                let (collect, refusal) = self.script.stranger(version);
                if self.submit(world, action, collect).is_some() {
                    world.outside.broken_word = Some("a stranger was given a part");
                }
                self.submit(world, action, refusal);
            }
            Action::ConfirmRightly(version) | Action::ConfirmWrongly(version) => self.confirm(world, action, version),
            Action::Expire => {
                let (notices, policy) = (self.notices(), Arc::clone(&self.script.policy));
                self.submit(world, action, &Expire { application: self.application(), notices, policy });
                self.expire_requests(world, action);
            }
            Action::Tick => world.let_time_pass(),
            Action::Crash => world.go_down(),
            Action::Stop => {
                world.go_down();
                self.recover(world, action, AbandonCause::Stopped);
            }
            Action::Start => {
                world.up = true;
                self.recover(world, action, AbandonCause::Crashed);
            }
        }
    }

    fn post(&self, world: &mut World, action: Action, post: Post) {
        let next = Script::issuance(world.orders + 1);
        let (id, body) = match post {
            Post::Approval => ("approval", "body"),
            Post::OtherApproval => ("approval", "another body"),
            Post::SecondApproval => ("approval-again", "body"),
            Post::Reissue => ("re-issue", "body"),
            Post::Revoke => ("revoke", "body"),
        };
        let event = Script::event(id, body);
        let answer = match post {
            Post::Approval | Post::OtherApproval | Post::SecondApproval => {
                let (actor, approval) = (self.script.sender.clone(), Arc::clone(&self.script.approval));
                self.submit(world, action, &Approve { actor, event, approval, issuance: next })
            }
            Post::Reissue => {
                let sender = self.script.sender.clone();
                self.reissue(world, action, sender, Replacement::GraceSeconds(1), Some(event))
            }
            Post::Revoke => self.revoke(world, action, self.script.sender.clone(), Some(event)),
        };
        if let Some(answer) = answer {
            hear(world, id, body, &answer);
        }
    }

    fn order(&self, world: &mut World, action: Action, who: Operator, ordered: Ordered) {
        match self.cast {
            Cast::FourEyes => self.ask(world, action, who, ordered),
            Cast::Operators | Cast::Senders => self.carry_out(world, action, who, ordered),
        }
    }

    fn carry_out(&self, world: &mut World, action: Action, who: Operator, ordered: Ordered) {
        let operator = Actor::Operator { uid: who.uid(), account: None };
        match ordered {
            Ordered::Grace(ticks) => {
                self.reissue(world, action, operator, Replacement::GraceSeconds(ticks), None);
            }
            Ordered::Compromised => drop(self.reissue(world, action, operator, Replacement::Compromised, None)),
            Ordered::Revoke => drop(self.revoke(world, action, operator, None)),
        }
    }

    /// Orders are numbered; a new one beyond the last of the script is not given.
    fn reissue(
        &self,
        world: &mut World,
        action: Action,
        actor: Actor,
        replaces: Replacement,
        event: Option<EventIdentity>,
    ) -> Option<EventAnswer> {
        let seen = event.as_ref().is_some_and(|event| world.events.contains_key(&event.event));
        if world.orders >= ORDERS_MAX && !seen {
            return None;
        }
        let issuance = Script::issuance(world.orders + 1);
        let policy = self.policy_of_orders();
        let verified: Vec<_> = world.verifying().map(|credential| credential.version).collect();
        let (before, orders) = (world.versions(), world.orders);
        let reissue = Reissue {
            order: self.an_order(actor, event),
            replaces,
            issuance,
            notices: self.notices(),
            contact: None,
            policy,
        };
        let answer = self.submit(world, action, &reissue)?;
        if world.orders > orders {
            // Who orders a re-issue is told that all others are over, and that these live on or do not.
            let lives_on = |version: &u32| replaces != Replacement::Compromised && verified.contains(version);
            (1..=before).filter(|version| !lives_on(version)).for_each(|version| world.outside.dead.insert(version));
        }
        Some(answer.event)
    }

    fn revoke(
        &self,
        world: &mut World,
        action: Action,
        actor: Actor,
        event: Option<EventIdentity>,
    ) -> Option<EventAnswer> {
        let revoke =
            Revoke { order: self.an_order(actor, event), notices: self.notices(), policy: self.policy_of_orders() };
        let answer = self.submit(world, action, &revoke)?;
        if answer.ended > 0 || answer.withdrawn {
            (1..=world.versions()).for_each(|version| world.outside.dead.insert(version));
        }
        Some(answer.event)
    }

    fn an_order(&self, actor: Actor, event: Option<EventIdentity>) -> Order {
        Order {
            actor,
            application: self.application(),
            reason: self.script.reason.clone(),
            case: None,
            event,
            seconded: None,
        }
    }

    fn take(&self, world: &mut World) {
        let Some(client) = world.client.as_deref() else { return };
        let (order, version) = (order_of(client.issuance.id), client.last_version + 1);
        if let Some(idle) = world.couriers.iter().position(|courier| *courier == Courier::Idle) {
            world.set_courier(idle, Courier::Offering { order, version });
        }
    }

    fn generate(&self, world: &mut World, action: Action, which: usize) {
        let Courier::Offering { order, version } = world.couriers[which] else { return };
        let recorded = self.submit(world, action, self.script.generated(order, version));
        world.set_courier(which, recorded.map_or(Courier::Idle, |_| Courier::Holding { order, version }));
    }

    fn send(&self, world: &mut World, which: usize) {
        let Courier::Holding { order, version } = world.couriers[which] else { return };
        if world.outside.mailed.contains(version) {
            world.outside.mailed_again.insert(version);
        }
        world.outside.mailed.insert(version);
        world.set_courier(which, Courier::Waiting { order, version });
    }

    fn settle(&self, world: &mut World, action: Action, which: usize, outcome: Outcome) {
        let (order, version) = match world.couriers[which] {
            Courier::Idle => return,
            Courier::Offering { order, .. } => (order, None),
            Courier::Holding { order, version } | Courier::Waiting { order, version } => (order, Some(version)),
        };
        if let (Some(Flaw::MailsAgainWhenNoReplyCame), Some(version)) = (self.flaw, version)
            && outcome == Outcome::Void(AbandonCause::MailUnknown)
        {
            return world.set_courier(which, Courier::Holding { order, version });
        }
        let settle = Settle {
            application: self.application(),
            issuance: Script::issuance(order),
            version,
            to: world.client.as_ref().and_then(|client| client.contacts.technical()).map(|contact| contact.id),
            outcome,
            jitter: JITTER,
            notices: Arc::clone(&self.script.notices),
            policy: Arc::clone(&self.script.policy),
        };
        self.submit(world, action, &settle);
        world.set_courier(which, Courier::Idle);
    }

    fn confirm(&self, world: &mut World, action: Action, version: u32) {
        let rightly = action == Action::ConfirmRightly(version);
        let script = &self.script;
        let command = if rightly { script.confirm_rightly(version) } else { script.confirm_wrongly(version) };
        match self.submit(world, action, command) {
            Some(ConfirmAnswer::Active(receipt)) => {
                if rightly {
                    world.outside.proven.insert(version);
                } else {
                    world.outside.broken_word = Some("a wrong proof was given a receipt");
                }
                let others: Vec<_> = world.verifying().map(|it| it.version).filter(|it| *it != version).collect();
                let says_one = receipt.previous_until.is_some_and(|until| until > NOW);
                if says_one == others.is_empty() {
                    world.outside.broken_word = Some("a receipt is wrong about the credential before it");
                }
            }
            Some(ConfirmAnswer::Wrong { labels: _, left: 0 }) => world.outside.dead.insert(version),
            Some(ConfirmAnswer::Wrong { .. }) | None => {}
        }
    }

    fn recover(&self, world: &mut World, action: Action, cause: AbandonCause) {
        if self.flaw == Some(Flaw::NothingIsClearedUp) {
            return;
        }
        let (application, policy) = (self.application(), Arc::clone(&self.script.policy));
        self.submit(world, action, &Recover { application, cause, jitter: JITTER, policy });
    }

    /// As the writer does it: load, decide, fold, keep; and only then comes the answer.
    fn submit<C: Command>(&self, world: &mut World, action: Action, command: &C) -> Option<C::Answer> {
        let state = world.load(&command.scope(), &self.script);
        let decided = match self.flaw {
            None => command.decide(&state, NOW),
            Some(flaw) => flaw.decide(&self.script, world, action, command, &state),
        };
        let Decision { facts, enclosures: _, answer } = decided.ok()?;
        if self.flaw == Some(Flaw::AnswersBeforeTheCommit) && matches!(action, Action::Post(_)) {
            // The power fails between the answer and the commit.
            world.go_down();
            return Some(answer);
        }
        if !facts.is_empty() {
            let alone = self.cast == Cast::FourEyes && is_alone(&state, &command.actor(), &facts);
            world.record(state.slice, &command.actor(), facts).ok()?;
            world.outside.alone |= alone;
        }
        Some(answer)
    }

    fn notices(&self) -> NoticeIds {
        (*self.script.notices).clone()
    }

    fn application(&self) -> crate::domain::ids::ApplicationId {
        self.script.application().clone()
    }
}

impl Model for Play {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.cast.possible(world, actions);
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut after = before.clone();
        self.act(&mut after, action);
        Some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        match self.cast {
            Cast::Operators => properties::promises().into_iter().chain(properties::sights()).collect(),
            Cast::Senders => properties::promises(),
            Cast::FourEyes => properties::promises().into_iter().chain(properties::sights_of_requests()).collect(),
        }
    }
}

/// The same event with the same body is answered as it was the first time; another body is a conflict.
fn hear(world: &mut World, id: &'static str, body: &'static str, answer: &EventAnswer) {
    let told = |issuance: &IssuanceId, already| Told { body, order: order_of(*issuance), already };
    let told = match answer {
        EventAnswer::Accepted { issuance, .. } => Some(told(issuance, false)),
        EventAnswer::AlreadyIssued { issuance, .. } => Some(told(issuance, true)),
        // No event of the model's grants anything or is about an agreement.
        EventAnswer::Reused { .. } | EventAnswer::Recorded | EventAnswer::Conflict => None,
    };
    let kept = match (world.outside.answers.get(id), told) {
        (None, Some(told)) => {
            world.outside.answers.insert(id, told);
            true
        }
        (Some(first), Some(again)) => *first == again,
        (Some(first), None) => first.body != body,
        (None, None) => false,
    };
    if !kept {
        world.outside.broken_word = Some("an event was answered in two ways");
    }
}
