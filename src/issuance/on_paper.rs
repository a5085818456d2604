//! The use cases on paper, for tests: the real decisions and the real fold, with the world in memory instead of a store.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::agreement::AgreementKey;
use crate::domain::client::Client;
use crate::domain::dice::Dice;
use crate::domain::ids::{ApplicationId, Environment};
use crate::domain::notice::NoticeState;
use crate::domain::policy::{AgreementRule, Api, PersonalMailbox, Policy};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::entry::Entry;
use crate::journal::fact::{Epoch, Fact, JournalOpened};
use crate::journal::fold::Slice;
use crate::journal::sample::{ORIGIN, START_MILLIS};
use crate::journal::subject::Subject;
use crate::journal::world::World;
use crate::store::contract::{Command, Find, Loaded, Scope, Terms};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Where time begins in the tests of the use cases.
pub(super) fn start() -> Timestamp {
    Timestamp::from_millis(START_MILLIS).unwrap()
}

/// An agency that publishes a register with an agreement and a life of two years, and two APIs that need nothing,
/// one of them with a pair of keys of its own.
pub(super) fn policy() -> Policy {
    let api = |keys: &[&str], agreement, life| Api {
        category: "partner".parse().unwrap(),
        keys: keys.iter().map(|key| key.parse().unwrap()).collect(),
        environments: Environment::ALL.iter().copied().collect(),
        agreement,
        life,
    };
    let apis = [
        ("register", api(&["oauth2"], AgreementRule::Production, Some(DAY * 730))),
        ("statistics", api(&["oauth2"], AgreementRule::Never, None)),
        ("permits", api(&["apigw", "oauth2"], AgreementRule::Never, None)),
    ];
    Policy {
        prefix: "ex".parse().unwrap(),
        pickup_window: DAY * 14,
        fetches_max: 3,
        wrong_proofs_max: 2,
        refusals_recorded_max: 2,
        attempts_max: 3,
        retry_first: Duration::from_secs(60),
        retry_longest: Duration::from_secs(3600),
        grace: DAY * 7,
        grace_max: DAY * 30,
        personal_mailbox: PersonalMailbox::Warn,
        tells_operators: true,
        four_eyes: Default::default(),
        case_required: Default::default(),
        request_life: DAY,
        apis: apis.into_iter().map(|(name, api)| (name.parse().unwrap(), api)).collect(),
    }
}

/// A world that commands are decided on and applied to.
#[derive(Clone)]
pub(super) struct Paper {
    pub(super) world: World,
    pub(super) now: Timestamp,
    pub(super) policy: Arc<Policy>,
    pub(super) dice: Arc<Dice>,
}

/// What a command did: the kinds of its facts, or why it was refused.
pub(super) type Done<A> = Result<(Vec<String>, A), String>;

impl Paper {
    pub(super) fn new(seed: u64) -> Self {
        let dice = Arc::new(Dice::new(seed));
        let mut paper = Self { world: World::new(), now: start(), policy: Arc::new(policy()), dice };
        let opened = JournalOpened { origin: ORIGIN.to_owned(), software: "tallyd 0.1.0".to_owned() };
        paper.apply(Actor::Daemon, Subject::Service {}, Fact::JournalOpened(opened));
        paper.apply(Actor::Daemon, Subject::Service {}, Fact::EpochOpened(Epoch { epoch: 1 }));
        paper
    }

    /// Decides and applies. A fact that does not fit the world is a fault of the decision.
    pub(super) fn run<C: Command<Refusal: Debug>>(&mut self, command: &C) -> Done<C::Answer> {
        let loaded = self.load(&command.scope());
        let decision = command.decide(&loaded, self.now).map_err(|refusal| format!("{refusal:?}"))?;
        let mut kinds = Vec::new();
        for (subject, fact) in decision.facts {
            kinds.push(fact.kind().to_owned());
            self.apply(command.actor(), subject, fact);
        }
        Ok((kinds, decision.answer))
    }

    pub(super) fn client(&self, application: &ApplicationId) -> Option<&Client> {
        let owner = self.world.cases().get(application).unwrap_or(application);
        self.world.clients().get(owner)
    }

    /// As a store loads it: without what is final.
    fn load(&self, scope: &Scope) -> Loaded {
        let deliveries = self.world.deliveries();
        let (client, named) = match &scope.client {
            Find::Nothing => (None, None),
            Find::Request(id) => {
                let application = self.world.requests().get(id).and_then(|it| it.content.application.as_ref());
                (application.and_then(|application| self.client(application)), None)
            }
            Find::Application(application) => (self.client(application), None),
            Find::Issuance(id) => (self.world.orders().get(id).and_then(|order| self.client(&order.application)), None),
            Find::ClientId(id) => (self.world.client_ids().get(id).and_then(|of| self.client(of)), None),
            Find::Delivery(reference) => match deliveries.get(reference) {
                Some(of) => (self.client(&of.application), Some(of.version)),
                None => (None, None),
            },
        };
        let client = client.cloned().map(|mut client| {
            client.credentials.retain(|_, credential| !credential.state.is_final());
            client.notices.retain(|_, notice| matches!(notice.state, NoticeState::Queued { .. }));
            client
        });
        let of_key = |key: &AgreementKey| self.world.agreements().get(key).cloned();
        let agreement = match &scope.agreement {
            Terms::None => None,
            Terms::OfClient => client.as_ref().and_then(Client::rests_on).as_ref().and_then(of_key),
            Terms::Of(key) => of_key(key),
        };
        let event = scope.event.as_ref().and_then(|key| self.world.events().get(key).cloned());
        let case_owner =
            scope.case.as_ref().and_then(|case| self.client(case)).map(|client| client.application.clone());
        let campaign = scope.campaign.and_then(|id| self.world.campaigns().get(&id).cloned());
        let reissued = client.as_ref().zip(scope.campaign);
        let reissued = reissued.is_some_and(|(client, id)| self.world.has_reissued(id, &client.application));
        let request = match &scope.client {
            Find::Request(id) => self.world.requests().get(id).cloned(),
            Find::Nothing | Find::Application(_) | Find::Issuance(_) | Find::ClientId(_) | Find::Delivery(_) => None,
        };
        let slice = Slice { client, event, agreement, campaign, request };
        Loaded { slice, shares: Vec::new(), fetches: Vec::new(), case_owner, named, reissued, asked_address: None }
    }

    pub(super) fn apply(&mut self, actor: Actor, subject: Subject, fact: Fact) {
        let entry = Entry { seq: self.world.size(), time: self.now, actor, subject, fact };
        assert_eq!(Entry::parse(&entry.canonical()).as_ref(), Ok(&entry));
        self.world.apply(&entry).unwrap_or_else(|misfit| panic!("{misfit}: {entry:?}"));
    }
}

/// What commands do in situations: each command with, by place, the situation and what happened.
pub(super) type Answers = Vec<(String, BTreeMap<usize, (String, String)>)>;

pub(super) fn written(table: &Answers) -> String {
    let mut text = String::new();
    for (command, answers) in table {
        text.push_str(command);
        text.push('\n');
        for (situation, answer) in answers.values() {
            text.push_str(&format!("    {situation:<24} {answer}\n"));
        }
    }
    text
}
