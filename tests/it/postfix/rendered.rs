//! Mails as Postfix delivered them, rendered in a real browser: what they say, what they look like, and that reading them
//! does nothing.

use http::Method;
use tallyd::domain::ids::Environment;

use super::agency;
use crate::harness::approval::Approval;
use crate::harness::browser::Browser;
use crate::harness::mailbox::{PartOne, html_of, subject_of, text_of, tokens};
use crate::harness::{Harness, Settings};

/// The plain text as a program with a fixed width shows it.
fn as_plain(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>Text</title><main><h1>Text</h1><pre style=\"width: 78ch; font: 14px/1.4 monospace\">{text}</pre></main>"
    )
}

/// What stands between `href="` and the quote after it.
fn links(html: &str) -> Vec<&str> {
    html.split("href=\"").skip(1).map(|after| after.split('"').next().unwrap()).collect()
}

/// Whoever opens every link of a mail changes nothing: neither without a certificate nor with the right one.
fn no_link_does_anything(harness: &Harness, html: &str) {
    let own = format!("https://localhost:{}", harness.ports.pickup_test);
    harness.until_quiet();
    let before = harness.journal_size();
    for link in links(html) {
        let target = link.strip_prefix(&own).unwrap_or_else(|| panic!("{link} leads elsewhere"));
        assert!(!target.contains(['?', '#']), "nothing in {link} says who opened it");
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST] {
            let fields = [("accept", "text/html,*/*")];
            harness.recipient(Environment::Test).request(method, target, &fields, None);
        }
    }
    assert_eq!(harness.journal_size(), before);
}

/// Shows one mail, and finds nothing wrong with it.
fn look_at(harness: &Harness, browser: &Browser, name: &str, raw: &[u8]) {
    let html = html_of(raw);
    browser.requests();
    browser.show(name, &html);
    browser.picture(&format!("mail-{name}"));
    for scheme in ["light", "dark"] {
        // What a page has and a mail has not.
        let of_pages = |barrier: &String| {
            barrier.starts_with("landmark-one-main")
                || barrier.starts_with("region")
                || barrier.starts_with("page-has-heading-one")
        };
        let found: Vec<_> = browser.barriers(scheme).into_iter().filter(|barrier| !of_pages(barrier)).collect();
        assert_eq!(found, [""; 0], "{name}, {scheme}");
    }
    let requests = browser.requests();
    let for_mail = requests.iter().filter(|sent| sent["documentURL"].as_str().unwrap().starts_with("file://"));
    let fetched = for_mail.filter_map(|sent| sent["request"]["url"].as_str());
    let elsewhere: Vec<_> = fetched.filter(|url| !url.starts_with("file://")).collect();
    assert_eq!(elsewhere, [""; 0], "{name} fetches something when it is read");
    no_link_does_anything(harness, &html);
}

/// From the approval to the end of the keys: every mail that a contact gets on the way, in one language.
fn every_mail_of_one_client(language: &str, subjects: [&str; 5]) {
    let approval = Approval::new()
        .with("/apis", ["population-register"].as_slice())
        .with("/contacts/0/language", language)
        .with("/contacts/1/language", language)
        .with("/software", "Ärendehanteraren & Co");
    let in_english = |settings: &mut Settings| settings.agency = "language = \"en\"".to_owned();
    let (harness, postfix) = agency(true, &[approval.technical(), approval.administrative()], in_english);
    harness.approve(&approval);
    let raw = harness.until("the mail with part 1", || postfix.mails(approval.technical()).pop());
    let part_one = PartOne::read(&raw).unwrap();
    harness.remember(&part_one);
    let reference = format!("{}-{}", &part_one.reference[..4], &part_one.reference[4..]);
    for named in ["Ärendehanteraren & Co", "test", &reference, subjects[0]] {
        assert!(part_one.subject.contains(named), "{named}: {}", part_one.subject);
    }
    let browser = Browser::open(&harness);
    look_at(&harness, &browser, &format!("{language}-1-part-1"), &raw);
    browser.show(&format!("{language}-1-text"), &as_plain(&part_one.text));
    browser.picture(&format!("mail-{language}-1-text"));

    let (keys, receipt) = harness.pick_up(&harness.recipient(Environment::Test), &part_one);
    assert_eq!((receipt.status, keys.pairs.len()), (200, 2));
    harness.run(&["revoke", approval.application(), "--reason", "Left the programme"]).expect_exit(0);
    for (contact, number) in [(approval.administrative(), 4), (approval.technical(), 3)] {
        let notices = harness.until("every notice", || {
            let mut mails = postfix.mails(contact);
            mails.retain(|raw| PartOne::read(raw).is_none());
            (mails.len() == number).then_some(mails)
        });
        for (number, what) in subjects.iter().enumerate().skip(5 - number) {
            let told = notices.iter().find(|raw| subject_of(raw).contains(what));
            let told = told.unwrap_or_else(|| panic!("{contact} is not told: {what}"));
            assert!(subject_of(told).contains(&reference));
            assert!(tokens(&text_of(told)).is_empty() && tokens(&html_of(told)).is_empty());
            assert!(text_of(told).contains("Exempelmyndigheten: api@myndigheten.example"), "{}", text_of(told));
            if contact == approval.administrative() {
                look_at(&harness, &browser, &format!("{language}-{}-notice", number + 1), told);
            }
        }
    }
}

#[test]
fn every_english_mail_reads_well_in_a_browser_and_nothing_happens_when_it_is_read() {
    let subjects = [
        "part 1 of 2",
        "part 1 has been sent",
        "part 2 has been collected",
        "the keys are active",
        "the keys are no longer valid",
    ];
    every_mail_of_one_client("en", subjects);
}

#[test]
fn every_swedish_mail_reads_well_in_a_browser_and_nothing_happens_when_it_is_read() {
    let subjects =
        ["del 1 av 2", "del 1 är skickad", "del 2 är hämtad", "nycklarna gäller", "nycklarna gäller inte längre"];
    every_mail_of_one_client("sv", subjects);
}
