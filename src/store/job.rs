//! A command that waits for the writer, with its types erased: the writer sees decisions and passes verdicts on, and
//! knows neither answers nor refusals.

use tokio::sync::oneshot;

use super::contract::{Command, Decision, Enclosure, Loaded, Recorded, Scope, SubmitError, Unavailable};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::Fact;
use crate::journal::subject::Subject;

/// One command and the way back to whoever submitted it.
pub(super) trait Job: Send {
    /// Who acts.
    fn actor(&self) -> Actor;

    /// Which part of the state it needs.
    fn scope(&self) -> Scope;

    /// Whether nobody waits for its answer.
    fn can_wait(&self) -> bool;

    /// Decides, anew each time it is called, and remembers the outcome. `None`: the decision was no.
    fn decide(&mut self, state: &Loaded, now: Timestamp) -> Option<Decided>;

    /// Hands out the remembered outcome; called after the commit that it rests on.
    fn answer(self: Box<Self>, at: Timestamp);

    /// Tells that it could not be made durable.
    fn unavailable(self: Box<Self>, why: Unavailable);
}

/// The part of a decision that the writer puts on record.
pub(super) struct Decided {
    /// Entries in order.
    pub(super) facts: Vec<(Subject, Fact)>,
    /// What is kept beside them.
    pub(super) enclosures: Vec<Enclosure>,
}

/// What comes back for a command.
pub(super) type Outcome<C> = Result<Recorded<<C as Command>::Answer>, SubmitError<<C as Command>::Refusal>>;

/// A job for `command`, and where its outcome arrives. The outcome never arrives when the writer stops before.
pub(super) fn job_for<C: Command>(command: C) -> (Box<dyn Job>, oneshot::Receiver<Outcome<C>>) {
    let (reply, outcome) = oneshot::channel();
    let job = Submitted { command, ruling: None, reply };
    (Box::new(job), outcome)
}

struct Submitted<C: Command> {
    command: C,
    ruling: Option<Result<C::Answer, C::Refusal>>,
    reply: oneshot::Sender<Outcome<C>>,
}

impl<C: Command> Job for Submitted<C> {
    fn actor(&self) -> Actor {
        self.command.actor()
    }

    fn scope(&self) -> Scope {
        self.command.scope()
    }

    fn can_wait(&self) -> bool {
        self.command.can_wait()
    }

    fn decide(&mut self, state: &Loaded, now: Timestamp) -> Option<Decided> {
        match self.command.decide(state, now) {
            Ok(Decision { facts, enclosures, answer }) => {
                self.ruling = Some(Ok(answer));
                Some(Decided { facts, enclosures })
            }
            Err(refusal) => {
                self.ruling = Some(Err(refusal));
                None
            }
        }
    }

    fn answer(self: Box<Self>, at: Timestamp) {
        let outcome = match self.ruling {
            Some(Ok(answer)) => Ok(Recorded::new(answer, at)),
            Some(Err(refusal)) => Err(SubmitError::Refused(refusal)),
            None => Err(SubmitError::Unavailable(Unavailable::Misfit)),
        };
        // Whoever asked may have hung up; what is recorded stays recorded.
        let _ = self.reply.send(outcome);
    }

    fn unavailable(self: Box<Self>, why: Unavailable) {
        let _ = self.reply.send(Err(SubmitError::Unavailable(why)));
    }
}
