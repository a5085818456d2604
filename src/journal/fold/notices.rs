//! What facts about notices do: they are queued once, to people who are told of things, and done with once.

use super::{Applied, Fit};
use crate::domain::ids::NoticeId;
use crate::domain::notice::{Addressee, Notice, NoticeState};
use crate::journal::fact::{NoticeDeferred, NoticeQueued};
use crate::journal::subject::Subject;

impl Applied<'_> {
    pub(super) fn queue_notices(&mut self, data: &NoticeQueued) -> Fit {
        let Subject::Credential { reference, .. } = self.entry.subject else {
            return Err("a notice about nothing");
        };
        let not_before = self.entry.time;
        self.credential()?;
        let client = self.client()?;
        let to_contacts = data.notices.iter().map(|(id, contact)| (*id, Addressee::Contact(*contact)));
        let to_all = to_contacts.chain(data.operators.map(|id| (id, Addressee::Operators)));
        let twice = data.operators.is_some_and(|id| data.notices.contains_key(&id));
        if twice || to_all.clone().any(|(id, _)| client.notices.contains_key(&id)) {
            return Err("a notice is queued twice");
        }
        if data.notices.values().any(|id| !client.contacts.iter().any(|contact| contact.id == *id)) {
            return Err("a notice goes to somebody who is no contact");
        }
        for (id, to) in to_all {
            let state = NoticeState::Queued { not_before };
            client.notices.insert(id, Notice { id, what: data.what, to, reference, attempts: 0, state });
        }
        Ok(())
    }

    pub(super) fn defer_notice(&mut self, data: &NoticeDeferred) -> Fit {
        let not_before = data.not_before;
        if self.notice(data.notice)?.attempts.checked_add(1) != Some(data.attempts) {
            return Err("a count is out of step");
        }
        self.move_notice(data.notice, NoticeState::Queued { not_before })?;
        self.notice(data.notice)?.attempts = data.attempts;
        Ok(())
    }

    pub(super) fn move_notice(&mut self, id: NoticeId, to: NoticeState) -> Fit {
        let notice = self.notice(id)?;
        if !matches!(notice.state, NoticeState::Queued { .. }) {
            return Err("a notice changes that is done with");
        }
        notice.state = to;
        Ok(())
    }

    fn notice(&mut self, id: NoticeId) -> Result<&mut Notice, &'static str> {
        self.client()?.notices.get_mut(&id).ok_or("the notice does not exist")
    }
}
