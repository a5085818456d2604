//! What facts about notices do: they are queued once, to people who are told of things, and done with once.

use super::{Applied, Fit};
use crate::domain::contacts::Standing;
use crate::domain::ids::{ContactId, NoticeId};
use crate::domain::notice::{Addressee, Notice, NoticeKind, NoticeState};
use crate::domain::reference::Reference;
use crate::journal::fact::{NoticeDeferred, NoticeQueued};
use crate::journal::subject::Subject;

impl Applied<'_> {
    pub(super) fn queue_notices(&mut self, data: &NoticeQueued) -> Fit {
        let Subject::Credential { reference, .. } = self.entry.subject else {
            return Err("a notice about nothing");
        };
        self.credential()?;
        self.add_notices(data, Some(reference), Standing::Current)
    }

    pub(super) fn tell_contacts(&mut self, data: &NoticeQueued) -> Fit {
        let standing = match data.what {
            NoticeKind::ContactsChanged => Standing::Current,
            NoticeKind::ContactReplaced => Standing::Replaced,
            NoticeKind::Delivered
            | NoticeKind::Collected
            | NoticeKind::Activated
            | NoticeKind::Ended
            | NoticeKind::Reminder
            | NoticeKind::Ending
            | NoticeKind::Granted
            | NoticeKind::Bounced => return Err("a notice about a delivery names none"),
        };
        self.add_notices(data, None, standing)
    }

    /// Notices to the operators and to contacts, all of which stand so.
    fn add_notices(&mut self, data: &NoticeQueued, reference: Option<Reference>, standing: Standing) -> Fit {
        let not_before = self.entry.time;
        let client = self.client()?;
        let to_contacts = data.notices.iter().map(|(id, contact)| (*id, Addressee::Contact(*contact)));
        let to_all = to_contacts.chain(data.operators.map(|id| (id, Addressee::Operators)));
        let twice = data.operators.is_some_and(|id| data.notices.contains_key(&id));
        if twice || to_all.clone().any(|(id, _)| client.notices.contains_key(&id)) {
            return Err("a notice is queued twice");
        }
        let stands = |id: &ContactId| client.contacts.find(*id).is_some_and(|(_, it)| it == standing);
        if !data.notices.values().all(stands) {
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
