//! The one route table: what is served, at which door, to whom. The handler's type names the caller, so the table cannot
//! say one door and serve another; a test walks every route with every kind of caller.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use http::{Method, Request};
use hyper::body::Incoming;

use super::Response;
use super::caller::{Caller, Gateway, Local, MailSystem, Operator, Recipient, Sender, Stranger};
use super::problem::Problem;
use super::request::{Authorised, Circumstances, Parameters};

/// What a handler comes back with.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// Serves callers of the kind `C` with the state `S`.
pub type Handler<S, C> = fn(Arc<S>, Authorised<C>) -> Answer;

/// The doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// Events from senders.
    Intake,
    /// Deliveries to recipients.
    Pickup,
    /// Checks by gateways.
    Gateway,
    /// Commands of operators.
    Operator,
    /// Returned mail from the mail system: the operator socket, for an account that is no operator's.
    Returns,
    /// Health and figures.
    Metrics,
    /// Checkpoints for a witness, which is a process of its own.
    Witness,
}

/// The methods of one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Methods {
    /// GET and HEAD, which change nothing.
    Get,
    /// POST.
    Post,
    /// Whatever a proxy's sub-request comes with.
    Any,
}

/// One line of the table.
pub struct Route<S> {
    /// The methods.
    pub methods: Methods,
    /// The path; a segment in braces is a parameter of 1 to 128 characters of `A-Z a-z 0-9 . _ : -`.
    pub pattern: &'static str,
    /// The largest body that is read, in bytes.
    pub body_bytes_max: usize,
    /// The handler, and thereby the door and who may call.
    pub action: Action<S>,
}

/// A handler for one kind of caller.
pub enum Action<S> {
    /// For senders.
    Intake(Handler<S, Sender>),
    /// For recipients.
    Pickup(Handler<S, Recipient>),
    /// For gateways.
    Gateway(Handler<S, Gateway>),
    /// For operators.
    Operator(Handler<S, Operator>),
    /// For the mail system.
    Returns(Handler<S, MailSystem>),
    /// For processes on this machine.
    Metrics(Handler<S, Local>),
    /// For anybody.
    Witness(Handler<S, Stranger>),
}

/// The table, ready to be asked.
pub struct Router<S>(Vec<Entry<S>>);

struct Entry<S> {
    route: Route<S>,
    segments: Vec<Segment>,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Literal(&'static str),
    Parameter(&'static str),
}

/// Two routes that the same request would fit, or a pattern that cannot be matched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the route {0} is doubled or malformed")]
pub struct BadRoute(&'static str);

impl Door {
    /// Every door.
    pub const ALL: [Self; 7] =
        [Self::Intake, Self::Pickup, Self::Gateway, Self::Operator, Self::Returns, Self::Metrics, Self::Witness];
}

impl Caller {
    /// The door that such a caller comes through.
    pub fn door(&self) -> Door {
        match self {
            Self::Sender(_) => Door::Intake,
            Self::Recipient(_) => Door::Pickup,
            Self::Gateway(_) => Door::Gateway,
            Self::Operator(_) => Door::Operator,
            Self::MailSystem(_) => Door::Returns,
            Self::Local(_) => Door::Metrics,
            Self::Stranger(_) => Door::Witness,
        }
    }
}

impl Methods {
    fn include(self, method: &Method) -> bool {
        match self {
            Self::Get => *method == Method::GET || *method == Method::HEAD,
            Self::Post => *method == Method::POST,
            Self::Any => true,
        }
    }

    fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Any => "*",
        }
    }

    fn overlap(self, other: Self) -> bool {
        self == other || self == Self::Any || other == Self::Any
    }
}

impl<S> Route<S> {
    /// The door that it is behind.
    pub fn door(&self) -> Door {
        match &self.action {
            Action::Intake(_) => Door::Intake,
            Action::Pickup(_) => Door::Pickup,
            Action::Gateway(_) => Door::Gateway,
            Action::Operator(_) => Door::Operator,
            Action::Returns(_) => Door::Returns,
            Action::Metrics(_) => Door::Metrics,
            Action::Witness(_) => Door::Witness,
        }
    }
}

impl<S> Router<S> {
    /// Puts the table together from what each door's file lists.
    pub fn new(routes: impl IntoIterator<Item = Route<S>>) -> Result<Self, BadRoute> {
        let mut entries: Vec<Entry<S>> = Vec::new();
        for route in routes {
            let segments = segments(route.pattern).ok_or(BadRoute(route.pattern))?;
            let doubled = entries.iter().any(|entry| {
                entry.route.door() == route.door()
                    && entry.route.pattern == route.pattern
                    && entry.route.methods.overlap(route.methods)
            });
            if doubled {
                return Err(BadRoute(route.pattern));
            }
            entries.push(Entry { route, segments });
        }
        Ok(Self(entries))
    }

    /// Every route.
    pub fn routes(&self) -> impl Iterator<Item = &Route<S>> {
        self.0.iter().map(|entry| &entry.route)
    }

    /// Finds the route for `caller` and calls its handler. What is behind another door does not exist here.
    pub(super) fn dispatch(
        &self,
        state: &Arc<S>,
        caller: Caller,
        request: Request<Incoming>,
        circumstances: impl FnOnce(usize) -> Circumstances,
    ) -> Result<Answer, Problem> {
        let (entry, parameters) = self.find(caller.door(), request.method(), request.uri().path())?;
        let (head, body) = request.into_parts();
        let circumstances = circumstances(entry.route.body_bytes_max);
        let state = Arc::clone(state);
        Ok(match (&entry.route.action, caller) {
            (Action::Intake(serve), Caller::Sender(who)) => {
                serve(state, Authorised::new(who, head, parameters, body, circumstances))
            }
            (Action::Pickup(serve), Caller::Recipient(who)) => {
                serve(state, Authorised::new(who, head, parameters, body, circumstances))
            }
            (Action::Gateway(serve), Caller::Gateway(who)) => {
                serve(state, Authorised::new(who, head, parameters, body, circumstances))
            }
            (Action::Operator(serve), Caller::Operator(who)) => {
                serve(state, Authorised::new(who, head, parameters, body, circumstances))
            }
            (Action::Returns(serve), Caller::MailSystem(who)) => {
                serve(state, Authorised::new(who, head, parameters, body, circumstances))
            }
            (Action::Metrics(serve), Caller::Local(who)) => {
                serve(state, Authorised::new(who, head, parameters, body, circumstances))
            }
            (Action::Witness(serve), Caller::Stranger(who)) => {
                serve(state, Authorised::new(who, head, parameters, body, circumstances))
            }
            // The route was looked up by the caller's door, so the two agree.
            (
                Action::Intake(_)
                | Action::Pickup(_)
                | Action::Gateway(_)
                | Action::Operator(_)
                | Action::Returns(_)
                | Action::Metrics(_)
                | Action::Witness(_),
                _,
            ) => return Err(Problem::not_found()),
        })
    }

    fn find(&self, door: Door, method: &Method, path: &str) -> Result<(&Entry<S>, Parameters), Problem> {
        let mut allow = Vec::new();
        for entry in self.0.iter().filter(|entry| entry.route.door() == door) {
            let Some(parameters) = entry.matches(path) else {
                continue;
            };
            if entry.route.methods.include(method) {
                return Ok((entry, parameters));
            }
            allow.push(entry.route.methods.allow());
        }
        Err(if allow.is_empty() { Problem::not_found() } else { Problem::method_not_allowed(allow.join(", ")) })
    }
}

impl<S> Entry<S> {
    /// The path is compared as it came: percent-encoding, `..` and empty segments are no spelling of anything.
    fn matches(&self, path: &str) -> Option<Parameters> {
        let mut parameters = Parameters::default();
        let mut offset = 1;
        let mut rest = Some(path.strip_prefix('/')?);
        for segment in &self.segments {
            let (here, after) = match rest?.split_once('/') {
                Some((here, after)) => (here, Some(after)),
                None => (rest?, None),
            };
            match segment {
                Segment::Literal(text) if *text == here => {}
                Segment::Parameter(name) if is_parameter(here) => parameters.note(name, offset..offset + here.len())?,
                Segment::Literal(_) | Segment::Parameter(_) => return None,
            }
            offset += here.len() + 1;
            rest = after;
        }
        rest.is_none().then_some(parameters)
    }
}

impl<S> fmt::Debug for Route<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {} (body up to {} bytes)", self.door(), self.methods, self.pattern, self.body_bytes_max)
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes()).finish()
    }
}

fn segments(pattern: &'static str) -> Option<Vec<Segment>> {
    let segments: Vec<_> = pattern
        .strip_prefix('/')?
        .split('/')
        .map(|text| match text.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => Segment::Parameter(name),
            None => Segment::Literal(text),
        })
        .collect();
    let parameters = segments.iter().filter(|segment| matches!(segment, Segment::Parameter(_))).count();
    (parameters <= Parameters::MAX).then_some(segments)
}

fn is_parameter(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(allowed) && text != "." && text != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer<C>(_: Arc<()>, _: Authorised<C>) -> Answer {
        Box::pin(async { Ok(Response::new(bytes::Bytes::new().into())) })
    }

    fn route(methods: Methods, pattern: &'static str) -> Route<()> {
        Route { methods, pattern, body_bytes_max: 0, action: Action::Pickup(answer) }
    }

    fn router() -> Router<()> {
        Router::new([
            route(Methods::Get, "/"),
            route(Methods::Get, "/v1/deliveries"),
            route(Methods::Get, "/v1/deliveries/{reference}"),
            route(Methods::Post, "/v1/deliveries/{reference}/collect"),
        ])
        .unwrap()
    }

    fn find(method: Method, path: &str) -> Result<(&'static str, String), (u16, Option<String>)> {
        match router().find(Door::Pickup, &method, path) {
            Ok((entry, parameters)) => Ok((entry.route.pattern, parameters.value("reference", path).to_owned())),
            Err(problem) => {
                let response = problem.clone().into_response(&crate::http::request::RequestId::from_number(0));
                let allow = response.headers().get("allow").map(|value| value.to_str().unwrap().to_owned());
                Err((problem.status().as_u16(), allow))
            }
        }
    }

    #[test]
    fn a_path_finds_its_route_and_its_parameters() {
        assert_eq!(find(Method::GET, "/"), Ok(("/", String::new())));
        assert_eq!(find(Method::HEAD, "/v1/deliveries"), Ok(("/v1/deliveries", String::new())));
        let collect = "/v1/deliveries/{reference}/collect";
        assert_eq!(find(Method::POST, "/v1/deliveries/K7QF-2M9D/collect"), Ok((collect, "K7QF-2M9D".to_owned())));
    }

    #[test]
    fn no_other_spelling_of_a_path_finds_it() {
        for path in [
            "",
            "*",
            "//",
            "/v1",
            "/v1/deliveries/",
            "/v1//deliveries",
            "/v1/./deliveries",
            "/v1/x/../deliveries",
            "/v1/deliveries/..",
            "/v1/deliveries/.",
            "/v1/deliveries/%4b7QF-2M9D",
            "/v1/deliveries/K7QF%002M9D",
            "/V1/deliveries",
            "/v1/deliveries/a;b",
            "/v1/deliveries/a/b",
            "/v1%2fdeliveries",
        ] {
            assert_eq!(find(Method::GET, path), Err((404, None)), "{path}");
        }
        assert_eq!(find(Method::GET, &format!("/v1/deliveries/{}", "a".repeat(129))), Err((404, None)));
    }

    #[test]
    fn another_method_is_told_which_ones_are_served() {
        assert_eq!(find(Method::DELETE, "/v1/deliveries"), Err((405, Some("GET, HEAD".to_owned()))));
        assert_eq!(find(Method::GET, "/v1/deliveries/a/collect"), Err((405, Some("POST".to_owned()))));
    }

    #[test]
    fn a_route_behind_another_door_does_not_exist() {
        let router = router();
        for door in Door::ALL.into_iter().filter(|door| *door != Door::Pickup) {
            assert_eq!(router.find(door, &Method::GET, "/").err(), Some(Problem::not_found()));
        }
    }

    #[test]
    fn a_doubled_route_is_refused() {
        let doubled = Router::new([route(Methods::Get, "/a"), route(Methods::Any, "/a")]);
        assert_eq!(doubled.err(), Some(BadRoute("/a")));
    }
}
