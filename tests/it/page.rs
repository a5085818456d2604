//! The page at the pickup door, in a real browser and in what it answers to others.

mod commands;
mod guarded;
mod pasted;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::browser::{Browser, Habits};
use crate::harness::mailbox::PartOne;
use crate::harness::nginx::Nginx;

/// A delivery of two pairs, mailed in one language.
fn delivered(harness: &Harness, language: &str) -> PartOne {
    let approval =
        Approval::new().with("/apis", ["population-register"].as_slice()).with("/contacts/0/language", language);
    harness.approve(&approval);
    harness.part_one(approval.technical(), 0)
}

fn shown(reference: &str) -> String {
    format!("{}-{}", &reference[..4], &reference[4..])
}

/// Label → client_id and client_secret, as the page shows them.
fn keys(harness: &Harness, browser: &Browser) -> BTreeMap<String, [String; 2]> {
    let read = "[...document.querySelectorAll('#pairs fieldset')].map(pair => [pair.querySelector('legend').textContent, \
                [...pair.querySelectorAll('input')].map(field => field.value)])";
    let keys: BTreeMap<String, [String; 2]> =
        serde_json::from_value::<Vec<_>>(browser.value(read)).unwrap().into_iter().collect();
    keys.values().for_each(|[_, secret]| harness.remember_secret(secret));
    keys
}

fn leaving_warns(browser: &Browser) -> bool {
    let leave = "(() => { const leaving = new Event('beforeunload', { cancelable: true }); window.dispatchEvent(leaving); \
                 return leaving.defaultPrevented })()";
    browser.value(leave) == Value::Bool(true)
}

/// From the list of deliveries to keys that nginx lets in; gives every request that left the browser.
fn whole_way(harness: &Harness, language: &'static str, words: [&str; 5]) -> (Vec<Value>, Vec<String>) {
    let [list, fetch, fetched, together, active] = words;
    let nginx = Nginx::start(harness);
    let part_one = delivered(harness, language);
    let languages = if language == "sv" { "sv-SE,sv" } else { "en-GB,en" };
    let browser = Browser::with(harness, Habits { languages, scripts: true });
    browser.go("/");
    assert_eq!(browser.text("h1"), list);
    browser.picture(&format!("{language}-1-list"));
    browser.follow(&shown(&part_one.reference));
    assert!(browser.text("h1").contains(&shown(&part_one.reference)));
    let facts = browser.text(".facts");
    for fact in ["Handläggaren", "Exempel AB", "population-register", "app-"] {
        assert!(facts.contains(fact), "{fact}: {facts}");
    }
    browser.picture(&format!("{language}-2-delivery"));
    assert_eq!(harness.entries("share.collected").len(), 0, "opening a page fetches nothing");

    assert_eq!(browser.text("#collect button"), fetch);
    for button in [fetch, &browser.text("#confirm")] {
        let quoted = |[open, close]: [char; 2]| part_one.text.contains(&format!("{open}{button}{close}"));
        assert!(quoted(['"', '"']) || quoted(['”', '”']), "the mail names the button {button}: {}", part_one.text);
    }
    browser.click("#collect button");
    browser.until_says("#collected", fetched);
    assert!(!leaving_warns(&browser));
    // As a mail program quotes it in a reply.
    let quoted: String = part_one.text.lines().map(|line| format!("> {line}\n")).collect();
    browser.paste("#paste", &quoted);
    browser.until_says("#pasted", together);
    let keys = keys(harness, &browser);
    assert!(keys.keys().eq(["apigw", "oauth2"]), "{:?}", keys.keys());
    assert_eq!(browser.value("document.getElementById('paste').value"), "", "part 1 does not stay in the field");
    browser.picture(&format!("{language}-3-credential"));
    let gate = |[client_id, secret]: &[String; 2]| nginx.status("/population-register/", client_id, secret);
    assert!(keys.values().all(|pair| gate(pair) == 401), "dead until proven");
    assert!(leaving_warns(&browser), "an unconfirmed secret would be lost");
    browser.click("#pairs fieldset button");
    browser.until_says("#copied", "client_id");
    browser.click("#save-env");
    let env = browser.downloaded(harness, &format!("tallyd-{}.env", shown(&part_one.reference)));
    browser.click("#save-json");
    let json = browser.downloaded(harness, &format!("tallyd-{}.json", shown(&part_one.reference)));
    let json: Value = serde_json::from_str(&json).unwrap();
    for (label, [client_id, secret]) in &keys {
        let name = label.to_uppercase();
        assert!(env.contains(&format!("{name}_CLIENT_ID={client_id}\n{name}_CLIENT_SECRET={secret}\n")), "{label}");
        assert_eq!(json["keys"][label]["client_secret"], secret.as_str());
    }

    browser.click("#confirm");
    browser.until_says("#confirmed", active);
    browser.picture(&format!("{language}-4-confirmed"));
    assert!(keys.values().all(|pair| gate(pair) == 200));
    assert!(!leaving_warns(&browser));
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
    let requests = browser.requests();
    browser.go(&format!("/v1/deliveries/{}", part_one.reference));
    browser.picture(&format!("{language}-5-afterwards"));
    let kept = part_one.shares.into_values().map(|token| token.split('.').nth(4).unwrap().to_owned());
    (requests, kept.chain(keys.into_values().map(|[_, secret]| secret)).collect())
}

const ENGLISH: [&str; 5] = [
    "Deliveries to collect",
    "Fetch part 2",
    "Part 2 is fetched. It can be fetched",
    "Both parts fit together",
    "Confirmed: the credential is active",
];

#[test]
fn a_person_with_a_browser_gets_keys_that_nginx_lets_in_and_neither_part_1_nor_the_secret_leaves_the_page() {
    let harness = Harness::start();
    let (requests, kept) = whole_way(&harness, "en", ENGLISH);
    let own = format!("https://localhost:{}/", harness.ports.pickup_test);
    let urls: Vec<_> = requests.iter().filter_map(|sent| sent["request"]["url"].as_str()).collect();
    // The download that the page made itself, and the browser's own first page, come from no network.
    let local = |url: &str| {
        url.starts_with(&format!("blob:{own}")) || ["chrome:", "data:"].iter().any(|own| url.starts_with(own))
    };
    let stranger = urls.iter().find(|url| !url.starts_with(&own) && !local(url));
    assert_eq!(stranger, None, "{urls:?}");
    let sent = Value::from(requests).to_string();
    assert!(sent.contains("\\\"proofs\\\""), "the log holds the bodies: {sent}");
    for secret in kept {
        for piece in secret.as_bytes().chunks_exact(16) {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!sent.contains(piece), "something of part 1 or of the secret was sent");
        }
    }
}

#[test]
fn the_page_speaks_swedish_to_whoever_prefers_it_and_has_a_switch() {
    let harness = Harness::start();
    let words = [
        "Leveranser att hämta",
        "Hämta del 2",
        "Del 2 är hämtad. Den kan hämtas",
        "Delarna passar ihop",
        "Bekräftat: nycklarna gäller",
    ];
    whole_way(&harness, "sv", words);
    let browser = Browser::with(&harness, Habits { languages: "sv", scripts: true });
    browser.go("/");
    browser.follow("In English");
    assert_eq!(browser.text("h1"), "Deliveries to collect");
    assert_eq!(browser.value("document.documentElement.lang"), "en");
    browser.follow("På svenska");
    assert_eq!(browser.text("h1"), "Leveranser att hämta");
}

#[test]
fn whoever_fetched_before_is_shown_on_the_page() {
    let harness = Harness::start();
    let part_one = delivered(&harness, "en");
    let thief = harness.files.organisation(tallyd::domain::ids::Environment::Test, "Exempel AB", "165590000005");
    let thief = harness.recipient_with(tallyd::domain::ids::Environment::Test, &thief);
    let browser = Browser::open(&harness);
    browser.go(&format!("/v1/deliveries/{}", part_one.reference));
    assert_eq!(thief.collect(&part_one.reference).status, 200);
    browser.click("#collect button");
    browser.until_says("#collected", "from 127.0.0.1 with certificate");
    assert!(browser.text("#collected").contains("Was that you?"));
    browser.go(&format!("/v1/deliveries/{}", part_one.reference));
    let told = browser.text(".notice");
    assert!(told.contains("with certificate ") && told.contains("with the certificate that you use now"), "{told}");
    assert!(told.contains("Was that you?"), "{told}");
    browser.picture("en-6-fetched-before");
}

#[test]
fn axe_core_finds_no_barrier_on_any_step_in_any_scheme() {
    let harness = Harness::start();
    let part_one = delivered(&harness, "sv");
    let delivery = format!("/v1/deliveries/{}", part_one.reference);
    let browser = Browser::open(&harness);
    let check = |step: &str| {
        for scheme in ["light", "dark"] {
            assert_eq!(browser.barriers(scheme), [""; 0], "{step}, {scheme}");
        }
    };
    browser.go("/?lang=sv");
    check("list");
    browser.go("/v1/deliveries/K7QF2M9D");
    check("problem");
    browser.go(&format!("{delivery}?lang=sv"));
    check("delivery");
    browser.paste("#paste", "Hej");
    browser.until_says("#pasted", "Det finns ingen del");
    check("mistake");
    browser.click("#collect button");
    browser.until_says("#collected", "Del 2 är hämtad");
    browser.paste("#paste", &part_one.text);
    browser.until_says("#pasted", "Delarna passar ihop");
    keys(&harness, &browser);
    check("credential");
    browser.click("#confirm");
    browser.until_says("#confirmed", "Bekräftat");
    check("receipt");
    browser.go(&format!("{delivery}?lang=en"));
    check("afterwards");
    let control =
        "document.querySelector('h1').insertAdjacentElement('afterend', document.createElement('textarea')) !== null";
    assert_eq!(browser.value(control), true);
    assert!(!browser.barriers("light").is_empty(), "control: a field without a label is found");
}

#[test]
fn the_whole_way_goes_by_the_keyboard_alone() {
    let harness = Harness::start();
    let part_one = delivered(&harness, "en");
    let browser = Browser::open(&harness);
    browser.go("/");
    browser.press_by_keyboard(".cards a");
    browser.until_says("h1", &shown(&part_one.reference));
    browser.press_by_keyboard("#collect button");
    browser.until_says("#collected", "Part 2 is fetched");
    // The focus went to where part 1 belongs.
    browser.type_in(&part_one.text);
    browser.until_says("#pasted", "Both parts fit together");
    let keys = keys(&harness, &browser);
    browser.press_by_keyboard("#confirm");
    browser.until_says("#confirmed", "Confirmed");
    assert!(keys.values().all(|[client_id, secret]| harness.gateway().verify(client_id, secret) == 204));
}
