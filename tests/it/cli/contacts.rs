//! Transcripts of `tallyd contacts` and of `tallyd reissue --contact`.

use super::{awaiting_pickup, told, transcript};
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::operator::run;

/// A client whose keys work, with a technical contact and another one.
fn issued() -> Harness {
    let harness = Harness::start();
    let contacts = serde_json::json!([
        { "email": "api@exempel.se", "language": "sv", "role": "technical" },
        { "email": "it@exempel.se", "language": "en", "role": "administrative" },
    ]);
    let approval = Approval::new().with("/application_id", "A-2026-1").with("/contacts", contacts);
    harness.issue(&approval);
    harness
}

#[test]
fn contacts_are_listed_added_changed_and_forgotten() {
    let harness = issued();
    insta::assert_snapshot!(told(&harness, &["contacts", "list", "A-2026-1"]), @r"
     CONTACT                               ROLE            LANGUAGE  STATE    ADDRESS
     UUID  technical       sv        current  api@exempel.se
     UUID  administrative  en        current  it@exempel.se
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &["contacts", "list", "A-2026-1", "--json"]), @r#"
    {"application_id":"A-2026-1","contacts":[{"contact_id":"UUID","email":"api@exempel.se","language":"sv","role":"technical","state":"current"},{"contact_id":"UUID","email":"it@exempel.se","language":"en","role":"administrative","state":"current"}]}
    exit 0
    "#);
    let add = ["contacts", "add", "A-2026-1", "--email", "jour@exempel.se", "--language", "sv", "--reason", "Asked"];
    insta::assert_snapshot!(told(&harness, &add), @r"
    UUID
    ! The contact was added. All contacts of the client are told.
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &add), @r"
    ! cannot add a contact to A-2026-1: A contact of the client has this address already.
    ! hint: tallyd contacts list shows the contacts as they are
    exit 1
    ");
    let change = |more: &[&str]| {
        told(&harness, &[&["contacts", "change", "A-2026-1", "technical", "--reason", "Moved"], more].concat())
    };
    insta::assert_snapshot!(change(&["--email", "keys@exempel.se"]), @r"
    UUID
    ! The new address has an id of its own. All contacts are told. So is the address before, unless it was erased, and then it is.
    ! Part 1 of new keys goes to the new address. None are ordered by this: tallyd reissue does that.
    exit 0
    ");
    insta::assert_snapshot!(change(&["--email", "keys@exempel.se"]), @r"
    ! cannot change a contact of A-2026-1: The contact has that address and language already.
    ! hint: tallyd contacts list shows the contacts as they are
    exit 1
    ");
    insta::assert_snapshot!(change(&["--email", "it@exempel.se"]), @r"
    ! cannot change a contact of A-2026-1: A contact of the client has this address already.
    ! hint: tallyd contacts list shows the contacts as they are
    exit 1
    ");
    insta::assert_snapshot!(change(&["--language", "en", "--json"]), @r#"
    {"application_id":"A-2026-1","contact_id":"UUID","order_parked":false,"role":"technical","technical_missing":false}
    exit 0
    "#);
    insta::assert_snapshot!(change(&[]), @r"
    ! error: the following required arguments were not provided:
    !   <--email <ADDRESS>|--language <sv|en>>
    !
    ! Usage: tallyd contacts change --reason <REASON> --config <FILE> <--email <ADDRESS>|--language <sv|en>> <CLIENT> <CONTACT>
    !
    ! For more information, try '--help'.
    exit 2
    ");
    harness.until("last word", || (harness.entries("contact.erased").len() == 1).then_some(()));
    let forget = ["contacts", "forget", "A-2026-1", "technical", "--reason", "Asked"];
    insta::assert_snapshot!(told(&harness, &forget), @r"
    ! The address is erased; from the database's files it is gone within half a minute.
    ! A-2026-1 has no technical contact now. Name one: tallyd contacts change A-2026-1 technical --email -, or with new keys: tallyd reissue A-2026-1 --contact -
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &forget), @r"
    ! cannot erase a contact of A-2026-1: The contact's address is erased already.
    exit 1
    ");
    insta::assert_snapshot!(told(&harness, &["contacts", "list", "A-2026-1"]), @r"
     CONTACT                               ROLE            LANGUAGE  STATE    ADDRESS
     UUID  technical       en        erased
     UUID  administrative  en        current  it@exempel.se
     UUID  administrative  sv        current  jour@exempel.se
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &["reissue", "A-2026-1", "--reason", "Yearly"]), @r"
    ! cannot re-issue A-2026-1: The technical contact was erased, so there is nobody to send part 1 to. An operator must name another one.
    ! hint: tallyd reissue CLIENT --contact - names another one and orders new keys
    exit 1
    ");
    let reissue = ["reissue", "A-2026-1", "--reason", "Yearly", "--contact", "-"];
    let ran = harness.run_with_input(&reissue, "new@exempel.se\n");
    insta::assert_snapshot!(transcript(harness.path(), &ran), @r"
    UUID
    ! The old credential verifies until the recipient has confirmed the new one, and for 7d after that.
    ! Part 1 goes to the new address. All contacts are told. So is the address before, unless it was erased, and then it is.
    exit 0
    ");
}

#[test]
fn an_address_is_forgotten_everywhere_from_standard_input_only() {
    let harness = issued();
    let everywhere = |more: &[&str], input: &str| {
        let ran = harness.run_with_input(&[&["contacts", "forget", "--everywhere"], more].concat(), input);
        transcript(harness.path(), &ran)
    };
    insta::assert_snapshot!(everywhere(&["--dry-run"], "it@exempel.se\n"), @r"
     APPLICATION  CONTACT
     A-2026-1     UUID
    exit 0
    ");
    insta::assert_snapshot!(everywhere(&[], "it@exempel.se\n"), @r"
    ! error: the following required arguments were not provided:
    !   --reason <REASON>
    !
    ! Usage: tallyd contacts forget --everywhere --config <FILE> --reason <REASON> [CLIENT] [CONTACT]
    !
    ! For more information, try '--help'.
    exit 2
    ");
    insta::assert_snapshot!(everywhere(&["--reason", "Asked"], "it@exempel.se\n"), @r"
     APPLICATION  CONTACT                               ROLE
     A-2026-1     UUID  administrative
    ! The address is erased; from the database's files it is gone within half a minute.
    exit 0
    ");
    insta::assert_snapshot!(everywhere(&["--reason", "Asked"], "it@exempel.se\n"), @r"
    ! The address stands nowhere; nothing was erased.
    exit 0
    ");
    insta::assert_snapshot!(everywhere(&["--reason", "Asked"], " \n"), @r"
    ! cannot read an address from standard input: there is none
    ! hint: write the address and nothing else to it
    exit 1
    ");
    insta::assert_snapshot!(everywhere(&["--reason", "Asked"], "it@exempel.se\nit2@exempel.se\n"), @r"
    ! cannot erase the address: The body has faults; each is listed with its place.
    !   email an address such as api@exempel.se: no display name, quotes, comments or spaces, at most 254 characters
    ! hint: correct what is named, and run the command again
    exit 1
    ");
    let argument = ["contacts", "forget", "--everywhere", "it@exempel.se", "--reason", "Asked"];
    insta::assert_snapshot!(told(&harness, &argument), @r"
    ! error: the argument '--everywhere' cannot be used with '[CLIENT]'
    !
    ! Usage: tallyd contacts forget --everywhere --reason <REASON> --config <FILE> [CLIENT] [CONTACT]
    !
    ! For more information, try '--help'.
    exit 2
    ");
}

#[test]
fn what_is_wrong_about_a_contact_is_said_and_changes_nothing() {
    let (harness, _) = awaiting_pickup();
    let size = harness.journal_size();
    let change = |client: &str, contact: &str, email: &str| {
        told(&harness, &["contacts", "change", client, contact, "--email", email, "--reason", "Moved"])
    };
    insta::assert_snapshot!(change("nobody", "technical", "new@exempel.se"), @r"
    ! cannot change a contact of nobody: No client goes by this application id or client_id.
    ! hint: tallyd list shows every client
    exit 1
    ");
    insta::assert_snapshot!(change("A-2026-1", "0123", "new@exempel.se"), @r"
    ! cannot change a contact of A-2026-1: No contact of the client goes by this id.
    ! hint: tallyd contacts list shows every contact of the client with its whole id
    exit 1
    ");
    insta::assert_snapshot!(change("A-2026-1", "01", "new@exempel.se"), @r"
    ! cannot change a contact of A-2026-1: No contact of the client goes by this id.
    ! hint: tallyd contacts list shows every contact of the client with its whole id
    exit 1
    ");
    insta::assert_snapshot!(change("A-2026-1", "technical", "new@exempel.se"), @r"
    ! cannot change a contact of A-2026-1: Part 1 of delivery REFERENCE is with this address, or on its way to it.
    ! hint: tallyd reissue CLIENT --contact - takes the delivery back, changes the address and orders new keys, so that no part is sent twice; or wait until the delivery is confirmed
    exit 1
    ");
    insta::assert_snapshot!(change("A-2026-1", "technical", "api@exempel.se"), @r"
    ! cannot change a contact of A-2026-1: The contact has that address and language already.
    ! hint: tallyd contacts list shows the contacts as they are
    exit 1
    ");
    insta::assert_snapshot!(change("A-2026-1", "technical", "new@exempel.se\r\nBcc: other@exempel.se"), @r"
    ! cannot change a contact of A-2026-1: The body has faults; each is listed with its place.
    !   email an address such as api@exempel.se: no display name, quotes, comments or spaces, at most 254 characters
    ! hint: correct what is named, and run the command again
    exit 1
    ");
    insta::assert_snapshot!(change("A-2026-1", "technical", "new@exämpel.se"), @r"
    ! cannot change a contact of A-2026-1: The body has faults; each is listed with its place.
    !   email an address in ASCII; write an international domain in its xn-- form (RFC 5891)
    ! hint: correct what is named, and run the command again
    exit 1
    ");
    insta::assert_snapshot!(change("A-2026-1", "technical", ""), @r"
    ! cannot change a contact of A-2026-1: The body has faults; each is listed with its place.
    !   email an address such as api@exempel.se: no display name, quotes, comments or spaces, at most 254 characters
    ! hint: correct what is named, and run the command again
    exit 1
    ");
    let add = |role: &str| {
        let add = ["contacts", "add", "A-2026-1", "--email", "new@exempel.se", "--language", "en", "--role", role];
        told(&harness, &[&add[..], &["--reason", "Asked"]].concat())
    };
    insta::assert_snapshot!(add("technical"), @r"
    ! cannot add a contact to A-2026-1: The client has its technical contact; part 1 goes to exactly one mailbox.
    ! hint: tallyd contacts change CLIENT technical --email - puts another address in its place
    exit 1
    ");
    insta::assert_snapshot!(add("boss"), @r"
    ! error: invalid value 'boss' for '--role <ROLE>': one of technical, administrative
    !
    ! For more information, try '--help'.
    exit 2
    ");
    let reissue = ["reissue", "A-2026-1", "--reason", "Yearly", "--contact"];
    insta::assert_snapshot!(told(&harness, &[&reissue[..], &["api@exempel.se"]].concat()), @r"
    ! cannot re-issue A-2026-1: The contact has that address and language already.
    ! hint: tallyd contacts list shows the contacts as they are
    exit 1
    ");
    insta::assert_snapshot!(told(&harness, &[&reissue[..4], &["--language", "sv"]].concat()), @r"
    ! error: the following required arguments were not provided:
    !   --contact <ADDRESS>
    !
    ! Usage: tallyd reissue --contact <ADDRESS> --reason <REASON> --language <sv|en> --config <FILE> <CLIENT>
    !
    ! For more information, try '--help'.
    exit 2
    ");
    let to_all = ["reissue", "--all", "--reason", "Yearly", "--contact", "new@exempel.se"];
    insta::assert_snapshot!(told(&harness, &to_all), @r"
    ! error: the argument '--all' cannot be used with '--contact <ADDRESS>'
    !
    ! Usage: tallyd reissue --all --reason <REASON> --config <FILE> [CLIENT]
    !
    ! For more information, try '--help'.
    exit 2
    ");
    assert_eq!(harness.journal_size(), size);

    harness.run(&["revoke", "A-2026-1", "--reason", "Over"]).expect_exit(0);
    insta::assert_snapshot!(add("administrative"), @r"
    ! cannot add a contact to A-2026-1: No credential of the client verifies and nothing is under way, so there is nothing to tell a contact.
    ! hint: tallyd reissue CLIENT --contact - orders new keys and names who gets part 1
    exit 1
    ");
    let forget = ["contacts", "forget", "A-2026-1", "technical", "--reason", "Asked"];
    insta::assert_snapshot!(told(&harness, &forget), @r"
    ! The address is erased; from the database's files it is gone within half a minute.
    exit 0
    ");
    // A daemon that is not there.
    let ran =
        run(&harness.path().join("no-configuration.toml"), &["contacts", "list", "A-2026-1", "--socket", "/none"]);
    insta::assert_snapshot!(transcript(harness.path(), &ran), @r"
    ! cannot list the contacts of A-2026-1: /none: cannot connect: No such file or directory (os error 2)
    ! hint: start the daemon (systemctl start tallyd), or name its socket with --socket
    exit 1
    ");
}
