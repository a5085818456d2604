//! Contacts over their whole life: they are added, their addresses change and are erased, and part 1 goes where it
//! should and nowhere else. What the commands say is in `cli`.

use serde_json::{Value, json};
use tallyd::domain::ids::Environment;

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::mailbox::{PartOne, text_of};
use crate::harness::operator::finish;
use crate::harness::search::{Remembered, search};
use crate::readme::tested;
use crate::sink::Behaviour;

/// Where addresses stand in the state directory, write-ahead log and all, and in the daemon's log.
pub(crate) fn stand_somewhere(harness: &Harness, addresses: &[&str]) -> Vec<String> {
    let mut remembered = Remembered::default();
    addresses.iter().for_each(|address| remembered.add(address.as_bytes(), address));
    let log = harness.path().join("log");
    assert!(log.is_file());
    let mut found = search(&harness.path().join("state"), &[], &remembered);
    found.extend(addresses.iter().filter(|it| harness.log().contains(**it)).map(|it| format!("the log: {it}")));
    found
}

pub(crate) fn stand_nowhere(harness: &Harness, addresses: &[&str]) {
    harness.until("purge of the addresses", || stand_somewhere(harness, addresses).is_empty().then_some(()));
}

/// The contacts as `contacts list` has them: role, state and address, the last empty where it is erased.
fn contacts(harness: &Harness, client: &str) -> Vec<(String, String, String)> {
    let listed = harness.run(&["contacts", "list", client, "--json"]).expect_exit(0).out;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let text = |contact: &Value, member: &str| contact[member].as_str().unwrap_or_default().to_owned();
    let contacts = listed["contacts"].as_array().unwrap().iter();
    contacts.map(|it| (text(it, "role"), text(it, "state"), text(it, "email"))).collect()
}

fn is(role: &str, state: &str, email: &str) -> (String, String, String) {
    (role.to_owned(), state.to_owned(), email.to_owned())
}

/// How many mails with part 1 the relay took for a mailbox.
fn parts(harness: &Harness, mailbox: &str) -> usize {
    let mails = harness.sink().mails();
    mails.iter().filter(|mail| mail.to == [mailbox] && PartOne::read(&mail.raw).is_some()).count()
}

/// Waits for a notice to a mailbox that says this.
fn told(harness: &Harness, mailbox: &str, words: &str) {
    harness.until("notice", || {
        harness.notices(mailbox).iter().any(|mail| text_of(&mail.raw).contains(words)).then_some(())
    });
}

const CHANGED: &str = "contacts for these API keys have been changed";
const CHANGED_SV: &str = "Kontakterna för de här API-nycklarna har ändrats";
const REPLACED: &str = "another has taken its place";

#[test]
fn a_re_issue_to_another_address_sends_new_keys_there_and_nothing_more_to_the_one_before() {
    let harness = Harness::start();
    let approval = Approval::new();
    let new = "right@exempel.se";
    harness.approve(&approval);
    let first = harness.part_one(approval.technical(), 0);
    let before = harness.recipient(Environment::Test).collect(&first.reference);
    assert_eq!(before.status, 200);

    let reissue = ["reissue", approval.application(), "--contact", new, "--reason", "Misspelled", "--case", "C-7"];
    harness.run(&reissue).expect_exit(0);
    let second = harness.part_one(new, 0);
    assert_ne!((&first.reference, &first.shares), (&second.reference, &second.shares), "never the old part again");
    let recipient = harness.recipient(Environment::Test);
    assert_eq!(recipient.collect(&first.reference).code(), "superseded");
    let (_, receipt) = harness.pick_up(&recipient, &second);
    assert_eq!(receipt.status, 200, "{receipt:?}");

    told(&harness, approval.technical(), REPLACED);
    told(&harness, new, CHANGED);
    told(&harness, approval.administrative(), CHANGED_SV);
    harness.until("erasure of the address before", || (harness.entries("contact.erased").len() == 1).then_some(()));
    let expected = [is("technical", "current", new), is("administrative", "current", approval.administrative())];
    assert_eq!(contacts(&harness, approval.application()), expected);
    assert_eq!((parts(&harness, approval.technical()), parts(&harness, new)), (1, 1));
    stand_nowhere(&harness, &[approval.technical()]);
    assert!(!stand_somewhere(&harness, &[new]).is_empty(), "the control: what is kept is found");

    let [replaced] = &harness.entries("contact.replaced")[..] else { panic!("one act") };
    let [ordered] = &harness.entries("reissue.ordered")[..] else { panic!("one act") };
    assert_eq!((&replaced["data"]["case"], &replaced["data"]["reason"]), (&json!("C-7"), &json!("Misspelled")));
    assert_eq!((&replaced["time"], &replaced["actor"]), (&ordered["time"], &ordered["actor"]), "one transaction");
    assert_eq!(replaced["actor"]["who"], "operator");
}

#[test]
fn the_technical_address_does_not_change_while_a_part_is_on_its_way_to_it() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let change = |to: &str| {
        harness.run(&["contacts", "change", approval.application(), "technical", "--email", to, "--reason", "Moved"])
    };
    harness.until("notice", || (harness.entries("notice.accepted").len() == 1).then_some(()));
    let before = harness.journal_size();
    let refused = change("moved@exempel.se").expect_exit(1);
    assert!(refused.err.contains("hint: tallyd reissue CLIENT --contact -"), "{}", refused.err);
    assert_eq!(harness.journal_size(), before);
    // The other contact's may change, and the language.
    let other = contacts_id(&harness, approval.application(), "administrative");
    let change_other = ["contacts", "change", approval.application(), &other, "--email", "boss@exempel.se"];
    harness.run(&[&change_other[..], &["--reason", "Moved"]].concat()).expect_exit(0);
    let language = ["contacts", "change", approval.application(), "technical", "--language", "sv", "--reason", "Asked"];
    harness.run(&language).expect_exit(0);

    let (_, receipt) = harness.pick_up(&harness.recipient(Environment::Test), &part_one);
    assert_eq!(receipt.status, 200, "{receipt:?}");
    change("moved@exempel.se").expect_exit(0);
    told(&harness, approval.technical(), "en annan har tagit dess plats");
    harness.run(&["reissue", approval.application(), "--reason", "Yearly"]).expect_exit(0);
    harness.part_one("moved@exempel.se", 0);
    assert_eq!(parts(&harness, approval.technical()), 1);
}

/// The id of the one contact with this role.
fn contacts_id(harness: &Harness, client: &str, role: &str) -> String {
    let listed = harness.run(&["contacts", "list", client, "--json"]).expect_exit(0).out;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let found = listed["contacts"].as_array().unwrap().iter().find(|contact| contact["role"] == role).unwrap().clone();
    found["contact_id"].as_str().unwrap().to_owned()
}

/// The relay is asked for the address before, and takes it only when that is another already.
#[test]
fn a_part_whose_address_changes_while_the_relay_is_asked_goes_to_the_new_one_only() {
    let harness = Harness::start();
    harness.sink().behave(Behaviour::LateRcpt);
    let approval = Approval::new();
    harness.approve(&approval);
    harness.until("question for the recipient", || {
        harness.sink().commands().iter().any(|command| command == "RCPT").then_some(())
    });
    let change = ["contacts", "change", approval.application(), "technical", "--email", "new@exempel.se"];
    harness.run(&[&change[..], &["--reason", "Moved"]].concat()).expect_exit(0);
    harness.sink().behave(Behaviour::Ok);
    let part_one = harness.part_one("new@exempel.se", 0);
    assert_eq!(parts(&harness, approval.technical()), 0);
    told(&harness, approval.technical(), REPLACED);
    let (_, receipt) = harness.pick_up(&harness.recipient(Environment::Test), &part_one);
    assert_eq!(receipt.status, 200, "{receipt:?}");
}

#[test]
fn a_forgotten_address_stands_nowhere_and_the_journal_still_verifies() {
    let mut harness = Harness::start();
    let approval = Approval::new();
    harness.issue(&approval);
    harness.until("notices", || (harness.entries("notice.accepted").len() == 5).then_some(()));
    let client = approval.application().to_owned();
    assert!(!stand_somewhere(&harness, &[approval.technical()]).is_empty(), "the control");
    let forget = ["contacts", "forget", &client, "technical", "--reason", "Asked for", "--case", "DSO-1"];
    harness.run(&forget).expect_exit(0);
    stand_nowhere(&harness, &[approval.technical()]);
    let expected = [is("technical", "erased", ""), is("administrative", "current", approval.administrative())];
    assert_eq!(contacts(&harness, &client), expected);
    let shown = harness.run(&["show", &client]).expect_exit(0).out;
    assert!(shown.contains("technical (en, erased), administrative (sv)"), "{shown}");
    told(&harness, approval.administrative(), CHANGED_SV);
    assert_eq!(harness.notices(approval.technical()).len(), 2, "nothing more is mailed to it");
    harness.run(&["audit", "verify"]).expect_exit(0);

    harness.stop();
    assert!(stand_somewhere(&harness, &[approval.technical()]).is_empty());
    harness.serve();
    let refused = harness.run(&["reissue", &client, "--reason", "Yearly"]).expect_exit(1);
    assert!(refused.err.contains("The technical contact was erased"), "{}", refused.err);
    let reissue = ["reissue", &client, "--contact", "-", "--reason", "Yearly"];
    harness.run_with_input(&reissue, "somebody@exempel.se\n").expect_exit(0);
    harness.part_one("somebody@exempel.se", 0);
    let [entry] = &harness.entries("contact.forgotten")[..] else { panic!("one erasure") };
    assert_eq!((&entry["data"]["case"], &entry["actor"]["who"]), (&json!("DSO-1"), &json!("operator")));
}

#[test]
fn an_order_whose_technical_contact_is_erased_is_parked_and_says_what_to_do() {
    let harness = Harness::start();
    harness.sink().behave(Behaviour::Banner421);
    let approval = Approval::new();
    harness.approve(&approval);
    let client = approval.application();
    let forget = ["contacts", "forget", client, "technical", "--reason", "Asked for"];
    let said = harness.run(&forget).expect_exit(0).err;
    assert!(said.contains("its order is parked") && said.contains("tallyd reissue"), "{said}");
    let shown = harness.run(&["show", client]).expect_exit(0);
    assert!(shown.out.contains("failed (contact-erased)") && shown.err.contains("--contact -"), "{shown:?}");
    harness.sink().behave(Behaviour::Ok);
    told(&harness, approval.administrative(), CHANGED_SV);
    assert_eq!(harness.sink().mails().iter().filter(|mail| mail.to == [approval.technical()]).count(), 0);
    let reissue = ["reissue", client, "--contact", "new@exempel.se", "--language", "sv", "--reason", "Corrected"];
    harness.run(&reissue).expect_exit(0);
    assert!(harness.part_one("new@exempel.se", 0).text.starts_with("Hej"));
}

#[test]
fn an_address_is_found_and_forgotten_wherever_it_stands() {
    let harness = Harness::start();
    let address = "shared-desk@exempel.se";
    let with_it = |place: &str| Approval::new().with(place, address);
    let technical = with_it("/contacts/0/email");
    let administrative = with_it("/contacts/1/email");
    let other = Approval::new();
    for approval in [&technical, &administrative, &other] {
        harness.issue(approval);
    }
    // A third client is just leaving the address behind, and the relay does not take that mail yet.
    harness.sink().behave(Behaviour::LateRcpt);
    let replaced = with_it("/contacts/1/email");
    harness.approve(&replaced);
    let id = contacts_id(&harness, replaced.application(), "administrative");
    let change = ["contacts", "change", replaced.application(), &id[..18], "--email", "boss@exempel.se"];
    harness.run(&[&change[..], &["--reason", "Moved"]].concat()).expect_exit(0);
    assert!(contacts(&harness, replaced.application()).contains(&is("administrative", "replaced", address)));

    let input = "Shared-Desk@Exempel.se\n";
    let look = harness.run_with_input(&["contacts", "forget", "--everywhere", "--dry-run", "--json"], input);
    let found: Value = serde_json::from_str(&look.expect_exit(0).out).unwrap();
    let applications = |found: &Value| -> Vec<String> {
        let places = found["places"].as_array().unwrap().iter();
        let mut all: Vec<_> = places.map(|it| it["application_id"].as_str().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    let mut expected = [&technical, &administrative, &replaced].map(|it| it.application().to_owned());
    expected.sort();
    assert_eq!((applications(&found), &found["erased"]), (expected.to_vec(), &json!(false)));
    assert!(harness.entries("contact.forgotten").is_empty());

    let forget = ["contacts", "forget", "--everywhere", "--reason", "Asked for", "--case", "DSO-2"];
    let erased = harness.run_with_input(&forget, input).expect_exit(0);
    assert!(erased.err.contains(&format!("{} has no technical contact now", technical.application())), "{erased:?}");
    assert!(!erased.err.contains(replaced.application()), "{erased:?}");
    assert_eq!(harness.entries("contact.forgotten").len(), 3);
    harness.sink().behave(Behaviour::Ok);
    stand_nowhere(&harness, &[address]);
    assert_eq!(contacts(&harness, other.application()).iter().filter(|(_, state, _)| state == "current").count(), 2);
    let again = harness.run_with_input(&forget, input).expect_exit(0);
    assert!(again.err.contains("stands nowhere"), "{again:?}");
    assert_eq!(harness.entries("contact.forgotten").len(), 3, "a second time nothing happens");
}

#[test]
fn where_a_re_issue_takes_two_one_to_another_address_does_not_go_round_that() {
    let user = rustix::process::getuid().as_raw();
    let rules = "four_eyes = [\"reissue\", \"reissue-compromised\"]";
    let harness = Harness::start_with(|settings| settings.operator = format!("users = [{user}, \"daemon\"]\n{rules}"));
    let approval = Approval::new();
    harness.issue(&approval);
    let reissue = ["reissue", approval.application(), "--contact", "mine@exempel.se", "--reason", "Asked"];
    for more in [&[][..], &["--compromised"]] {
        let waits = harness.run(&[&reissue[..], more].concat()).expect_exit(0);
        assert!(waits.err.contains("Nothing has been done yet"), "{}", waits.err);
    }
    assert!(harness.entries("reissue.ordered").is_empty() && harness.entries("contact.replaced").is_empty());
    assert!(contacts(&harness, approval.application()).iter().all(|(_, _, email)| email != "mine@exempel.se"));
}

/// The commands of the README, as printed, one after the other.
#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let harness = Harness::start();
    let approval = Approval::new().with("/application_id", "A-2026-1");
    harness.issue(&approval);
    let desk = harness.path().join("client");
    std::fs::write(desk.join("address.txt"), format!("{}\n", approval.administrative())).unwrap();
    let tallyd = format!("{} --config {} ", env!("CARGO_BIN_EXE_tallyd"), harness.configuration().display());
    let mut command = std::process::Command::new("bash");
    command.args(["-euc", &tested("contacts").replace("tallyd ", &tallyd)]).current_dir(&desk);
    let ran = finish(command).expect_exit(0);
    assert!(ran.out.contains(approval.technical()), "{}", ran.out);
    harness.part_one("right@exempel.se", 0);
    assert_eq!((parts(&harness, "keys@exempel.se"), harness.entries("contact.forgotten").len()), (0, 1));
    std::fs::remove_file(desk.join("address.txt")).unwrap();
    stand_nowhere(&harness, &[approval.administrative()]);
}

#[test]
fn the_rule_about_personal_mailboxes_holds_for_operators_too() {
    for (rule, exit) in [("refuse", 1), ("warn", 0), ("allow", 0)] {
        let harness = Harness::start_with(|settings| settings.policy = format!("personal_mailbox = \"{rule}\""));
        let approval = Approval::new();
        harness.issue(&approval);
        let client = approval.application();
        let email = "anna.svensson@exempel.se";
        let add = ["contacts", "add", client, "--email", email, "--language", "sv", "--reason", "Asked"];
        let change = ["contacts", "change", client, "technical", "--email", "bo.ek@exempel.se", "--reason", "Asked"];
        let reissue = ["reissue", client, "--contact", "eva.berg@exempel.se", "--reason", "Asked"];
        for command in [&add[..], &change[..], &reissue[..]] {
            let ran = harness.run(command).expect_exit(exit);
            assert_eq!(ran.err.contains("looks like a person's own address"), rule != "allow", "{}", ran.err);
            assert_eq!(ran.err.contains("warning: "), rule == "warn", "{}", ran.err);
        }
        let expected = if exit == 0 { (1, 2) } else { (0, 0) };
        assert_eq!((harness.entries("contact.added").len(), harness.entries("contact.replaced").len()), expected);
    }
}
