//! The page without scripts, and the commands that it prints.

use http::Method;
use serde_json::Value;
use tallyd::domain::ids::Environment;
use tallyd::domain::programs::POWERSHELL;

use super::{delivered, shown};
use crate::harness::Harness;
use crate::harness::browser::{Browser, Habits};
use crate::harness::desk::Desk;
use crate::harness::mailbox::tokens;

/// The commands of a page, as a browser would copy them.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("<pre tabindex=\"0\"><code>").skip(1);
    let plain = |block: &str| {
        let text = block.split_once("</code></pre>").unwrap().0;
        text.replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#38;", "&")
    };
    blocks.map(plain).collect()
}

#[test]
fn without_scripts_the_page_shows_part_2_and_the_commands() {
    let harness = Harness::start();
    let part_one = delivered(&harness, "en");
    let browser = Browser::with(&harness, Habits { languages: "en", scripts: false });
    browser.go(&format!("/v1/deliveries/{}", part_one.reference));
    assert_eq!(browser.text("#paste-help"), "", "nothing is offered that takes a script");
    browser.picture("en-10-no-script");
    browser.click("#collect button");
    browser.until_says(".parts", "tally1.");
    let fetched = tokens(&browser.text(".parts"));
    assert_eq!(fetched.len(), 2);
    assert!(fetched.iter().all(|token| token.contains(".pickup.")), "{fetched:?}");
    assert!(browser.text(".commands").contains("python3 -c"), "{}", browser.text(".commands"));
    assert_eq!(harness.entries("share.collected").len(), 1);
    browser.picture("en-11-no-script-fetched");
}

/// Runs what the page prints: fetch, combine with `program`, confirm.
fn by_the_page(language: &str, program: &str, placeholder: &str) {
    let harness = Harness::start();
    let part_one = delivered(&harness, language);
    let target = format!("/v1/deliveries/{}?lang={language}", part_one.reference);
    let page = harness.recipient(Environment::Test).request(Method::GET, &target, &[("accept", "text/html")], None);
    let commands = commands(&page.text());
    let [ours, collect, python, node, confirm, powershell] = &commands[..] else { panic!("{commands:?}") };
    assert!(ours.ends_with(&format!(" {}", shown(&part_one.reference))), "{ours}");
    let delivery = format!("https://localhost:{}/v1/deliveries/{}", harness.ports.pickup_test, part_one.reference);
    assert_eq!(*powershell, format!("$delivery = '{delivery}'\n{POWERSHELL}"));
    let combine = [python, node].into_iter().find(|command| command.starts_with(program)).unwrap();
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    let collected: Value = serde_json::from_str(&desk.shell(collect, &[], "").expect_exit(0).out).unwrap();
    let mut confirm = confirm.clone();
    let mut secrets = Vec::new();
    for (label, part) in &part_one.shares {
        let shares = collected["shares"].as_array().unwrap();
        let share = shares.iter().find(|share| share["label"] == label.as_str()).unwrap();
        let pasted = format!("{part}\n{}\n", share["share"].as_str().unwrap());
        let printed = desk.shell(combine, &[], &pasted).expect_exit(0).out;
        let [secret, proof] = printed.lines().collect::<Vec<_>>()[..] else { panic!("{printed}") };
        harness.remember_secret(secret);
        let slot = format!("\"{label}\":\"{placeholder}\"");
        assert!(confirm.contains(&slot), "{confirm}");
        confirm = confirm.replace(&slot, &format!("\"{label}\":\"{proof}\""));
        secrets.push((label, secret.to_owned()));
    }
    let receipt: Value = serde_json::from_str(&desk.shell(&confirm, &[], "").expect_exit(0).out).unwrap();
    for (label, secret) in secrets {
        assert_eq!(harness.gateway().verify(receipt["keys"][label].as_str().unwrap(), &secret), 204);
    }
}

#[test]
fn the_commands_of_the_page_work_as_printed_with_python() {
    by_the_page("en", "python3", "PROOF");
}

#[test]
fn the_commands_of_the_page_work_as_printed_with_node() {
    by_the_page("sv", "node", "BEVIS");
}
