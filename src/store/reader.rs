//! The thread that reads, on a connection of its own, so that a long list never waits for a commit or holds one up.
//! It knows neither what is asked nor the database.

use std::sync::mpsc::Receiver;

use super::backend::Reading;
use super::queries::{Queries, ReadError};

/// Questions that may wait.
pub(super) const QUEUE_MAX: usize = 1024;

/// A question that was put together with its way back.
pub(super) type Ask = Box<dyn FnOnce(&mut dyn Queries) + Send>;

/// What the reader is sent.
pub(super) enum Question {
    /// Something to look up. It answers by itself.
    Ask(Ask),
    /// Finish what came before this, then end.
    Stop,
}

/// Answers until it is told to stop or until nobody is left who could ask.
pub(super) fn run(mut reading: impl Reading, questions: &Receiver<Question>) {
    while let Ok(Question::Ask(ask)) = questions.recv() {
        let mut ask = Some(ask);
        reading.with(&mut |queries| {
            if let Some(ask) = ask.take() {
                ask(queries);
            }
        });
    }
}

/// What is answered when the reader cannot be asked.
pub(super) fn cannot_ask(why: &str) -> ReadError {
    ReadError::Unavailable(why.to_owned())
}
