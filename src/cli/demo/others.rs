//! The other parts in the demonstration, played over real connections: the case system that posts an approval, and the
//! API gateway that checks a credential.

use std::sync::Arc;

use base64ct::{Base64, Encoding};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::output::Failure;
use super::super::pickup::{Named, Papers, PasswordFrom};
use super::stage::Stage;
use crate::domain::ids::ClientId;
use crate::domain::secret::ClientSecret;
use crate::http::client::{Answer, Question, over_tls};

/// The media type of one event (CloudEvents 1.0, structured mode).
pub(super) const EVENT_TYPE: &str = "application/cloudevents+json";

/// The mailbox of the organisation's technicians.
pub(super) const MAILBOX: &str = "api@exempel.se";

/// An approval as a case system writes it.
pub(super) fn approval(event: &str, application: &str) -> Value {
    json!({
        "specversion": "1.0",
        "type": "tallyd.application.approved.v1",
        "source": "/case-system",
        "id": event,
        "data": {
            "application_id": application,
            "environment": "test",
            "organisation": { "number": "559000-0005", "name": "Exempel AB" },
            "software": "Exempel Ärendehantering",
            "apis": ["population-register"],
            "contacts": [{ "email": MAILBOX, "language": "en", "role": "technical" }],
        },
    })
}

/// Posts an event as the case system.
pub(super) async fn post(stage: &Stage, event: &Value) -> Result<Answer, Failure> {
    let question = Question::post("/v1/events", EVENT_TYPE, event.to_string());
    ask(stage, "case-system", stage.ports.intake, question, "post the approval").await
}

/// Asks as the gateway whether a credential is good.
pub(super) async fn verify(
    stage: &Stage,
    client_id: &ClientId,
    secret: &ClientSecret,
) -> Result<(StatusCode, HeaderMap), Failure> {
    let pair = Zeroizing::new(format!("{client_id}:{}", secret.reveal_to_recipient()));
    let basic = Zeroizing::new(format!("Basic {}", Base64::encode_string(pair.as_bytes())));
    let tried = "check the credential";
    let mut value = HeaderValue::try_from(basic.as_str()).map_err(|cause| Failure::new(tried, "", cause))?;
    value.set_sensitive(true);
    let mut question = Question::get("/v1/verify");
    question.headers.push((header::AUTHORIZATION, value));
    let answer = ask(stage, "gateway", stage.ports.gateway, question, tried).await?;
    Ok((answer.status, answer.headers))
}

async fn ask(stage: &Stage, who: &str, port: u16, question: Question, tried: &str) -> Result<Answer, Failure> {
    let papers = papers(stage, who)?;
    over_tls("localhost", port, papers.tls().clone(), question)
        .await
        .map_err(|cause| Failure::new(tried, format_args!("as {who}"), cause))
}

/// What one of the parts shows and trusts.
pub(super) fn papers(stage: &Stage, who: &str) -> Result<Papers, Failure> {
    let file = |kind: &str| stage.tls(&format!("{who}.{kind}"));
    let (cert, key) = (file("pem"), file("key"));
    let named = Named { cert: &cert, key: Some(&key), chosen: None, password: &PasswordFrom::Terminal };
    Papers::read(named, Some(&stage.tls("servers-ca.pem")))
}

/// TLS of the mail server.
pub(super) fn mail_server(stage: &Stage) -> Result<Arc<ServerConfig>, Failure> {
    let failed = |cause: &dyn std::fmt::Display| Failure::new("set up the mail server", "", cause);
    let chain = CertificateDer::pem_file_iter(stage.tls("mail.pem"))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| failed(&cause))?;
    let key = PrivateKeyDer::from_pem_file(stage.tls("mail.key")).map_err(|cause| failed(&cause))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|cause| failed(&cause))?;
    Ok(Arc::new(config))
}
