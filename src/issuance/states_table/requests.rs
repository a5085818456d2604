//! The rows of the commands about requests: first wherever the client stands, then wherever the request stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{DAY, Paper, Table, own, situations, without_values};
use crate::domain::campaign::Filter;
use crate::domain::contact::{ContactReference, Language, Role};
use crate::domain::digest::Pseudonym;
use crate::domain::ids::{CampaignId, ContactId, IssuanceId, NoticeId, RequestNonce};
use crate::domain::issuance::Replacement;
use crate::domain::policy::Policy;
use crate::domain::request::{Asked, Content, Governed, NOBODY, RequestId, RequestState};
use crate::issuance::notify::NoticeOutcome;
use crate::issuance::on_paper::{Answers, written};
use crate::issuance::request::{Drawn, MakeRequest};
use crate::issuance::request_time::{ExpireRequest, SettleReport};
use crate::issuance::request_word::{ApproveRequest, DenyRequest};
use crate::issuance::revoke::Revoke;
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, RequestMade};
use crate::journal::request_id;
use crate::journal::subject::Subject;

const ANNA: u32 = 1000;
const BO: u32 = 1001;

fn operator(uid: u32) -> Actor {
    Actor::Operator { uid, account: if uid == ANNA { "anna" } else { "bo" }.parse().ok() }
}

impl Paper {
    pub(super) fn revoke(&self) -> Revoke {
        Revoke { order: self.order(), notices: self.notices(), policy: Arc::clone(&self.policy) }
    }

    fn drawn(&self) -> Drawn {
        Drawn {
            issuance: IssuanceId::new(self.now, &*self.dice).unwrap(),
            campaign: CampaignId::new(self.now, &*self.dice).unwrap(),
            notices: self.notices(),
            told_of_contacts: self.notices(),
            report: NoticeId::new(self.now, &*self.dice).unwrap(),
            nonce: RequestNonce::new(self.now, &*self.dice).unwrap(),
        }
    }

    fn ask(&self, asked: Asked) -> MakeRequest {
        let application = (asked.command() != Governed::ReissueAll).then(own);
        let (actor, reason, policy) = (operator(ANNA), "leverantörsbyte".parse().unwrap(), Arc::clone(&self.policy));
        MakeRequest { actor, application, reason, case: None, asked, address: None, drawn: self.drawn(), policy }
    }

    /// Asked for at another time: whether it could be carried out was looked at then.
    fn asked_before(&mut self, asked: Asked) -> RequestId {
        let drawn = self.drawn();
        let application = (asked.command() != Governed::ReissueAll).then(own);
        if self.ours().is_none() && application.is_some() {
            return "K7QF-2M9D-0R4T-8WXZ".parse().unwrap();
        }
        let content = Content {
            application: application.clone(),
            asked: asked.clone(),
            by: operator(ANNA).person().unwrap(),
            reason: "leverantörsbyte".parse().unwrap(),
            case: None,
            made: self.now,
            expires: self.now.after(DAY),
            nonce: drawn.nonce,
        };
        let request = request_id(&content);
        let Content { reason, case, expires, nonce, .. } = content;
        let made = RequestMade { asked, reason, case, expires, nonce, report: Some(drawn.report) };
        let subject = Subject::Request { request, application };
        self.apply(operator(ANNA), subject, Fact::RequestMade(made));
        request
    }

    fn approve_request(&self, request: RequestId, actor: Actor) -> ApproveRequest {
        ApproveRequest { actor, request, address: None, drawn: self.drawn(), policy: Arc::clone(&self.policy) }
    }

    fn deny_request(&self, request: RequestId, actor: Actor) -> DenyRequest {
        let (report, policy) = (self.drawn().report, Arc::clone(&self.policy));
        DenyRequest { actor, request, reason: "nej".parse().unwrap(), report, policy }
    }

    fn expire_request(&self, request: RequestId) -> ExpireRequest {
        let (report, notices) = (self.drawn().report, self.notices());
        ExpireRequest { request, report, notices, policy: Arc::clone(&self.policy) }
    }

    fn settle_report(&self, request: RequestId) -> SettleReport {
        let waiting = self.world.requests().get(&request).and_then(|request| request.reports.keys().next().copied());
        let report = waiting.unwrap_or_else(|| self.drawn().report);
        let policy = Arc::clone(&self.policy);
        SettleReport { request, report, outcome: NoticeOutcome::Accepted, jitter: 0, policy }
    }

    fn with_rules(&mut self, change: impl FnOnce(&mut Policy)) {
        change(Arc::make_mut(&mut self.policy));
    }
}

/// Wherever the client stands.
pub(super) fn rows(table: &mut Table) {
    let four_eyes =
        |paper: &mut Paper| paper.with_rules(|rules| rules.four_eyes = Governed::ALL.iter().copied().collect());
    table.row("revoke, alone where it takes two", |paper| {
        four_eyes(paper);
        paper.revoke()
    });
    table.row("re-issue, alone where it takes two", |paper| {
        four_eyes(paper);
        paper.reissue(Replacement::GraceSeconds(3600))
    });
    table.row("re-issue, compromised, alone where only re-issue takes two", |paper| {
        paper.with_rules(|rules| rules.four_eyes = [Governed::Reissue].into());
        paper.reissue(Replacement::Compromised)
    });
    table.row("revoke, without the case that it takes", |paper| {
        paper.with_rules(|rules| rules.case_required = [Governed::Revoke].into());
        paper.revoke()
    });
    table.row("asking to revoke", |paper| paper.ask(Asked::Revoke {}));
    table.row("asking to re-issue", |paper| paper.ask(Asked::Reissue { grace_seconds: 3600 }));
    table.row("asking to re-issue, compromised", |paper| paper.ask(Asked::ReissueCompromised {}));
    table
        .row("asking to re-issue with too long a grace", |paper| paper.ask(Asked::Reissue { grace_seconds: u32::MAX }));
    for (name, asked) in [
        ("approving a revocation", Asked::Revoke {}),
        ("approving a re-issue", Asked::Reissue { grace_seconds: 3600 }),
        ("approving a re-issue, compromised", Asked::ReissueCompromised {}),
        ("approving a re-issue with a grace that has become too long", Asked::Reissue { grace_seconds: u32::MAX }),
    ] {
        table.row(name, |paper| {
            four_eyes(paper);
            let request = paper.asked_before(asked.clone());
            paper.approve_request(request, operator(BO))
        });
    }
    let all = |replaces| Asked::ReissueAll { filter: Filter::default(), replaces, matched: 3, limit: 2 };
    for (name, rule) in [("re-issue-all takes two", Governed::ReissueAll), ("re-issue takes two", Governed::Reissue)] {
        table.row(&format!("a campaign is opened alone, where {name}"), |paper| {
            paper.with_rules(|rules| rules.four_eyes = [rule].into());
            paper.open_campaign(Replacement::GraceSeconds(3600))
        });
    }
    table.row("a campaign of compromised keys is opened, where only re-issue takes two", |paper| {
        paper.with_rules(|rules| rules.four_eyes = [Governed::Reissue].into());
        paper.open_campaign(Replacement::Compromised)
    });
    table.row("a campaign is opened without the case that it takes", |paper| {
        paper.with_rules(|rules| rules.case_required = [Governed::ReissueAll].into());
        paper.open_campaign(Replacement::Compromised)
    });
    table.row("asking for a campaign", |paper| paper.ask(all(Replacement::Compromised)));
    table.row("asking for a campaign that reaches nobody", |paper| {
        let replaces = Replacement::Compromised;
        paper.ask(Asked::ReissueAll { filter: Filter::default(), replaces, matched: 0, limit: 0 })
    });
    table.row("approving a campaign", |paper| {
        four_eyes(paper);
        let request = paper.asked_before(all(Replacement::GraceSeconds(3600)));
        paper.approve_request(request, operator(BO))
    });
    table.row("denying a revocation", |paper| {
        let request = paper.asked_before(Asked::Revoke {});
        paper.deny_request(request, operator(BO))
    });
    table.row("a request's time is over", |paper| {
        let request = paper.asked_before(Asked::Revoke {});
        paper.now = paper.now.after(DAY);
        paper.expire_request(request)
    });
    for (name, asked) in [
        ("an erasure", to_erase as fn(&Paper) -> Asked),
        ("another language", |paper| Asked::ContactsSpeak { contact: technical(paper), language: Language::En }),
        ("a re-issue to an address that is not there", |paper| Asked::ReissueTo {
            replaces: Replacement::Compromised,
            contact: ContactReference {
                id: ContactId::new(paper.now, &*paper.dice).unwrap(),
                address: Pseudonym::of(b"asked for"),
                role: Role::Technical,
                language: Language::En,
                openpgp_key: None,
            },
        }),
    ] {
        table.row(&format!("asking for {name}"), |paper| paper.ask(asked(paper)));
        table.row(&format!("approving {name}"), |paper| {
            four_eyes(paper);
            let request = paper.asked_before(asked(paper));
            paper.approve_request(request, operator(BO))
        });
    }
    table.row("nobody denies an erasure in time", |paper| {
        let request = paper.asked_before(to_erase(paper));
        paper.now = paper.now.after(DAY);
        paper.expire_request(request)
    });
    table.row("a report went out", |paper| {
        let request = paper.asked_before(Asked::Revoke {});
        paper.settle_report(request)
    });
}

/// The technical contact, or somebody's that there is not.
fn technical(paper: &Paper) -> ContactId {
    let place = paper.ours().and_then(|client| client.contacts.technical_place());
    place.map_or_else(|| ContactId::new(paper.now, &*paper.dice).unwrap(), |contact| contact.id)
}

fn to_erase(paper: &Paper) -> Asked {
    Asked::ContactsForget { contact: technical(paper) }
}

/// Where a request can stand, by the way that leads there. The client has an active credential.
fn standings() -> Vec<(&'static str, Paper, RequestId)> {
    let (_, mut active) = situations().into_iter().find(|(name, _)| *name == "active").unwrap();
    let request = active.asked_before(Asked::Revoke {});
    let later = |way: &dyn Fn(&mut Paper)| {
        let mut paper = active.clone();
        way(&mut paper);
        paper
    };
    let approved = later(&|paper| paper.must(&paper.approve_request(request, operator(BO))));
    let denied = later(&|paper| paper.must(&paper.deny_request(request, operator(BO))));
    let over = later(&|paper| paper.now = paper.now.after(DAY));
    let expired = later(&|paper| {
        paper.now = paper.now.after(DAY);
        paper.must(&paper.expire_request(request));
    });
    let revoked = later(&|paper| paper.must(&paper.revoke()));
    let failed = later(&|paper| {
        paper.must(&paper.revoke());
        paper.must(&paper.approve_request(request, operator(BO)));
    });
    let contested = later(&|paper| {
        for _ in 0..paper.policy.refusals_recorded_max {
            paper.must(&paper.approve_request(request, operator(ANNA)));
        }
    });
    let unknown = "K7QF-2M9D-0R4T-8WXZ".parse().unwrap();
    vec![
        ("no such request", active.clone(), unknown),
        ("waiting", active.clone(), request),
        ("waiting, contested to the full", contested, request),
        ("waiting, nothing left", revoked, request),
        ("over, not noticed yet", over, request),
        ("approved", approved, request),
        ("denied", denied, request),
        ("expired", expired, request),
        ("failed", failed, request),
    ]
}

#[test]
fn every_word_has_its_answer_wherever_the_request_stands() {
    let mut answers: Answers = Vec::new();
    let renamed = Actor::Operator { uid: ANNA, account: "anna-berg".parse().ok() };
    let nobody = Actor::Operator { uid: NOBODY, account: "nobody".parse().ok() };
    for (name, actor) in [
        ("another operator", operator(BO)),
        ("whoever asked", operator(ANNA)),
        ("whoever asked, under another name", renamed),
        ("nobody", nobody),
        ("the daemon", Actor::Daemon),
    ] {
        row(&mut answers, &format!("{name} approves"), |paper, request| {
            paper.run(&paper.approve_request(request, actor.clone())).map(|(kinds, _)| kinds)
        });
        row(&mut answers, &format!("{name} denies"), |paper, request| {
            paper.run(&paper.deny_request(request, actor.clone())).map(|(kinds, _)| kinds)
        });
    }
    row(&mut answers, "the daemon looks at the time", |paper, request| {
        paper.run(&paper.expire_request(request)).map(|(kinds, _)| kinds)
    });
    row(&mut answers, "the relay took a report", |paper, request| {
        paper.run(&paper.settle_report(request)).map(|(kinds, _)| kinds)
    });
    insta::assert_snapshot!(written(&answers));
}

fn row(answers: &mut Answers, name: &str, run: impl Fn(&mut Paper, RequestId) -> Result<Vec<String>, String>) {
    let mut row = BTreeMap::new();
    for (place, (standing, mut paper, request)) in standings().into_iter().enumerate() {
        let answer = match run(&mut paper, request) {
            Ok(kinds) => kinds.join(" "),
            Err(refusal) => format!("refused: {}", without_values(&refusal)),
        };
        row.insert(place, (standing.to_owned(), answer));
    }
    answers.push((name.to_owned(), row));
}

#[test]
fn every_state_of_a_request_is_among_the_standings() {
    let stands = |word: &str| {
        let standings = standings();
        let states = standings.iter().filter_map(|(_, paper, id)| paper.world.requests().get(id));
        states.filter(|request| request.state.as_str() == word).count()
    };
    for word in ["waiting", "approved", "denied", "expired", "failed"] {
        assert!(stands(word) > 0, "{word}");
    }
}

/// What was asked is what is done, also when the configuration or the clock has gone on; and once.
#[test]
fn what_is_carried_out_is_what_was_asked() {
    let (_, mut paper) = situations().into_iter().find(|(name, _)| *name == "active").unwrap();
    paper.with_rules(|rules| rules.four_eyes = Governed::ALL.iter().copied().collect());
    let asked = paper.ask(Asked::Reissue { grace_seconds: 777 });
    let (kinds, request) = paper.run(&asked).unwrap();
    assert_eq!(kinds, ["request.made"]);
    assert_eq!(request.content.expires, paper.now.after(paper.policy.request_life));
    assert!(paper.ours().unwrap().issuance.state.as_str() == "completed", "nothing was done");
    paper.now = paper.now.after(Duration::from_secs(3600));
    paper.with_rules(|rules| rules.grace = DAY);
    paper.must(&paper.approve_request(request.id, operator(BO)));
    assert_eq!(paper.ours().unwrap().issuance.replaces, Replacement::GraceSeconds(777));
    let state = &paper.world.requests()[&request.id].state;
    assert!(matches!(state, RequestState::Approved { by, spent: true, .. } if by.uid == BO), "{state:?}");
}
