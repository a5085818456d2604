//! The part of the fold that is about terms: agreements, what rests on them, what is granted later, and the steps ahead
//! of an end at which people are told.

use super::{Applied, Fit, Outcome};
use crate::domain::agreement::{Agreed, Agreement, AgreementState};
use crate::domain::client::Client;
use crate::domain::credential::CredentialState;
use crate::domain::ending::End;
use crate::domain::ids::AgreementId;
use crate::domain::time::Timestamp;
use crate::journal::fact::{AgreementFollowed, EndingAnnounced, GrantAdded};

impl Applied<'_> {
    /// An agreement that is where it should be is not changed, so nobody has to follow it anew.
    pub(super) fn move_agreement(&mut self, to: AgreementState) -> Fit {
        self.not_seen()?;
        let key = self.entry.subject.agreement().ok_or("the entry names no agreement")?;
        let changed = self.entry.seq;
        match &mut self.slice.agreement {
            Some(agreement) if agreement.key != key => return Err("the entry is about another agreement"),
            Some(agreement) => {
                let both_ended =
                    matches!((agreement.state, to), (AgreementState::Ended { .. }, AgreementState::Ended { .. }));
                if agreement.state != to && !both_ended {
                    (agreement.state, agreement.changed) = (to, changed);
                }
            }
            None => self.slice.agreement = Some(Agreement { key, state: to, changed }),
        }
        Ok(())
    }

    /// What people were told of an end holds for that end: one that moved away begins its steps again behind those
    /// that have passed, one that moved nearer is told of at once.
    pub(super) fn follow(&mut self, data: &AgreementFollowed) -> Fit {
        let now = self.entry.time;
        let client = self.client()?;
        if client.rests_on().is_none() {
            return Err("a client follows an agreement that it does not rest on");
        }
        if client.agreed.is_some_and(|agreed| data.as_of <= agreed.as_of) {
            return Err("a client follows what it has followed already");
        }
        let ends = active_end(client);
        client.agreed = Some(Agreed { as_of: data.as_of, state: data.state });
        begin_steps_again(client, ends, now);
        Ok(())
    }

    pub(super) fn grant(&mut self, data: &GrantAdded) -> Fit {
        self.not_seen()?;
        let now = self.entry.time;
        let client = self.client()?;
        if data.application == client.application || client.cases.contains(&data.application) {
            return Err("a case is granted twice");
        }
        let other_agreement = |new: &AgreementId| client.rests_on().is_some_and(|rests_on| rests_on.id != *new);
        if data.agreement.as_ref().is_some_and(other_agreement) {
            return Err("a client comes to rest on a second agreement");
        }
        let ends = active_end(client);
        let active = client.credentials.values_mut().find(|it| matches!(it.state, CredentialState::Active { .. }));
        active.ok_or("something is granted to a client without an active credential")?.life_ends = data.life_ends;
        client.apis.extend(data.apis.iter().cloned());
        client.cases.insert(data.application.clone());
        if let Some(agreement) = &data.agreement {
            client.agreement = Some(agreement.clone());
            client.needs_agreement = true;
        }
        begin_steps_again(client, ends, now);
        let outcome = Outcome::Reused(self.latest_order()?);
        self.remember(&data.event, data.body, outcome)
    }

    pub(super) fn announce(&mut self, data: &EndingAnnounced) -> Fit {
        let credential = self.credential()?;
        let active = matches!(credential.state, CredentialState::Active { .. });
        if !active || credential.told_days.is_some_and(|told| told <= data.days) {
            return Err("an end is announced out of turn");
        }
        credential.told_days = Some(data.days);
        Ok(())
    }
}

fn active_end(client: &Client) -> Option<End> {
    client.active().and_then(|active| client.end_of(active))
}

/// After the end of the active credential was `before` and may have moved.
pub(super) fn begin_steps_again(client: &mut Client, before: Option<End>, now: Timestamp) {
    let after = active_end(client);
    let later = |after: End| before.is_none_or(|before| before.at < after.at);
    let told_days = match after {
        Some(after) if before.is_some_and(|before| before.at == after.at) => return,
        Some(after) if later(after) => after.step_at(now),
        Some(_) | None => None,
    };
    let active = client.credentials.values_mut().find(|it| matches!(it.state, CredentialState::Active { .. }));
    if let Some(active) = active {
        active.told_days = told_days;
    }
}
