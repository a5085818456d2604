//! Answers to requests that were granted. Nothing here may be cached: what is true of a credential can change at any time.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::Response;

/// A JSON document.
///
/// # Errors
/// Those of serde_json: a map whose keys are not strings.
pub fn json(status: StatusCode, document: &impl Serialize) -> Result<Response, serde_json::Error> {
    let body = serde_json::to_vec(document)?;
    Ok(with_body(status, "application/json", body))
}

/// A body of any media type.
pub fn with_body(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into().into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 204.
pub fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
