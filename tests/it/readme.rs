//! The commands and snippets of the README that are marked as tested, exactly as it prints them.

use tallyd::domain::programs::{NODE, POWERSHELL, PYTHON};

use crate::harness::Harness;

const README: &str = include_str!("../../README.md");

/// The block below `<!-- tested: NAME -->`.
pub(crate) fn tested(name: &str) -> String {
    block_below(&format!("tested: {name}"))
}

fn block_below(name: &str) -> String {
    let marker = format!("<!-- {name} -->\n```");
    let (_, after) = README.split_once(&marker).unwrap_or_else(|| panic!("README.md marks no block as {name}"));
    let (_, block) = after.split_once('\n').unwrap();
    let (block, _) = block.split_once("\n```").unwrap();
    block.to_owned()
}

#[test]
fn the_readme_prints_the_programs_that_the_page_and_the_mail_print() {
    assert_eq!(tested("combine"), PYTHON);
    assert_eq!(tested("combine-node"), NODE);
    let powershell = block_below("shown: powershell");
    let (first, program) = powershell.split_once('\n').unwrap();
    assert_eq!((first, program), ("$delivery = 'PICKUP/v1/deliveries/REFERENCE'", POWERSHELL));
}

#[test]
fn the_event_of_the_readme_is_accepted() {
    let harness = Harness::start();
    let (_, after) = README.split_once("```json\n").unwrap();
    let event: serde_json::Value = serde_json::from_str(after.split_once("\n```").unwrap().0).unwrap();
    let reply = harness.sender().post_event(&event);
    assert_eq!(reply.status, 202, "{reply:?}");
    harness.part_one(event["data"]["contacts"][0]["email"].as_str().unwrap(), 0);
}
