//! One connection: hyper over the strict stream, and for each request who is calling, then the route table.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Request;
use http::header::HeaderName;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Response;
use super::caller::Caller;
use super::counters::Counters;
use super::limits::Limits;
use super::problem::Problem;
use super::refusals::{Refusal, Refusals};
use super::request::{Circumstances, RequestId};
use super::route::{Door, Router};
use super::standing::{Standing, Turned};
use super::stream::{STAND_IN_PATH, StrictStream, Wire};
use crate::platform::stop::Stop;

/// What a listener and its connections share.
pub(super) struct Hall<S> {
    pub(super) state: Arc<S>,
    pub(super) router: Arc<Router<S>>,
    pub(super) limits: Limits,
    pub(super) door: Door,
    pub(super) counters: Arc<Counters>,
    pub(super) refusals: Arc<Refusals>,
}

/// Who is at the other end.
pub(super) enum Who {
    /// Behind a certificate, which is looked at again for every request.
    Presented(Box<Standing>),
    /// As the kernel told once: the process cannot change it.
    Told(Caller),
}

/// One client's end of the line.
pub(super) struct Guest<S> {
    hall: Arc<Hall<S>>,
    who: Who,
    address: Option<IpAddr>,
    wire: Arc<Wire>,
    next_id: AtomicU64,
}

impl<S: Send + Sync + 'static> Guest<S> {
    /// `id_seed` is random, so that ids of different connections do not meet.
    pub(super) fn new(hall: Arc<Hall<S>>, who: Who, address: Option<IpAddr>, id_seed: u64) -> Self {
        Self { hall, who, address, wire: Arc::default(), next_id: AtomicU64::new(id_seed) }
    }

    /// Serves requests until the client leaves, is refused, is too old, or everything stops.
    pub(super) async fn serve(self, io: impl AsyncRead + AsyncWrite + Unpin, mut stop: Stop) {
        let guest = Arc::new(self);
        let stream = StrictStream::new(io, Arc::clone(&guest.wire), &guest.hall.limits);
        let limits = guest.hall.limits.clone();
        let service = service_fn(move |request| {
            let guest = Arc::clone(&guest);
            async move { Ok::<_, Infallible>(guest.answer(request).await) }
        });
        let mut hyper = http1::Builder::new();
        // The strict stream keeps the deadline of heads, because it is the one that holds them back. A client that has
        // ended its half still gets its answer, and so does one whose last request was refused.
        hyper.header_read_timeout(None).half_close(true);
        let mut connection = pin!(hyper.serve_connection(TokioIo::new(stream), service));
        let aged = tokio::time::sleep(limits.age_max);
        tokio::select! {
            biased;
            _ended = connection.as_mut() => return,
            () = aged => {}
            () = stop.begun() => {}
        }
        connection.as_mut().graceful_shutdown();
        // Whatever is not done by then is cut off. A client that repeats its request finds it done or not done.
        let _ = tokio::time::timeout(limits.drain_time, connection).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response {
        self.wire.set_serving(true);
        let id = self.draw_id();
        let outcome = match self.dispatch(request, id) {
            Ok(answer) => answer.await,
            Err(problem) => Err(problem),
        };
        let mut response = outcome.unwrap_or_else(|problem| problem.into_response(&id));
        response.headers_mut().insert(X_REQUEST_ID, id.to_header());
        let door = match &self.who {
            // One socket serves two kinds of caller.
            Who::Told(caller) => caller.door(),
            Who::Presented(_) => self.hall.door,
        };
        self.hall.counters.count(door, response.status());
        self.wire.set_serving(false);
        response
    }

    fn dispatch(&self, request: Request<Incoming>, id: RequestId) -> Result<super::route::Answer, Problem> {
        if request.uri().path() == STAND_IN_PATH
            && let Some(violation) = self.wire.violation()
        {
            self.hall.refusals.note(Refusal::Framing, self.fingerprint(), &violation);
            return Err(Problem::malformed(violation));
        }
        let caller = self.caller()?;
        self.hall.router.dispatch(&self.hall.state, caller, request, |body_bytes_max| Circumstances {
            id,
            address: self.address,
            body_bytes_max,
            body_time: self.hall.limits.body_time,
            wire: Arc::clone(&self.wire),
        })
    }

    fn caller(&self) -> Result<Caller, Problem> {
        match &self.who {
            Who::Told(caller) => Ok(caller.clone()),
            Who::Presented(standing) => standing.caller().map_err(|turned| match turned {
                Turned::NoLongerValid => Problem::certificate_no_longer_valid(),
                Turned::NotKnown(reason) => {
                    self.hall.refusals.note(Refusal::Unknown, standing.fingerprint(), &reason);
                    Problem::certificate_not_known(&reason)
                }
            }),
        }
    }

    fn fingerprint(&self) -> Option<crate::domain::digest::Fingerprint> {
        match &self.who {
            Who::Told(_) => None,
            Who::Presented(standing) => standing.fingerprint(),
        }
    }

    /// SplitMix64 over a random start: ids need to be different, not unguessable.
    fn draw_id(&self) -> RequestId {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut bits = self.next_id.fetch_add(STEP, Ordering::Relaxed);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        RequestId::from_number(bits ^ (bits >> 31))
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
