//! What the page answers to others than its own visitor: other sites, programs, and names that would like to be HTML.

use http::Method;
use tallyd::domain::ids::Environment;

use super::delivered;
use crate::agreements::{agency, approval_under, sign};
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::people::Reply;

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

fn page(harness: &Harness, method: Method, target: &str, fields: &[(&'static str, &str)]) -> Reply {
    let all: Vec<_> = [BROWSER].into_iter().chain(fields.iter().copied()).collect();
    harness.recipient(Environment::Test).request(method, target, &all, None)
}

#[test]
fn looking_consumes_nothing_and_every_page_is_guarded() {
    let harness = Harness::start();
    let part_one = delivered(&harness, "en");
    harness.until_quiet();
    let before = harness.journal_size();
    let delivery = format!("/v1/deliveries/{}", part_one.reference);
    for (target, status) in [
        ("/", 200),
        ("/?lang=sv", 200),
        ("/v1/deliveries", 200),
        (delivery.as_str(), 200),
        ("/v1/deliveries/K7QF2M9D", 404),
        ("/v1/deliveries/none", 404),
        ("/assets/page.js", 200),
        ("/assets/page.css", 200),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let reply = page(&harness, method, target, &[]);
            assert_eq!(reply.status, status, "{target}");
            for (name, part) in [
                (
                    "content-security-policy",
                    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';",
                ),
                ("content-security-policy", "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"),
                ("cache-control", "no-store"),
                ("referrer-policy", "no-referrer"),
                ("x-content-type-options", "nosniff"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert!(reply.header(name).contains(part), "{target}: {name}: {}", reply.header(name));
            }
            let inline = ["<style", " style=", " onclick=", " onload=", "javascript:", "http://"];
            let found = inline.iter().find(|inline| reply.text().contains(*inline) && !target.starts_with("/assets"));
            assert_eq!(found, None, "{target}");
        }
    }
    assert_eq!(harness.journal_size(), before);
}

#[test]
fn programs_get_json_where_browsers_get_the_page() {
    let harness = Harness::start();
    let part_one = delivered(&harness, "en");
    let delivery = format!("/v1/deliveries/{}", part_one.reference);
    let recipient = harness.recipient(Environment::Test);
    for accept in ["*/*", "application/json", "application/json, text/html"] {
        for target in ["/v1/deliveries", &delivery] {
            let reply = recipient.request(Method::GET, target, &[("accept", accept)], None);
            assert_eq!(reply.header("content-type"), "application/json", "{target} {accept}");
        }
    }
    for target in ["/", "/v1/deliveries", &delivery] {
        let reply = page(&harness, Method::GET, target, &[]);
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{target}");
    }
}

#[test]
fn another_site_can_neither_fetch_nor_confirm() {
    let harness = Harness::start();
    let part_one = delivered(&harness, "en");
    harness.until_quiet();
    let before = harness.journal_size();
    let recipient = harness.recipient(Environment::Test);
    for action in ["collect", "confirm"] {
        let target = format!("/v1/deliveries/{}/{action}", part_one.reference);
        for fields in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "https://other.exempel.se")],
            &[("origin", "null")],
            &[("sec-fetch-site", "cross-site"), BROWSER],
            &[("origin", "null"), BROWSER],
            &[BROWSER],
        ] {
            let reply = recipient.request(Method::POST, &target, fields, None);
            assert_eq!(reply.status, 403, "{action} {fields:?}: {reply:?}");
            assert!(!reply.text().contains("tally1."), "{action} {fields:?}");
        }
    }
    assert_eq!(harness.journal_size(), before);
}

#[test]
fn a_name_on_the_page_is_text_whatever_it_says() {
    let harness = Harness::start();
    let hostile = "<img src=x onerror=alert(1)> & \"'</bdi><script>";
    let approval = Approval::new().with("/software", hostile).with("/organisation/name", hostile);
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    for target in ["/".to_owned(), format!("/v1/deliveries/{}", part_one.reference)] {
        let text = page(&harness, Method::GET, &target, &[]).text();
        assert!(!text.contains("<img") && !text.contains("<script>"), "{text}");
        assert!(text.contains("onerror=alert(1)"), "it is shown as it was approved");
    }
}

#[test]
fn a_refusal_is_a_page_in_the_visitors_language_with_its_reason() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.issue(&approval);
    let reference = harness.part_one(approval.technical(), 0).reference;
    let own = ("sec-fetch-site", "same-origin");
    for (method, target, status, says) in [
        (Method::GET, "/v1/deliveries/K7QF2M9D?lang=sv".to_owned(), 404, "Här finns inget för er"),
        (Method::GET, "/v1/deliveries/K7QF2M9D?lang=en".to_owned(), 404, "There is nothing here for you"),
        (Method::POST, format!("/v1/deliveries/{reference}/collect?lang=sv"), 410, "redan bekräftad"),
        (Method::POST, format!("/v1/deliveries/{reference}/collect?lang=en"), 410, "was confirmed"),
        (Method::GET, format!("/v1/deliveries/{reference}?lang=en"), 200, "The credential is active since"),
    ] {
        let reply = page(&harness, method, &target, &[own]);
        assert_eq!(
            (reply.status, reply.header("content-type").as_str()),
            (status, "text/html; charset=utf-8"),
            "{target}"
        );
        assert!(reply.text().contains(says), "{target}: {}", reply.text());
    }
}

#[test]
fn the_page_says_until_when_the_agreement_runs() {
    let harness = agency();
    let approval = approval_under("agreement-1");
    harness.approve(&approval);
    sign(&harness, "agreement-1", Some("2030-05-31T22:00:00.000Z".parse().unwrap()));
    let part_one = harness.part_one(approval.technical(), 0);
    let target = format!("/v1/deliveries/{}?lang=en", part_one.reference);
    let text = harness.recipient(Environment::Production).request(Method::GET, &target, &[BROWSER], None).text();
    assert!(text.contains("<dt>Agreement runs until</dt><dd>2030-05-31 22:00 UTC</dd>"), "{text}");
}
