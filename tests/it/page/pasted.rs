//! What people paste by mistake, and what mail programs make of a mail, in the page's field.

use super::{delivered, shown};
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::browser::Browser;

#[test]
fn every_mistake_of_a_paste_is_explained_apart_and_before_part_2_is_fetched() {
    let harness = Harness::start();
    let part_one = delivered(&harness, "en");
    let other = delivered(&harness, "en");
    let [apigw, oauth2] = ["apigw", "oauth2"].map(|label| part_one.shares[label].clone());
    let changed = format!("{}{}", &oauth2[..40], &oauth2[40..].replacen(|c: char| c.is_ascii_lowercase(), "Q", 1));
    let pickup = oauth2.replace(".mail.", ".pickup.");
    let body = pickup.rsplit_once('.').unwrap().0;
    let pickup = format!("{body}.{:08x}", crc32fast::hash(body.as_bytes()));
    let browser = Browser::open(&harness);
    browser.go(&format!("/v1/deliveries/{}", part_one.reference));
    for (pasted, says) in [
        ("Hello!".to_owned(), "There is no part in what was pasted"),
        ("<img src=x onerror=alert(1)>\u{202e}".to_owned(), "There is no part in what was pasted"),
        (oauth2[..oauth2.len() - 20].to_owned(), "it is cut off"),
        (changed.clone(), "its checksum does not fit"),
        (pickup, "What was pasted is part 2"),
        (oauth2.clone(), "Part 1 of the pair apigw is missing"),
        (format!("{oauth2}\n{}", &apigw[..apigw.len() - 20]), "Part 1 of the pair apigw is not whole: it is cut off"),
        (format!("{apigw}\n{changed}"), "Part 1 of the pair oauth2 is not whole: its checksum"),
        ("x".repeat(1024 * 1024 + 1), "too much to be an e-mail"),
        (other.text.clone(), "which awaits you as well"),
        (format!("{}\n{}", other.text, part_one.text), "Part 1 is whole"),
    ] {
        browser.paste("#paste", &pasted);
        let said = browser.until_says("#pasted", says);
        assert!(!said.contains("tally1.K") && !said.contains(&oauth2[25..45]), "a part is told back: {said}");
        if says.contains("awaits you") {
            assert!(said.contains(&shown(&other.reference)) && said.contains(&shown(&part_one.reference)), "{said}");
            browser.picture("en-7-other-delivery");
        }
    }
    assert_eq!(harness.entries("share.collected").len(), 0);
}

#[test]
fn a_part_is_healed_however_the_mail_was_mangled() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let token = &part_one.shares["oauth2"];
    let (head, tail) = token.split_at(60);
    let browser = Browser::open(&harness);
    browser.go(&format!("/v1/deliveries/{}", part_one.reference));
    for pasted in [
        format!("Part 1:\n{token}\n\nPair: apigw"),
        format!("{head}=\r\n{tail}"),
        format!("> Part 1:\n> {head}\n> {tail}\n> \n> more"),
        format!("{head} {tail}"),
        format!("{head}\u{a0}\u{200b}{tail}"),
        format!("{head}\u{202e}\u{2066}{tail}\u{2069}\u{200f}"),
        format!("{head}=20\r\n=3E {tail}"),
        format!("{head}=C2=A0=\r\n{tail}"),
        format!("{head}<wbr>{tail}<BR />"),
        format!("&gt; {head}&nbsp;<br>\n&gt; {tail}"),
        token.replace('.', "=2e"),
        format!("*{token}*"),
        format!("{token}abcdef.and.so.on"),
        token.replace('.', "=2E").replace('-', "=2D").replace('_', "=5F"),
        format!("{token}\n<pre>{token}</pre>\n{token}"),
    ] {
        browser.paste("#paste", "nothing");
        browser.until_says("#pasted", "There is no part");
        browser.paste("#paste", &pasted);
        browser.until_says("#pasted", "Part 1 is whole");
    }
}

#[test]
fn the_mail_of_a_superseded_delivery_is_told_by_which_it_was_replaced() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let old = harness.part_one(approval.technical(), 0);
    harness.run(&["reissue", approval.application(), "--reason", "Lost"]).expect_exit(0);
    let new = harness.part_one(approval.technical(), 1);
    let browser = Browser::open(&harness);
    let replaced = format!("was replaced by {} on ", shown(&new.reference));

    browser.go(&format!("/v1/deliveries/{}", new.reference));
    browser.paste("#paste", &old.text);
    let said = browser.until_says("#pasted", &replaced);
    assert!(said.contains(&format!("This e-mail belongs to delivery {}", shown(&old.reference))), "{said}");
    assert!(said.contains(&format!("Use the e-mail with {}", shown(&new.reference))), "{said}");
    browser.picture("en-8-superseded-paste");
    let requests = browser.requests();
    let urls = requests.iter().filter_map(|sent| sent["request"]["url"].as_str());
    assert_eq!(urls.filter(|url| url.ends_with(&old.reference)).count(), 1, "each other delivery is asked about once");

    browser.go(&format!("/v1/deliveries/{}", old.reference));
    assert!(browser.text(".notice").contains(&replaced), "{}", browser.text(".notice"));
    browser.picture("en-9-superseded");
    browser.follow(&format!("open delivery {}", shown(&new.reference)));
    assert_eq!(browser.text("#collect button"), "Fetch part 2");
    assert_eq!(harness.entries("share.collected").len(), 0);
}
