//! Everything that may be wrong with an event: each is refused with a document that names the place, and leaves nothing
//! behind.

use serde_json::{Value, json};

use crate::harness::Harness;
use crate::harness::approval::{Approval, event};
use crate::harness::people::Reply;

const STRUCTURED: &str = "application/cloudevents+json";

/// Runs a check, and sees to it that it left nothing and broke nothing.
fn leaving_nothing(check: impl FnOnce(&Harness)) {
    let harness = Harness::start();
    let before = harness.journal_size();
    check(&harness);
    assert_eq!(harness.journal_size(), before, "a refused event left an entry");
    assert_eq!(harness.sink().mails().len(), 0);
    harness.issue(&Approval::new());
}

fn post(harness: &Harness, body: impl Into<Vec<u8>>) -> Reply {
    harness.sender().post("/v1/events", STRUCTURED, body)
}

#[test]
fn bodies_that_are_no_strict_json_are_refused() {
    leaving_nothing(|harness| {
        let good = Approval::new().event().to_string();
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let repeated = good.replacen("\"specversion\"", "\"id\":\"x\",\"specversion\"", 1);
        let repeated_below = good.replacen("\"environment\"", "\"environment\":\"test\",\"environment\"", 1);
        let latin_1 = [good.replacen("Exempel AB", "Ex", 1).as_bytes(), b"\xe5"].concat();
        let surrogate = good.replacen("Exempel AB", "\\ud800", 1);
        let bodies: [(&str, Vec<u8>); 13] = [
            ("empty", vec![]),
            ("cut off", good.as_bytes()[..good.len() - 1].to_vec()),
            ("two documents", format!("{good}{good}").into_bytes()),
            ("a byte order mark", format!("\u{feff}{good}").into_bytes()),
            ("nested deeply", deep.into_bytes()),
            ("nested in a field", good.replacen("\"Exempel AB\"", &"[".repeat(5_000), 1).into_bytes()),
            ("a repeated key", repeated.into_bytes()),
            ("a repeated key below", repeated_below.into_bytes()),
            ("not UTF-8", latin_1),
            ("a lone surrogate", surrogate.into_bytes()),
            ("a huge number", good.replacen("\"Exempel AB\"", &"9".repeat(400), 1).into_bytes()),
            ("a fraction", good.replacen("\"Exempel AB\"", "1.5", 1).into_bytes()),
            ("a raw line break", good.replacen("Exempel AB", "Exempel\nAB", 1).into_bytes()),
        ];
        for (name, body) in bodies {
            let reply = post(harness, body);
            assert_eq!((reply.status, reply.code().as_str()), (400, "bad-json"), "{name}: {reply:?}");
        }
    });
}

#[test]
fn bodies_that_are_too_large_or_of_another_media_type_are_refused() {
    leaving_nothing(|harness| {
        let padded = format!("{}{}", " ".repeat(1024 * 1024), Approval::new().event());
        let reply = post(harness, padded);
        assert_eq!((reply.status, reply.code().as_str()), (413, "body-too-large"));
        let good = Approval::new().event().to_string();
        for media_type in
            ["application/json", "text/plain", "application/cloudevents+xml", "", "application/x-protobuf"]
        {
            let reply = harness.sender().post("/v1/events", media_type, good.clone());
            assert_eq!((reply.status, reply.code().as_str()), (415, "unsupported-media-type"), "{media_type}");
        }
    });
}

#[test]
fn envelopes_with_faults_are_told_by_pointer() {
    leaving_nothing(|harness| {
        let with = |name: &str, value: Value| {
            let mut event = Approval::new().event();
            event[name] = value;
            event
        };
        for (event, pointer) in [
            (with("type", json!("tallyd.application.rejected.v1")), "/type"),
            (with("type", json!(7)), "/type"),
            (with("specversion", json!("0.3")), "/specversion"),
            (with("specversion", Value::Null), "/specversion"),
            (with("id", json!("")), "/id"),
            (with("id", json!("a\u{0}b")), "/id"),
            (with("id", json!("x".repeat(10_000))), "/id"),
            (with("source", json!("a b\r\nc")), "/source"),
            (with("time", json!("yesterday")), "/time"),
            (with("datacontenttype", json!("text/xml")), "/datacontenttype"),
            (with("data", Value::Null), "/data"),
            (with("data", json!([])), "/data"),
            (with("data_base64", json!("e30=")), "/data_base64"),
            (with("an/odd~name", json!(1)), "/an~1odd~0name"),
        ] {
            let reply = post(harness, event.to_string());
            assert_eq!((reply.status, reply.code().as_str()), (422, "faults-in-body"), "{pointer}: {reply:?}");
            assert_eq!(reply.pointers(), [pointer]);
        }
    });
}

#[test]
fn approvals_with_faults_are_told_by_pointer() {
    leaving_nothing(|harness| {
        let contact = |email: &str, role: &str| json!({ "email": email, "language": "sv", "role": role });
        let technical = contact("a@exempel.se", "technical");
        let many: Vec<_> = (0..17).map(|n| contact(&format!("a{n}@exempel.se"), "administrative")).collect();
        for (changed, value, pointer) in [
            ("/application_id", json!("a b"), "/data/application_id"),
            ("/application_id", json!("../../etc"), "/data/application_id"),
            ("/environment", json!("staging"), "/data/environment"),
            ("/organisation", json!("Exempel AB"), "/data/organisation"),
            (
                "/organisation",
                json!({ "number": "5590000005", "name": "E", "country": "SE" }),
                "/data/organisation/country",
            ),
            ("/software", json!(""), "/data/software"),
            ("/software", json!("x".repeat(201)), "/data/software"),
            ("/apis", json!([]), "/data/apis"),
            ("/apis", json!("addresses"), "/data/apis"),
            ("/apis", json!(["addresses", "addresses"]), "/data/apis/1"),
            ("/apis", json!(["unheard-of"]), "/data/apis"),
            ("/keys", json!([]), "/data/keys"),
            ("/keys", json!(["oauth2", "oauth2"]), "/data/keys/1"),
            ("/keys", json!(["a.b"]), "/data/keys/0"),
            ("/keys", json!((0..33).map(|n| format!("k{n}")).collect::<Vec<_>>()), "/data/keys"),
            ("/contacts", json!([]), "/data/contacts"),
            ("/contacts", json!([contact("a@exempel.se", "administrative")]), "/data/contacts"),
            ("/contacts", json!([technical, contact("b@exempel.se", "technical")]), "/data/contacts"),
            ("/contacts", json!([technical, contact("A@EXEMPEL.SE", "administrative")]), "/data/contacts"),
            ("/contacts", json!(many), "/data/contacts"),
            ("/contacts/1/role", json!("boss"), "/data/contacts/1/role"),
            ("/contacts/1/language", json!("no"), "/data/contacts/1/language"),
            ("/contacts/1/name", json!("Kim"), "/data/contacts/1/name"),
            ("/pickup", json!({}), "/data/pickup/spki_sha256"),
            ("/pickup", json!({ "spki_sha256": ["abc"] }), "/data/pickup/spki_sha256/0"),
            ("/agreement_id", json!(5), "/data/agreement_id"),
            ("/client_secret", json!("mine"), "/data/client_secret"),
        ] {
            let reply = post(harness, Approval::new().with(changed, value.clone()).event().to_string());
            assert_eq!((reply.status, reply.pointers()), (422, vec![pointer.to_owned()]), "{changed}: {value}");
        }
        let sandbox = Approval::new().production().with("/apis", json!(["sandbox"]));
        assert_eq!(post(harness, sandbox.event().to_string()).pointers(), ["/data/apis"]);

        // Everything at once, in one answer.
        let empty = event("everything", "tallyd.application.approved.v1", json!({}));
        let missing = ["application_id", "environment", "organisation", "software", "apis", "contacts"];
        let missing: Vec<_> = missing.iter().map(|name| format!("/data/{name}")).collect();
        assert_eq!(post(harness, empty.to_string()).pointers(), missing);
    });
}

#[test]
fn addresses_that_a_relay_could_read_otherwise_are_refused() {
    leaving_nothing(|harness| {
        for address in [
            "",
            "api",
            "api@",
            "@exempel.se",
            "api@localhost",
            "api@exempel.se\r\nBcc: evil@exempel.se",
            "api\r\nRCPT TO:<evil@exempel.se>@exempel.se",
            "api@exempel.se\n",
            "api@exempel.se\0",
            " api@exempel.se",
            "Exempel <api@exempel.se>",
            "\"a b\"@exempel.se",
            "api@[127.0.0.1]",
            "api@127.0.0.1",
            "api(comment)@exempel.se",
            "a@b@exempel.se",
            "api@exempel.se,evil@exempel.se",
            "api@ex\u{e4}mpel.se",
            "\u{e5}pi@exempel.se",
            "api@exempel\u{3002}se",
            "api@exempel.s\u{435}",
            "api..a@exempel.se",
            "api@-exempel.se",
        ] {
            let reply = post(harness, Approval::new().with("/contacts/0/email", address).event().to_string());
            assert_eq!((reply.status, reply.pointers()), (422, vec!["/data/contacts/0/email".into()]), "{address:?}");
            assert!(!reply.text().contains("evil"), "the address is told back: {reply:?}");
        }
    });
}

#[test]
fn names_that_could_control_what_shows_them_are_refused() {
    leaving_nothing(|harness| {
        for name in [
            "Exempel\r\nSubject: x",
            "Exempel\u{0}AB",
            "Exempel\u{7}AB",
            "Exempel\u{1b}[31mAB",
            "Exempel\u{9b}31mAB",
            "Exempel\u{202e}BA",
            "Exempel\u{2066}AB",
            "Exempel\u{200b}AB",
            "Exempel\u{feff}AB",
            "Exempel\u{2028}AB",
            "Exempel\u{85}AB",
            "Exempel\u{e000}AB",
            "Exempel\u{fffe}AB",
            "Exempel A\u{30a}B",
            " Exempel AB",
            "Exempel AB ",
            "",
        ] {
            for (changed, pointer) in
                [("/organisation/name", "/data/organisation/name"), ("/software", "/data/software")]
            {
                let reply = post(harness, Approval::new().with(changed, name).event().to_string());
                assert_eq!((reply.status, reply.pointers()), (422, vec![pointer.to_owned()]), "{name:?}");
            }
        }
    });
}

#[test]
fn numbers_of_organisations_are_one_number_in_every_spelling_and_refused_with_a_wrong_digit() {
    let harness = Harness::start();
    let spellings =
        ["5590000005", "559000-0005", "165590000005", "16559000-0005", "NTRSE-5590000005", "VATSE-559000000501"];
    for spelling in spellings {
        let keys = harness.issue(&Approval::new().with("/organisation/number", spelling));
        let verified = harness.gateway().verify_for(&keys.only().client_id, &keys.only().secret, &[]);
        assert_eq!(verified.header("x-organisation"), "5590000005", "{spelling}");
    }
    let before = harness.entries("approval.accepted").len();
    for number in [
        "5590000006",
        "559000-0006",
        "165590000006",
        "NTRSE-5590000006",
        "VATSE-559000000601",
        "559000000",
        "55900000055",
        "5590-000005",
        "559000--0005",
        "155590000005",
        "1212121212",
        "19121212-1213",
        "",
        " 5590000005",
        "5590000005\n",
        "\u{ff15}590000005",
        "NTRSE-",
        "XX-1",
        "CN=Exempel AB",
    ] {
        let reply = post(&harness, Approval::new().with("/organisation/number", number).event().to_string());
        assert_eq!((reply.status, reply.pointers()), (422, vec!["/data/organisation/number".into()]), "{number:?}");
    }
    assert_eq!(harness.entries("approval.accepted").len(), before);
}
