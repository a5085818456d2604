//! What the actions about requests do, and how it is seen that an operator acted alone.

use std::sync::Arc;

use super::Play;
use crate::domain::policy::Policy;
use crate::domain::request::Asked;
use crate::issuance::model::action::{Action, Operator, Ordered};
use crate::issuance::model::flaw::Flaw;
use crate::issuance::model::script::{NOW, ORDERS_MAX, REQUESTS_MAX};
use crate::issuance::model::world::World;
use crate::issuance::reissue::OldFate;
use crate::issuance::request::{Effect, MakeRequest};
use crate::issuance::request_time::ExpireRequest;
use crate::issuance::request_word::{ApproveRequest, Approved, Denied, DenyRequest};
use crate::journal::actor::Actor;
use crate::journal::fact::Fact;
use crate::journal::subject::Subject;
use crate::store::contract::Loaded;

impl Play {
    /// The policy that orders are decided by.
    pub(super) fn policy_of_orders(&self) -> Arc<Policy> {
        let policy = if self.flaw == Some(Flaw::ActsAlone) { &self.script.lax } else { &self.script.policy };
        Arc::clone(policy)
    }

    pub(super) fn ask(&self, world: &mut World, action: Action, who: Operator, ordered: Ordered) {
        if world.requests.len() >= REQUESTS_MAX || world.orders >= ORDERS_MAX {
            return;
        }
        let asked = match ordered {
            Ordered::Grace(grace_seconds) => Asked::Reissue { grace_seconds },
            Ordered::Compromised => Asked::ReissueCompromised {},
            Ordered::Revoke => Asked::Revoke {},
        };
        let drawn = self.script.drawn(world.orders + 1, world.requests.len());
        let (reason, policy) = (self.script.reason.clone(), Arc::clone(&self.script.policy));
        let (actor, application) = (actor(who), Some(self.application()));
        self.submit(
            world,
            action,
            &MakeRequest { actor, application, reason, case: None, asked, address: None, drawn, policy },
        );
    }

    pub(super) fn approve(&self, world: &mut World, action: Action, who: Operator, number: usize) {
        let Some(request) = world.requests.get(number).cloned().filter(|_| world.orders < ORDERS_MAX) else { return };
        let drawn = self.script.drawn(world.orders + 1, number);
        let policy = Arc::clone(&self.script.policy);
        let verified: Vec<_> = world.verifying().map(|credential| credential.version).collect();
        let before = world.versions();
        let approve = ApproveRequest { actor: actor(who), request: request.id, address: None, drawn, policy };
        let effect = match self.submit(world, action, &approve) {
            Some(Approved::CarriedOut(_, effect)) => effect,
            Some(Approved::Failed(_) | Approved::Own) | None => return,
        };
        let number = u32::try_from(number).unwrap();
        if world.outside.carried_out.contains(number) || !request.waits(NOW) {
            world.outside.broken_word = Some("a request was carried out that was over");
        }
        world.outside.carried_out.insert(number);
        let lives_on = |version: &u32| match &effect {
            Effect::Reissued(reissued) => reissued.old == OldFate::LivesUntilProven && verified.contains(version),
            Effect::Contacts(_) | Effect::Revoked(_) | Effect::Opened(_) => false,
        };
        (1..=before).filter(|version| !lives_on(version)).for_each(|version| world.outside.dead.insert(version));
    }

    pub(super) fn deny(&self, world: &mut World, action: Action, who: Operator, number: usize) {
        let Some(request) = world.requests.get(number).map(|request| request.id) else { return };
        let (report, policy) = (self.script.drawn(1, number).report, Arc::clone(&self.script.policy));
        let reason = self.script.reason.clone();
        let deny = DenyRequest { actor: actor(who), request, reason, report, policy };
        if let Some(Denied::Closed(closed)) = self.submit(world, action, &deny)
            && closed.content.by.uid == who.uid()
        {
            world.outside.alone = true;
        }
    }

    pub(super) fn expire_requests(&self, world: &mut World, action: Action) {
        for (number, request) in world.requests.clone().iter().enumerate() {
            let (report, policy) = (self.script.drawn(1, number).report, Arc::clone(&self.script.policy));
            self.submit(
                world,
                action,
                &ExpireRequest { request: request.id, report, notices: self.script.drawn(0, 0).notices, policy },
            );
        }
    }
}

fn actor(who: Operator) -> Actor {
    Actor::Operator { uid: who.uid(), account: None }
}

/// Whether an operator's order goes on record without the word of somebody else than who asked for it.
pub(super) fn is_alone(state: &Loaded, actor: &Actor, facts: &[(Subject, Fact)]) -> bool {
    let Actor::Operator { uid, .. } = actor else { return false };
    let orders = |fact: &Fact| matches!(fact, Fact::ReissueOrdered(_) | Fact::RevocationOrdered(_));
    let approves = |fact: &Fact| matches!(fact, Fact::RequestApproved(_));
    let asked_by_another = state.slice.request.as_ref().is_some_and(|request| request.content.by.uid != *uid);
    let has = |kind: &dyn Fn(&Fact) -> bool| facts.iter().any(|(_, fact)| kind(fact));
    has(&orders) && !(has(&approves) && asked_by_another)
}
