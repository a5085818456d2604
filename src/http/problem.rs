//! Refusals as clients see them: RFC 9457 problem documents, and the only place where text for HTTP clients is made.
//!
//! `code` is stable and for programs; `detail` is for people and may change. No error type of the inside ever reaches a
//! body: each refusal is written out here in words that the one who asked can act on.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::Response;
use super::framing::Violation;
use super::keeper::NotKnown;
use super::request::RequestId;

/// A refusal: what every handler returns instead of an answer.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    faults: Vec<Fault>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    closes: bool,
}

/// One fault in a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

/// The document (RFC 9457, section 3.1). `type` is left out, which means `about:blank`: the title is the status's own.
#[derive(Serialize)]
struct Document<'a> {
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
    request_id: &'a str,
}

impl Problem {
    /// A refusal with its stable code (kebab-case) and a sentence for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        let mut problem =
            Self { status, code, detail, faults: Vec::new(), retry_after: None, allow: None, closes: false };
        // Whoever gets a 503 is told when to come again, even where nobody thought of it.
        if status == StatusCode::SERVICE_UNAVAILABLE {
            problem.retry_after = Some(Duration::from_secs(5));
        }
        problem
    }

    /// 404: it does not exist, or it is not the caller's. The two are never told apart.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here for you.")
    }

    /// 403: the caller is known and may not do this, whatever it is done to.
    pub fn forbidden(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 400: the request cannot be read.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 409: it contradicts what is so already.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 410: it was here and is gone for good.
    pub fn gone(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::GONE, code, detail)
    }

    /// 422: the body can be read, but these things in it are wrong.
    pub fn unprocessable(faults: Vec<Fault>) -> Self {
        let detail = "The body has faults; each is listed with its place.";
        Self { faults, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "faults-in-body", detail) }
    }

    /// 429: too often. Says when to come again.
    pub fn too_many(retry_after: Duration) -> Self {
        let detail = "Too many requests. Wait as long as Retry-After says.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail).retry_after(retry_after)
    }

    /// 503: not now. Nothing was changed, and the same request succeeds later.
    pub fn unavailable(retry_after: Duration) -> Self {
        let detail = "This cannot be done right now. Nothing was changed; send the same request again later.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(retry_after)
    }

    /// 415: the body is of another media type than is read here.
    pub fn unsupported_media_type(wanted: &'static str) -> Self {
        let detail = format!("Send a body of the media type {wanted}.");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    }

    /// Sets when to come again; rounded up to whole seconds, at least one.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn method_not_allowed(allow: String) -> Self {
        let detail = "This method is not served here; the Allow header field lists those that are.";
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail) }
    }

    pub(super) fn body_too_large(bytes_max: usize) -> Self {
        let detail = format!("The body is larger than the {bytes_max} bytes that are read here.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail).closing()
    }

    pub(super) fn body_too_slow() -> Self {
        let detail = "The body did not arrive in time.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", detail).closing()
    }

    pub(super) fn body_broken_off() -> Self {
        Self::bad_request("body-broken-off", "The body ended before its announced end.").closing()
    }

    pub(super) fn malformed(violation: Violation) -> Self {
        let detail = format!("The request was not read: {violation}.");
        Self::new(violation.status(), "malformed-request", detail).closing()
    }

    pub(super) fn certificate_no_longer_valid() -> Self {
        let detail = "The certificate of this connection has expired or was revoked since the connection was opened.";
        Self::new(StatusCode::UNAUTHORIZED, "certificate-no-longer-valid", detail).closing()
    }

    /// The same for every path, so it says nothing about what exists.
    pub(super) fn certificate_not_known(reason: &NotKnown) -> Self {
        let detail = match reason {
            NotKnown::Organisation(fault) => format!(
                "The certificate is valid, but {fault}. Use the organisation's certificate, not a server's or a person's."
            ),
            NotKnown::NoPeer | NotKnown::SeveralPeers | NotKnown::Unreadable => {
                "The certificate is valid, but nobody is registered here with it.".to_owned()
            }
        };
        Self::forbidden("certificate-not-known", detail).closing()
    }

    fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// The answer. The request id leads the operator to the log lines of this request.
    pub(super) fn into_response(self, id: &RequestId) -> Response {
        let document = Document {
            title: self.status.canonical_reason().unwrap_or("Refused"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            errors: &self.faults,
            request_id: id.as_str(),
        };
        // The document has string keys only, so it always becomes JSON.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body).into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        if let Some(allow) = self.allow.and_then(|methods| HeaderValue::try_from(methods).ok()) {
            headers.insert(ALLOW, allow);
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl Fault {
    /// A fault at the place that `path` leads to, each step a member's name or an element's number.
    pub fn at<'a>(path: impl IntoIterator<Item = &'a str>, detail: impl Into<String>) -> Self {
        let mut pointer = String::new();
        for step in path {
            pointer.push('/');
            pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        }
        Self { pointer, detail: detail.into() }
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    let rounded_up = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    rounded_up.max(1)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn body_of(problem: Problem) -> String {
        let response = problem.into_response(&RequestId::from_number(0xabc));
        let body = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(response.collect());
        String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_problem_is_a_problem_document() {
        let fault = Fault::at(["data", "a/b~c", "0"], "not an address");
        assert_eq!(
            body_of(Problem::unprocessable(vec![fault])),
            r#"{"title":"Unprocessable Entity","status":422,"code":"faults-in-body","detail":"The body has faults; each is listed with its place.","errors":[{"pointer":"/data/a~1b~0c/0","detail":"not an address"}],"request_id":"0000000000000abc"}"#
        );
    }

    #[test]
    fn every_503_says_when_to_come_again() {
        for problem in [
            Problem::unavailable(Duration::from_millis(1200)),
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "Stopping."),
        ] {
            let response = problem.into_response(&RequestId::from_number(1));
            assert!(response.headers().contains_key(RETRY_AFTER));
            assert_eq!(response.headers().get(CACHE_CONTROL).unwrap(), "no-store");
        }
        assert_eq!(whole_seconds(Duration::from_millis(1200)), 2);
        assert_eq!(whole_seconds(Duration::ZERO), 1);
    }
}
