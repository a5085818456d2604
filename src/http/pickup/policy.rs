//! What a browser may do with a page of ours: nothing that the page does not need, and nothing at all for others.

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::super::Response;
use super::super::problem::Problem;
use super::super::request::Authorised;

/// What every answer to a browser carries beside its content.
const FIELDS: [(HeaderName, &str); 8] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), clipboard-read=()",
    ),
    (VARY, "Accept, Accept-Language"),
];

/// The answer with everything that keeps a browser from doing more than it should.
pub(super) fn guarded(mut response: Response) -> Response {
    for (name, value) in FIELDS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A browser shows the organisation's certificate to whoever makes it send a request, so a request that changes anything
/// must come from our own page. A program sends none of the header fields that browsers send, and is let through.
pub(super) fn from_our_page<C>(request: &Authorised<C>) -> Result<(), Problem> {
    if *request.method() != Method::POST || is_from_our_page(request.headers()) {
        return Ok(());
    }
    let detail = "The request did not come from this page, so nothing was done.";
    Err(Problem::new(StatusCode::FORBIDDEN, "cross-site", detail))
}

/// `Sec-Fetch-Site` decides where there is one (Fetch Metadata): with `Referrer-Policy: no-referrer` the `Origin` of a form
/// is `null`. Browsers without it send an `Origin`. Who asks for a page and sends neither is no program.
fn is_from_our_page(headers: &HeaderMap) -> bool {
    let values = |name: &str| -> Vec<&[u8]> { headers.get_all(name).iter().map(HeaderValue::as_bytes).collect() };
    let (sites, origins, hosts) = (values("sec-fetch-site"), values("origin"), values("host"));
    let own = |origin: &[u8]| hosts.len() == 1 && origin.strip_prefix(b"https://") == hosts.first().copied();
    match (&sites[..], &origins[..]) {
        ([], []) => !super::visitor::wants_a_page(headers),
        ([], [origin]) => own(origin),
        ([site], []) => *site == b"same-origin",
        ([site], [origin]) => *site == b"same-origin" && (*origin == b"null" || own(origin)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ours(fields: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("pickup.exempel.se:8443"));
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        is_from_our_page(&headers)
    }

    #[test]
    fn only_our_own_page_and_programs_change_anything() {
        let own = ("origin", "https://pickup.exempel.se:8443");
        for fields in [
            &[][..],
            &[("accept", "application/json")],
            &[own],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "same-origin"), own],
            &[("sec-fetch-site", "same-origin"), ("origin", "null"), ("accept", "text/html")],
        ] {
            assert!(is_ours(fields), "{fields:?}");
        }
        for fields in [
            &[("accept", "text/html")][..],
            &[("origin", "null")],
            &[("origin", "https://pickup.exempel.se")],
            &[("origin", "http://pickup.exempel.se:8443")],
            &[("origin", "https://evil.example")],
            &[own, own],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), own],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "cross-site"), ("origin", "null")],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        ] {
            assert!(!is_ours(fields), "{fields:?}");
        }
    }
}
