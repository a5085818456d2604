//! Transcripts of the commands: what is said to people, what to programs, and how each command ends. Lines that begin
//! with `!` were said on standard error.

mod contacts;
mod found;
pub(crate) mod transcript;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use self::transcript::transcript;
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::operator::{Ran, run};
use crate::harness::stock::Stocked;

/// One application with a bundle of two pairs and one contact, whose keys await their pickup: then the journal is still
/// until somebody does something.
fn awaiting_pickup() -> (Harness, Approval) {
    let harness = Harness::start();
    let contact = json!([{ "email": "api@exempel.se", "language": "sv", "role": "technical" }]);
    let approval = Approval::new()
        .with("/application_id", "A-2026-1")
        .with("/apis", ["population-register"].as_slice())
        .with("/contacts", contact);
    harness.approve(&approval);
    harness.part_one("api@exempel.se", 0);
    harness.until("entry of the mail", || (harness.entries("mail.accepted").len() == 1).then_some(()));
    (harness, approval)
}

fn told(harness: &Harness, arguments: &[&str]) -> String {
    transcript(harness.path(), &harness.run(arguments))
}

/// The same, with something on standard input.
fn told_with(harness: &Harness, arguments: &[&str], input: &str) -> String {
    transcript(harness.path(), &harness.run_with_input(arguments, input))
}

#[test]
fn list_shows_every_client_or_says_that_there_is_none() {
    let empty = Harness::start();
    insta::assert_snapshot!(told(&empty, &["list"]), @r"
    ! There are no clients.
    exit 0
    ");
    assert_eq!(told(&empty, &["list", "--json"]), "exit 0");

    let (harness, _) = awaiting_pickup();
    insta::assert_snapshot!(told(&harness, &["list"]), @r"
     APPLICATION  ENVIRONMENT  ORGANISATION  SOFTWARE      ORDER            SINCE                CREDENTIAL
     A-2026-1     test         Exempel AB    Handläggaren  awaiting-pickup  YYYY-MM-DD HH:MM:SS  none
    exit 0
    ");
    let line: Value = serde_json::from_str(&harness.run(&["list", "--json", "--unfinished"]).out).unwrap();
    assert_eq!((&line["application_id"], &line["order"]["state"]), (&json!("A-2026-1"), &json!("awaiting-pickup")));
    assert_eq!(harness.run(&["list", "--environment", "production", "--json"]).expect_exit(0).out, "");
    insta::assert_snapshot!(told(&harness, &["list", "--environment", "staging"]), @r"
    ! error: invalid value 'staging' for '--environment <ENVIRONMENT>': one of test, production
    !
    ! For more information, try '--help'.
    exit 2
    ");
}

#[test]
fn list_goes_through_all_pages() {
    let harness = Harness::start_with(|settings| settings.sender = "requests_per_second = 100000".to_owned());
    harness.sink().behave(crate::sink::Behaviour::Banner421);
    let approvals: Vec<_> = (0..501).map(|_| Approval::new()).collect();
    for hundred in approvals.chunks(100) {
        let events: Vec<_> = hundred.iter().map(Approval::event).collect();
        let body = serde_json::to_vec(&events).unwrap();
        assert_eq!(harness.sender().post("/v1/events", "application/cloudevents-batch+json", body).status, 202);
    }
    assert_eq!(harness.run(&["list", "--json"]).expect_exit(0).out.lines().count(), 501);
    assert_eq!(harness.run(&["list"]).expect_exit(0).out.lines().count(), 502);
}

#[test]
fn show_tells_one_client_and_its_timeline() {
    let (harness, approval) = awaiting_pickup();
    insta::assert_snapshot!(told(&harness, &["show", "A-2026-1"]), @r"
    application   A-2026-1
    environment   test
    organisation  Exempel AB (5590000005)
    software      Handläggaren
    apis          population-register (partner)
    contacts      technical (sv)
    keys          apigw ex-test-xxxxxxxxxxxxxxxxxxxx
                  oauth2 ex-test-xxxxxxxxxxxxxxxxxxxx
    order         awaiting-pickup, attempts 1

     VERSION  REFERENCE  STATE   GENERATED            PICK UP UNTIL        FETCHED
     1        REFERENCE  mailed  YYYY-MM-DD HH:MM:SS  YYYY-MM-DD HH:MM:SS  0

    YYYY-MM-DD (UTC)
    HH:MM:SS      3  approval.accepted       A-2026-1: approved for test: Handläggaren of 5590000005 may call population-register (by sender case-system)
    HH:MM:SS      4  issuance.opened         A-2026-1: an order was opened; the keys are the first (by sender case-system)
    HH:MM:SS      5  credential.generated    A-2026-1 v1 REFERENCE: secrets were made and split (apigw, oauth2); pickup is open until YYYY-MM-DD HH:MM UTC (by daemon)
    HH:MM:SS      6  mail.accepted           A-2026-1 v1 REFERENCE: the relay took the mail with part 1 (by daemon)
    exit 0
    ");
    let shown: Value = serde_json::from_str(&harness.run(&["show", "--json", "A-2026-1"]).out).unwrap();
    assert_eq!(shown["entries"].as_array().map(Vec::len), Some(4));
    let client_id = shown["client"]["keys"][0]["client_id"].as_str().unwrap();
    assert_eq!(told(&harness, &["show", client_id]), told(&harness, &["show", approval.application()]));
    insta::assert_snapshot!(told(&harness, &["show", "nobody"]), @r"
    ! cannot show the client nobody: No client goes by this application id or client_id.
    ! hint: tallyd list shows every client
    exit 1
    ");
}

#[test]
fn reissue_says_what_becomes_of_the_old_credential() {
    let harness = Harness::start();
    let approval = Approval::new().with("/application_id", "A-2026-1");
    harness.issue(&approval);
    insta::assert_snapshot!(told(&harness, &["reissue", "A-2026-1", "--reason", "Renewal", "--grace", "12h"]), @r"
    UUID
    ! The old credential verifies until the recipient has confirmed the new one, and for 12h after that.
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &["reissue", "A-2026-1", "--reason", "Renewal", "--json"]), @r#"
    {"application_id":"A-2026-1","grace_seconds":604800,"issuance_id":"UUID","old_credential":"lives-until-proven"}
    exit 0
    "#);
    insta::assert_snapshot!(told(&harness, &["reissue", "A-2026-1", "--reason", "Seen", "--compromised"]), @r"
    UUID
    ! The old credential is refused from now on. The new one works when the recipient has confirmed it.
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &["reissue", "A-2026-1", "--reason", "Renewal"]), @r"
    UUID
    ! No credential of the client verifies now. The new one works when the recipient has confirmed it.
    exit 0
    ");
    let size = harness.entries("issuance.opened").len();
    insta::assert_snapshot!(told(&harness, &["reissue", "A-2026-1", "--reason", "R", "--grace", "90d"]), @r"
    ! cannot re-issue A-2026-1: The grace is longer than policy.grace_max in the configuration.
    ! hint: give a shorter --grace, or leave it out for the usual one
    exit 1
    ");
    insta::assert_snapshot!(told(&harness, &["reissue", "A-2026-1", "--reason", "x\u{202e}y"]), @r"
    ! cannot re-issue A-2026-1: The body has faults; each is listed with its place.
    !   reason no control, formatting, bidirectional, line-breaking, private or unassigned characters
    ! hint: correct what is named, and run the command again
    exit 1
    ");
    assert_eq!(harness.entries("issuance.opened").len(), size);
}

#[test]
fn reissue_all_shows_what_it_would_do_does_it_and_lists_what_is_unfinished() {
    let mut harness = Harness::start();
    let clients: Vec<_> = (1..=3)
        .map(|number| Stocked { life: Some(std::time::Duration::from_secs(8_640_000)), ..Stocked::new(number) })
        .collect();
    // Nobody is mailed, so that the figures stand still.
    harness.sink().behave(crate::sink::Behaviour::Banner421);
    harness.stock(&clients);
    harness.run(&["revoke", "A-2026-00003", "--reason", "Gone"]).expect_exit(0);
    insta::assert_snapshot!(told(&harness, &["reissue", "--all", "--environment", "test", "--dry-run"]), @r"
     CLIENT        ORGANISATION  ENVIRONMENT  APIS       OLD CREDENTIAL                          MAIL TO
     A-2026-00001  Exempel AB    test         addresses  v1 until the new one is proven, and 7d  api+1@exempel.se (part-1)
     A-2026-00002  Exempel AB    test         addresses  v1 until the new one is proven, and 7d  api+2@exempel.se (part-1)

     CLIENT        ORGANISATION  ENVIRONMENT  APIS       LEFT ALONE
     A-2026-00003  Exempel AB    test         addresses  no-live-credential

     OUTCOME   CAUSE               CLIENTS
     re-issue                      2
     skip      no-live-credential  1
    ! Nothing was changed.
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &["reissue", "--all", "--dry-run", "--compromised", "--limit", "1", "--json"]), @r#"
    {"client":{"apis":["addresses"],"application_id":"A-2026-00001","environment":"test","mail":[{"email":"api+1@exempel.se","gets":["notice","part-1"],"role":"technical"}],"organisation":{"name":"Exempel AB","number":"5590000005"},"outcome":"re-issue","versions":[1]}}
    {"client":{"apis":["addresses"],"application_id":"A-2026-00002","environment":"test","mail":[{"email":"api+2@exempel.se","gets":["notice","part-1"],"role":"technical"}],"organisation":{"name":"Exempel AB","number":"5590000005"},"outcome":"re-issue","versions":[1]}}
    {"client":{"apis":["addresses"],"application_id":"A-2026-00003","cause":"no-live-credential","environment":"test","mail":[],"organisation":{"name":"Exempel AB","number":"5590000005"},"outcome":"skip","versions":[]}}
    {"summary":[{"clients":2,"outcome":"re-issue"},{"cause":"no-live-credential","clients":1,"outcome":"skip"}]}
    exit 0
    "#);
    insta::assert_snapshot!(told(&harness, &["reissue", "--all", "--reason", "Yearly"]), @r"
    ! cannot re-issue 2 clients: nobody can be asked whether to
    ! hint: give --yes, after a look with --dry-run
    exit 2
    ");
    let opened = json!({ "reason": "Leverantörsbyte", "api": "addresses", "environment": "test" }).to_string();
    assert_eq!(harness.operator().post("/v1/reissues/all", "application/json", opened).status, 201);
    insta::assert_snapshot!(told(&harness, &["campaigns"]), @r"
     CAMPAIGN                              STATE  OPENED               CLIENTS              ORDERED  WAITING  MAILED  FAILED  REASON
     UUID  open   YYYY-MM-DD HH:MM:SS  test, api addresses  0 of 2   0        0       0       Leverantörsbyte
    ! Go on with one: tallyd reissue --all --resume CAMPAIGN
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &["reissue", "--all", "--reason", "Yearly", "--case", "C-1", "--yes"]), @r"
    UUID

     OUTCOME       CAUSE               CLIENTS  SUCH AS
     ordered                           2
     skipped       no-live-credential  1        A-2026-00003
     to be mailed                      2
    ! Re-issuing 2 clients (all). Ctrl-C stops between two of them; it goes on with:
    !   tallyd reissue --all --resume UUID
    ! The couriers mail what was ordered; tallyd campaigns --all shows how far they are.
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &["reissue", "--all", "--reason", "Again", "--yes"]), @r"
    ! cannot re-issue all: No client would be re-issued: none matches, or all are left alone.
    ! hint: tallyd reissue --all --dry-run shows who is left alone, and why
    exit 1
    ");
    let shown = harness.run(&["show", "A-2026-00001", "--json"]).expect_exit(0).out;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert!(told(&harness, &["show", "A-2026-00001"]).contains("\ncampaign      UUID\n"));
    let campaigns = harness.run(&["campaigns", "--all", "--json"]).expect_exit(0).out;
    let last: Value = serde_json::from_str(campaigns.lines().last().unwrap()).unwrap();
    assert_eq!(shown["client"]["order"]["campaign_id"], last["campaign_id"]);
    insta::assert_snapshot!(told(&harness, &["campaigns", "--all"]), @r"
     CAMPAIGN                              STATE      OPENED               CLIENTS              ORDERED  WAITING  MAILED  FAILED  REASON
     UUID  open       YYYY-MM-DD HH:MM:SS  test, api addresses  0 of 2   0        0       0       Leverantörsbyte
     UUID  completed  YYYY-MM-DD HH:MM:SS  all                  2 of 2   2        0       0       Yearly
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &["reissue", "--all", "--resume", last["campaign_id"].as_str().unwrap()]), @r"
    ! cannot go on with the campaign UUID: it has ended (completed)
    ! hint: tallyd campaigns --all shows every campaign and how its orders stand
    exit 1
    ");
    let opened = told(&harness, &["audit", "show", "--kind", "campaign.opened"]);
    assert_eq!(
        opened.matches("campaign.opened         UUID: new keys were ordered for 2 clients").count(),
        2,
        "{opened}"
    );
    assert!(opened.contains(", case C-1: Yearly (by operator "), "{opened}");
    insta::assert_snapshot!(told(&harness, &["reissue", "--all", "--reason", "r", "--ends-before", "March", "--yes"]), @r"
    ! error: invalid value 'March' for '--ends-before <DATE>': a date such as YYYY-MM-DD
    !
    ! For more information, try '--help'.
    exit 2
    ");
    harness.sink().behave(crate::sink::Behaviour::Ok);
}

#[test]
fn revoke_says_what_it_ended() {
    let (harness, _) = awaiting_pickup();
    insta::assert_snapshot!(told(&harness, &["revoke", "A-2026-1", "--reason", "Ended", "--case", "C-1"]), @r"
    ! No credential verified; the delivery under way was taken back. None of the client verifies now.
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &["revoke", "A-2026-1", "--reason", "Ended"]), @r"
    ! cannot revoke A-2026-1: The client has no credential that verifies and none under way.
    ! hint: tallyd show tells what there is
    exit 1
    ");
    let [entry] = &harness.entries("revocation.ordered")[..] else { panic!("one order") };
    assert_eq!((&entry["data"]["case"], &entry["data"]["reason"]), (&json!("C-1"), &json!("Ended")));
}

/// A journal with one whole issuance in it, at rest, and its public key as `init` printed it.
fn journal_at_rest() -> (Harness, String) {
    let mut harness = Harness::prepare(|_| {});
    let key = harness.run(&["init"]).expect_exit(0).out.trim().to_owned();
    harness.serve();
    harness.issue(&Approval::new());
    harness.stop();
    (harness, key)
}

/// A copy of the files that the journal is in, for somebody without a configuration or any other key.
struct Copy {
    directory: PathBuf,
}

impl Copy {
    fn of(harness: &Harness, name: &str) -> Self {
        let directory = harness.path().join("outside").join(name);
        fs::create_dir(&directory).unwrap();
        fs::copy(harness.path().join("state/tallyd.db"), directory.join("tallyd.db")).unwrap();
        Self { directory }
    }

    fn verify(&self, key: &str) -> Ran {
        let nowhere = self.directory.join("no-configuration.toml");
        run(&nowhere, &["audit", "verify", "--state", &self.directory.display().to_string(), "--key", key])
    }

    /// Writes to it as anybody can.
    fn write(&self, statement: &str) {
        let database = rusqlite::Connection::open(self.directory.join("tallyd.db")).unwrap();
        database.execute_batch("DROP TRIGGER entry_is_not_changed; DROP TRIGGER entry_is_not_removed").unwrap();
        assert_eq!(database.execute(statement, []).unwrap(), 1, "{statement}");
    }
}

#[test]
fn an_auditor_needs_the_files_and_the_public_key_only() {
    let (harness, key) = journal_at_rest();
    assert!(key.starts_with("exempel.se/tallyd+") && key.lines().count() == 1, "{key}");
    let copy = Copy::of(&harness, "copy");
    assert!(copy.verify(&key).expect_exit(0).out.starts_with("verified: "));
    let other = Harness::prepare(|_| {}).run(&["init"]).expect_exit(0).out;
    insta::assert_snapshot!(transcript(harness.path(), &copy.verify(other.trim())), @r"
    ! something is not as it must be; reading it again to find out where
    ! cannot verify the journal in DIR/outside/copy: cannot verify: not signed by this key
    ! hint: this says nothing about the journal: give the key that it was begun with (--key)
    exit 5
    ");
    insta::assert_snapshot!(transcript(harness.path(), &copy.verify("nonsense")), @r"
    ! cannot read the key: not a key of the form <origin>+<hash>+<base64>
    ! hint: give the key as tallyd init printed it, in quotes
    exit 3
    ");
}

#[test]
fn nobody_writes_to_a_journal_unseen() {
    let (harness, key) = journal_at_rest();
    let told = |name: &str, statement: &str| {
        let copy = Copy::of(&harness, name);
        copy.write(statement);
        transcript(harness.path(), &copy.verify(&key))
    };
    let changed = "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"fetch\":1', '\"fetch\":2') AS BLOB) \
                   WHERE CAST(bytes AS TEXT) LIKE '%share.collected%'";
    let changed = told("changed", changed);
    assert!(changed.contains(" is wrong: a count is out of step") && changed.ends_with("exit 4"), "{changed}");
    insta::assert_snapshot!(told("removed", "DELETE FROM entry WHERE seq = 5"), @r"
    ! something is not as it must be; reading it again to find out where
    ! cannot verify the journal in DIR/outside/removed: entry 5 is wrong: its number does not follow the one before it
    ! hint: stop the daemon, keep the files as they are, and compare them with the newest backup
    exit 4
    ");
    let cut = told("cut", "DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)");
    assert!(cut.ends_with("exit 4") && cut.contains("hint: "), "{cut}");
}

#[test]
fn audit_verify_and_show_read_the_files() {
    let (harness, _) = awaiting_pickup();
    insta::assert_snapshot!(told(&harness, &["audit", "verify"]), @r"
    verified: 7 entries of exempel.se/tallyd, root ROOT=
    the tables hold what these entries add up to
    exit 0
    ");
    insta::assert_snapshot!(told(&harness, &["audit", "verify", "--json"]), @r#"
    {"addresses_verified":true,"root":"ROOT=","size":7,"tables_verified":true,"verified":true}
    exit 0
    "#);
    insta::assert_snapshot!(told(&harness, &["audit", "show", "--application", "A-2026-1", "--from", "5"]), @r"
    YYYY-MM-DD (UTC)
    HH:MM:SS      5  credential.generated    A-2026-1 v1 REFERENCE: secrets were made and split (apigw, oauth2); pickup is open until YYYY-MM-DD HH:MM UTC (by daemon)
    HH:MM:SS      6  mail.accepted           A-2026-1 v1 REFERENCE: the relay took the mail with part 1 (by daemon)
    ! As it is stored: tallyd audit verify says whether it is what was signed.
    exit 0
    ");
    let entries = harness.run(&["audit", "show", "--json"]).expect_exit(0).out;
    let numbers: Vec<_> =
        entries.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..7).collect::<Vec<_>>());
}

#[test]
fn check_tells_all_that_is_wrong_at_once_and_changes_nothing() {
    let harness = Harness::start();
    let size = harness.journal_size();
    insta::assert_snapshot!(told(&harness, &["check"]), @r"
    good     configuration: every key is known and in range
    good     clock: YYYY-MM-DDTHH:MM:SS.sssZ
    good     keys: journal exempel.se/tallyd
    good     state: a daemon runs on it, process PID; the journal has 3 entries
    good     intake, server certificate: DIR/tls/server.pem ends YYYY-MM-DD
    good     intake, client authority: DIR/tls/systems-ca.pem ends YYYY-MM-DD
    good     intake, revocation list: DIR/tls/systems.crl.pem ends YYYY-MM-DD
    good     pickup test, server certificate: DIR/tls/server.pem ends YYYY-MM-DD
    good     pickup test, client authority: DIR/tls/partners-test-ca.pem ends YYYY-MM-DD
    good     pickup test, revocation list: DIR/tls/partners-test.crl.pem ends YYYY-MM-DD
    good     pickup production, server certificate: DIR/tls/server.pem ends YYYY-MM-DD
    good     pickup production, client authority: DIR/tls/partners-production-ca.pem ends YYYY-MM-DD
    good     pickup production, revocation list: DIR/tls/partners-production.crl.pem ends YYYY-MM-DD
    good     gateway, server certificate: DIR/tls/server.pem ends YYYY-MM-DD
    good     gateway, client authority: DIR/tls/systems-ca.pem ends YYYY-MM-DD
    good     gateway, revocation list: DIR/tls/systems.crl.pem ends YYYY-MM-DD
    good     operators: users let in: 1
    good     mails: addresses and names can be written
    good     relay: localhost:PORT answers over TLS
    exit 0
    ");
    for line in harness.run(&["check", "--offline", "--json"]).expect_exit(0).out.lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        assert!(["good", "warning"].contains(&finding["finding"].as_str().unwrap()), "{line}");
    }
    assert_eq!(harness.journal_size(), size);

    let mut harness = harness;
    harness.stop();
    harness.sink().behave(crate::sink::Behaviour::Banner554);
    let list = harness.path().join("tls/systems.crl.pem");
    let good = fs::read(&list).unwrap();
    fs::write(&list, "").unwrap();
    let checked = harness.run(&["check"]).expect_exit(3);
    let bad: Vec<_> = checked.out.lines().filter(|line| line.starts_with("bad")).collect();
    assert_eq!(bad.len(), 3, "intake, gateway and the relay: {}", checked.out);
    fs::write(&list, good).unwrap();
    harness.run(&["check"]).expect_exit(1);
}

#[test]
fn init_is_done_once_and_keeps_keys_that_are_there() {
    let harness = Harness::prepare(|_| {});
    let journal = harness.path().join("keys/journal");
    let mut first = harness.run(&["init"]);
    assert!(first.out.starts_with("exempel.se/tallyd+"), "{}", first.out);
    first.out = "KEY\n".to_owned();
    insta::assert_snapshot!(transcript(harness.path(), &first), @r"
    KEY
    ! made DIR/keys/journal: keep a copy where only few people can reach it
    ! made DIR/keys/sealing: keep a copy where only few people can reach it
    ! made DIR/keys/pseudonyms: keep a copy where only few people can reach it
    ! made the journal in DIR/state
    ! auditors verify the journal with this public key:
    exit 0
    ");
    let key = fs::read(&journal).unwrap();
    insta::assert_snapshot!(told(&harness, &["init"]), @r"
    ! cannot open the store: database DIR/state/tallyd.db: cannot create it: File exists (os error 17)
    ! hint: tallyd init was run already, and once is enough: go on with tallyd check. Nothing was overwritten
    exit 3
    ");
    assert_eq!(fs::read(&journal).unwrap(), key);
    harness.run(&["audit", "verify"]).expect_exit(0);
}

#[test]
fn without_a_daemon_commands_say_how_to_start_it() {
    let mut harness = Harness::start();
    harness.stop();
    insta::assert_snapshot!(told(&harness, &["list"]), @r"
    ! cannot list clients: DIR/run/operator.sock: cannot connect: Connection refused (os error 111)
    ! hint: see that the daemon runs: systemctl status tallyd
    exit 1
    ");
    insta::assert_snapshot!(told(&harness, &["list", "--socket", "/nonexistent/socket"]), @r"
    ! cannot list clients: /nonexistent/socket: cannot connect: No such file or directory (os error 2)
    ! hint: start the daemon (systemctl start tallyd), or name its socket with --socket
    exit 1
    ");
    for command in [&["show", "a"][..], &["reissue", "a", "--reason", "r"], &["revoke", "a", "--reason", "r"]] {
        assert!(harness.run(command).expect_exit(1).err.contains("hint: "), "{command:?}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_help_with_0() {
    let harness = Harness::prepare(|settings| settings.ends_with_a_good_journal = false);
    for wrong in [
        &["frobnicate"][..],
        &["show"],
        &["reissue", "a"],
        &["reissue", "a", "--reason", "r", "--grace", "7d", "--compromised"],
        &["reissue", "a", "--reason", "r", "--grace", "7x"],
        &["reissue", "a", "--all", "--reason", "r"],
        &["reissue", "--all"],
        &["reissue", "--reason", "r"],
        &["reissue", "a", "--reason", "r", "--environment", "test"],
        &["reissue", "a", "--reason", "r", "--dry-run"],
        &["reissue", "--all", "--reason", "r", "--limit", "0"],
        &["reissue", "--all", "--resume", "0198c2f4-0000-7000-8000-000000000001", "--reason", "r"],
        &["reissue", "--all", "--resume", "0198c2f4-0000-7000-8000-000000000001", "--api", "a"],
        &["reissue", "--all", "--resume", "x"],
        &["campaigns", "--give-up", "x"],
        &["revoke", "a"],
        &["audit"],
        &["audit", "show", "--from", "-1"],
        &["audit", "show", "--kind", "credential"],
        &["audit", "show", "--since", "yesterday"],
        &["audit", "show", "--organisation", "5590000006"],
        &["audit", "show", "--actor", "clerk:anna"],
        &["audit", "show", "--client", "a", "--application", "a"],
        &["serve", "--verbose"],
    ] {
        let ran = harness.run(wrong).expect_exit(2);
        assert!(ran.out.is_empty() && ran.err.starts_with("error: "), "{wrong:?}: {ran:?}");
    }
    let help = harness.run(&["--help"]).expect_exit(0);
    assert!(help.err.is_empty() && help.out.contains("Exit codes: 0 done, 1 failed, 2 usage, 3 "), "{help:?}");
    assert_eq!(harness.run(&["--version"]).expect_exit(0).out, format!("tallyd {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn certs_writes_an_example_once() {
    let harness = Harness::prepare(|settings| settings.ends_with_a_good_journal = false);
    let directory = harness.path().join("client/example");
    let target = directory.display().to_string();
    let written = harness.run(&["certs", &target]).expect_exit(0).out;
    assert!(written.lines().all(|path| fs::metadata(path).is_ok()) && written.lines().count() > 20, "{written}");
    let again = harness.run(&["certs", &target]).expect_exit(3);
    assert!(again.err.contains("README"), "{}", again.err);
}
