//! The witness's door: HTTPS, one route, no certificates of clients. What is submitted carries the log's signature.

use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use tokio::task::JoinSet;

use super::state::Witness;
use crate::http::Response;
use crate::http::limits::Limits;
use crate::http::listener::{Doorway, Listener, Surroundings};
use crate::http::problem::Problem;
use crate::http::reply;
use crate::http::route::{Action, BadRoute, Methods, Route, Router};
use crate::journal::witnessing::{BODY_MAX, Refusal, Submission};
use crate::platform::clock::Clock;
use crate::platform::stop::Stop;

/// Connections at a time, in all and from one address: a few logs, each with one.
const CONNECTIONS: (usize, usize) = (256, 32);

/// What the door needs.
pub struct WitnessDoor {
    witness: Mutex<Witness>,
    clock: Arc<dyn Clock>,
}

/// The door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BadDoor {
    /// The socket.
    #[error(transparent)]
    Socket(#[from] std::io::Error),
    /// The route.
    #[error(transparent)]
    Route(#[from] BadRoute),
}

/// Serves until the stop.
pub async fn serve(
    witness: Witness,
    clock: Arc<dyn Clock>,
    doorway: Doorway,
    surroundings: Surroundings,
    stop: Stop,
) -> Result<(), BadDoor> {
    let router = Router::new([Route {
        methods: Methods::Post,
        pattern: "/add-checkpoint",
        body_bytes_max: BODY_MAX,
        action: Action::Witness(|state, mut request| {
            Box::pin(async move {
                let body = request.read_body().await?;
                add_checkpoint(state, body.to_vec()).await
            })
        }),
    }])?;
    let (connections_max, connections_per_source_max) = CONNECTIONS;
    let limits = Limits { connections_max, connections_per_source_max, ..Limits::default() };
    let state = Arc::new(WitnessDoor { witness: Mutex::new(witness), clock });
    let listener = Listener::open(doorway, Arc::new(router), state, limits, surroundings)?;
    if let Some(address) = listener.local_address() {
        tracing::info!(%address, "the witness serves");
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(listener.serve(stop));
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// `POST /add-checkpoint`. Judging, remembering and cosigning are one step: nobody comes in between.
async fn add_checkpoint(state: Arc<WitnessDoor>, body: Vec<u8>) -> Result<Response, Problem> {
    let submission = Submission::parse(&body).map_err(|refusal| refused(&refusal))?;
    let (origin, now) = (submission.origin().to_owned(), state.clock.now());
    let judging = tokio::task::spawn_blocking(move || {
        let mut witness = state.witness.lock().unwrap_or_else(PoisonError::into_inner);
        witness.cosign(&submission, now)
    });
    let later = || Problem::unavailable(std::time::Duration::from_secs(60));
    match judging.await.map_err(|_panicked| later())? {
        Ok(Some(Ok(line))) => Ok(reply::with_body(StatusCode::OK, "text/plain; charset=utf-8", line)),
        Ok(Some(Err(Refusal::OtherSize { size }))) => Ok(size_reply(size)),
        Ok(Some(Err(refusal))) => {
            if matches!(refusal, Refusal::OtherRoot { .. } | Refusal::Proof) {
                tracing::error!(origin, %refusal, "a log does not go on from what was cosigned of it; ask its operator");
            }
            if let Refusal::OtherRoot { size } = refusal {
                return Ok(size_reply(size));
            }
            Err(refused(&refusal))
        }
        Ok(None) => {
            Err(Problem::new(StatusCode::NOT_FOUND, "unknown-log", "This witness cosigns no log of that origin."))
        }
        Err(problem) => {
            tracing::error!(%problem, hint = problem.hint(), "nothing is cosigned until the next start: what is remembered is not certain");
            Err(later())
        }
    }
}

/// 409 with the size of what was cosigned last (C2SP `tlog-witness`).
fn size_reply(size: u64) -> Response {
    reply::with_body(StatusCode::CONFLICT, "text/x.tlog.size", format!("{size}\n"))
}

fn refused(refusal: &Refusal) -> Problem {
    let detail = format!("Not cosigned: {refusal}.");
    match refusal {
        Refusal::Malformed(_) => Problem::bad_request("malformed", detail),
        Refusal::Unsigned => Problem::forbidden("unsigned", detail),
        Refusal::OtherSize { .. } | Refusal::OtherRoot { .. } => Problem::conflict("other-checkpoint", detail),
        Refusal::Proof => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "proof-fails", detail),
    }
}
