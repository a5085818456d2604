//! The thread that reads, on a connection of its own, so that a long list never waits for a commit or holds one up.
//! It knows neither what is asked nor the database.

use std::sync::mpsc::Receiver;

use super::backend::{Fault, Reading};
use super::queries::{Queries, ReadError};
use super::writer::OnFatal;

/// Questions that may wait.
pub(super) const QUEUE_MAX: usize = 1024;

/// A question that was put together with its way back. It returns the fault after which nothing more may be read.
pub(super) type Ask = Box<dyn FnOnce(&mut dyn Queries) -> Option<Fault> + Send>;

/// What the reader is sent.
pub(super) enum Question {
    /// Something to look up. It answers by itself.
    Ask(Ask),
    /// Finish what came before this, then end.
    Stop,
}

/// Answers until it is told to stop, until nobody is left who could ask, or until a fatal fault.
pub(super) fn run(mut reading: impl Reading, questions: Receiver<Question>, on_fatal: &OnFatal) {
    while let Ok(Question::Ask(ask)) = questions.recv() {
        if let Err(fault) = answer(&mut reading, ask) {
            // Dropping the queue with what still waits in it answers everybody: the store has stopped.
            drop(questions);
            tracing::error!(%fault, "the state cannot be read; it is recovered at the next start");
            on_fatal(&fault);
            return;
        }
    }
}

/// Answers one question. An error of the disk or a corrupt page is as bad met by reading as it is met by writing.
fn answer(reading: &mut impl Reading, ask: Ask) -> Result<(), Fault> {
    let (mut ask, mut fatal) = (Some(ask), None);
    let viewed = reading.with(&mut |queries| fatal = ask.take().and_then(|ask| ask(queries)));
    match (fatal, viewed) {
        (Some(fault), _) | (None, Err(fault @ Fault::Fatal(_))) => Err(fault),
        (None, Err(fault @ Fault::Unavailable { .. })) => {
            tracing::error!(%fault, "a reading transaction did not begin or end as it should");
            Ok(())
        }
        (None, Ok(())) => Ok(()),
    }
}

/// What is answered when the reader cannot be asked.
pub(super) fn cannot_ask(why: &str) -> ReadError {
    ReadError::Unavailable(why.to_owned())
}
