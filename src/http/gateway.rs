//! The gateway door: is this client_id and client_secret good, and what for? Answered from memory; works as the
//! sub-request of nginx `auth_request`, Envoy `ext_authz` and Traefik `ForwardAuth`.

use base64ct::{Base64, Encoding};
use http::{HeaderName, HeaderValue, StatusCode, header};
use zeroize::Zeroizing;

use super::caller::Gateway;
use super::problem::Problem;
use super::request::Authorised;
use super::route::{Action, Methods, Route};
use super::service::Service;
use super::{Response, reply};
use crate::domain::ids::{ApiName, ClientId};
use crate::domain::organisation::Party;
use crate::domain::secret::ClientSecret;
use crate::store::index::Grant;

const X_CLIENT_ID: HeaderName = HeaderName::from_static("x-client-id");
const X_ORGANISATION: HeaderName = HeaderName::from_static("x-organisation");
const X_ENVIRONMENT: HeaderName = HeaderName::from_static("x-environment");
const X_APIS: HeaderName = HeaderName::from_static("x-apis");

/// The longest credentials that are looked at: both parts percent-encoded in full, and base64 around them.
const BASIC_MAX: usize = 1024;

/// The routes of this door.
pub fn routes() -> Vec<Route<Service>> {
    vec![Route {
        methods: Methods::Any,
        pattern: "/v1/verify",
        body_bytes_max: 0,
        action: Action::Gateway(|service, request| Box::pin(async move { verify(&service, &request) })),
    }]
}

fn verify(service: &Service, request: &Authorised<Gateway>) -> Result<Response, Problem> {
    let presented = request.header(header::AUTHORIZATION.as_str()).and_then(basic);
    let verified = presented.and_then(|(client_id, secret)| {
        let grant = service.desk.verify(&client_id, &secret)?;
        Some((client_id, grant))
    });
    let Some((client_id, grant)) = verified else {
        return Ok(unauthorised(request));
    };
    if request.headers().contains_key("x-api") {
        let asked: Option<ApiName> = request.header("x-api").and_then(|name| name.parse().ok());
        if !asked.is_some_and(|api| grant.apis.contains(&api)) {
            return Err(Problem::forbidden("api-not-granted", "The client may not call this API."));
        }
    }
    Ok(granted(&client_id, &grant))
}

fn granted(client_id: &ClientId, grant: &Grant) -> Response {
    let mut response = reply::no_content();
    let headers = response.headers_mut();
    let organisation = match &grant.party {
        Party::Organisation(number) => HeaderValue::try_from(number.as_str()),
        // A sole trader's number is a person's: the gateway tells such clients apart by the keyed hash.
        Party::Person(hash) => HeaderValue::try_from(format!("person:{hash}")),
    };
    let apis = grant.apis.iter().map(ApiName::as_str).collect::<Vec<_>>().join(",");
    // Every value comes from an alphabet that headers may hold.
    let values = [
        (X_CLIENT_ID, HeaderValue::try_from(client_id.as_str())),
        (X_ORGANISATION, organisation),
        (X_APIS, HeaderValue::try_from(apis)),
    ];
    for (name, value) in values {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    }
    headers.insert(X_ENVIRONMENT, HeaderValue::from_static(grant.environment.as_str()));
    response
}

/// Unknown, wrong, ended, malformed: one answer for all of them.
fn unauthorised(request: &Authorised<Gateway>) -> Response {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "not-verified", "The credentials do not verify.");
    let mut response = problem.into_response(&request.id());
    let challenge = HeaderValue::from_static("Basic realm=\"tallyd\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// RFC 7617, with both parts form-encoded (RFC 6749, section 2.3.1). Form and checksum are looked at before any look-up.
fn basic(value: &str) -> Option<(ClientId, ClientSecret)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > BASIC_MAX {
        return None;
    }
    let encoded = encoded.trim();
    // As large as it must be and no larger: wiping it is a good part of what a check costs.
    let mut buffer = Zeroizing::new(vec![0_u8; encoded.len().div_ceil(4) * 3]);
    let decoded = Base64::decode(encoded, buffer.as_mut_slice()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let client_id = form_decoded(decoded.get(..colon)?)?;
    let secret = form_decoded(decoded.get(colon + 1..)?)?;
    let client_id = std::str::from_utf8(&client_id).ok()?.parse().ok()?;
    Some((client_id, ClientSecret::parse(&secret).ok()?))
}

/// application/x-www-form-urlencoded. Our alphabets need no escapes, but some clients escape everything.
fn form_decoded(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            let mut value = [0];
            data_encoding::HEXLOWER_PERMISSIVE.decode_mut(digits, &mut value).ok()?;
            decoded.push(value[0]);
            rest = after;
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Environment;
    use crate::domain::random::{Randomness, RandomnessFailed};

    struct Counting;

    impl Randomness for Counting {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomnessFailed> {
            buffer.iter_mut().zip(0..).for_each(|(byte, value)| *byte = value);
            Ok(())
        }
    }

    fn pair() -> (String, String) {
        let prefix = "ex".parse().unwrap();
        let id = ClientId::generate(&prefix, Environment::Test, &Counting).unwrap();
        let secret = ClientSecret::generate(&prefix, Environment::Test, &Counting).unwrap();
        (id.to_string(), secret.reveal_to_recipient().to_owned())
    }

    #[test]
    fn both_ways_of_writing_basic_are_read() {
        let (id, secret) = pair();
        let escaped = format!("{}:{}", id.replace('-', "%2D"), secret.replace('_', "%5f"));
        for text in [format!("{id}:{secret}"), escaped] {
            let (read_id, read_secret) = basic(&format!("bAsIc {}", Base64::encode_string(text.as_bytes()))).unwrap();
            assert_eq!(read_id.as_str(), id);
            assert_eq!(read_secret.reveal_to_recipient(), secret);
        }
    }

    #[test]
    fn anything_else_is_no_credential() {
        let (id, secret) = pair();
        let cut = &secret[..secret.len() - 1];
        for text in [
            format!("{id}{secret}"),
            format!("{id}:{cut}"),
            format!(":{secret}"),
            format!("{id}:"),
            format!("{id}:%5"),
            format!("{id}%zz:{secret}"),
        ] {
            assert!(basic(&format!("Basic {}", Base64::encode_string(text.as_bytes()))).is_none(), "{text}");
        }
        let large = "A".repeat(BASIC_MAX + 4);
        for value in ["", "Basic", "Basic !", "Bearer abc", "Basic Zm9v", &format!("Basic {large}")] {
            assert!(basic(value).is_none(), "{value}");
        }
    }
}
