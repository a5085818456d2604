//! Approvals to post, each of another application, made before anything is measured.

use super::client::request;
use super::place::ORGANISATION;

/// So many requests to the intake door, numbered from `first`.
pub(crate) fn approvals(first: usize, count: usize) -> Vec<Vec<u8>> {
    (first..first + count).map(approval).collect()
}

fn approval(number: usize) -> Vec<u8> {
    let body = serde_json::json!({
        "specversion": "1.0",
        "id": format!("approval-{number}"),
        "source": "https://cases.exempel.se/",
        "type": "tallyd.application.approved.v1",
        "time": "2026-11-23T07:30:00Z",
        "datacontenttype": "application/json",
        "data": {
            "application_id": format!("A-2026-{number:07}"),
            "environment": "test",
            "organisation": { "number": ORGANISATION, "name": "Exempel AB" },
            "software": "Exempel Journal",
            "apis": ["population-register"],
            "contacts": [{ "email": format!("api+{number}@exempel.se"), "language": "en", "role": "technical" }],
        },
    });
    request("POST /v1/events", "content-type: application/cloudevents+json\r\n", &body.to_string())
}
