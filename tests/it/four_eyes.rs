//! Orders that take a second person, with the real daemon and people with accounts of their own: what waits, who may
//! decide it, what is carried out, and that nothing is before.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::cli::transcript::transcript;
use crate::harness::approval::{Approval, event};
use crate::harness::keys::Keys;
use crate::harness::operator::{Ran, finish, finish_with_input};
use crate::harness::{Harness, Settings};

mod contacts;

/// Two accounts that every machine has, and that are nobody's here: Anna and Bo.
const ANNA: (u32, &str) = (1, "daemon");
const BO: (u32, &str) = (2, "bin");

const ALL: &str = "four_eyes = [\"reissue\", \"reissue-compromised\", \"revoke\"]";

/// The agency, and the program where everybody can run it.
struct Office {
    harness: Harness,
    program: PathBuf,
}

impl Office {
    fn open(rules: &str) -> Self {
        Self::open_with(rules, |_| {})
    }

    fn open_with(rules: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let root = rustix::process::geteuid().is_root();
        assert!(root, "to become another user takes root: run these tests as root, as tests/run does in CI");
        let harness = Harness::start_with(|settings| {
            settings.operator = format!("users = [\"root\", \"{}\", \"{}\"]\n{rules}", ANNA.1, BO.1);
            change(settings);
        });
        let open = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(harness.path().join("run"), open).unwrap();
        let program = harness.path().join("outside/tallyd");
        std::fs::copy(env!("CARGO_BIN_EXE_tallyd"), &program).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        Self { harness, program }
    }

    fn command(&self, (uid, _): (u32, &str), arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--config").arg(self.harness.configuration()).env_clear();
        command.uid(uid).gid(uid).current_dir("/");
        command
    }

    /// Somebody runs a command.
    fn run(&self, who: (u32, &str), arguments: &[&str]) -> Ran {
        finish(self.command(who, arguments))
    }

    fn run_with_input(&self, who: (u32, &str), arguments: &[&str], input: &str) -> Ran {
        finish_with_input(self.command(who, arguments), input.as_bytes())
    }

    fn told(&self, who: (u32, &str), arguments: &[&str]) -> String {
        transcript(self.harness.path(), &self.run(who, arguments))
    }

    /// The program's name and these arguments, as one types them.
    fn typed(&self, arguments: &[&str]) -> String {
        let config = self.harness.configuration();
        format!("{} {} --config {}", self.program.display(), arguments.join(" "), config.display())
    }

    /// Somebody types a command at a terminal, and then a word.
    fn at_a_terminal(&self, (uid, _): (u32, &str), typed: &str, word: &str) -> Ran {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("(sleep 1; echo {word}; sleep 2) | script -qec '{typed}' /dev/null")]);
        shell.uid(uid).gid(uid).current_dir("/");
        finish(shell)
    }

    /// Somebody asks for what takes two; the id of what waits now.
    fn ask(&self, who: (u32, &str), arguments: &[&str]) -> String {
        let ran = self.run(who, arguments).expect_exit(0);
        assert!(ran.err.contains("Nothing has been done yet"), "{ran:?}");
        ran.out.trim().to_owned()
    }

    fn works(&self, keys: &Keys) -> bool {
        let pair = keys.only();
        self.harness.gateway().verify(&pair.client_id, &pair.secret) == 204
    }

    /// How many entries there are of some kinds that would be effects.
    fn effects(&self) -> usize {
        let kinds = ["revocation.ordered", "reissue.ordered", "credential.ended"];
        kinds.iter().map(|kind| self.harness.entries(kind).len()).sum()
    }

    fn issued(&self) -> Keys {
        self.harness.issue(&approval())
    }
}

fn approval() -> Approval {
    Approval::new().with("/application_id", "A-2026-1")
}

const REVOKE: &[&str] = &["revoke", "A-2026-1", "--reason", "Left the programme", "--case", "DNR-7"];

#[test]
fn what_takes_two_is_done_when_somebody_else_approves_it_and_not_before() {
    let office = Office::open(ALL);
    let keys = office.issued();
    insta::assert_snapshot!(office.told(ANNA, REVOKE), @r"
    XXXX-XXXX-XXXX-XXXX
    ! Nothing has been done yet: this takes a second person.
    ! Until it is approved, whatever verifies now still verifies.
    ! Before YYYY-MM-DD HH:MM:SS another operator, from another account than yours, is to run: tallyd approve XXXX-XXXX-XXXX-XXXX
    exit 0
    ");
    assert!(office.works(&keys) && office.effects() == 0);

    insta::assert_snapshot!(office.told(BO, &["requests"]), @r"
     REQUEST              ORDER   CLIENT    ASKED BY  REASON              STATE    EXPIRES
     XXXX-XXXX-XXXX-XXXX  revoke  A-2026-1  daemon    Left the programme  waiting  YYYY-MM-DD HH:MM:SS
    exit 0
    ");
    let waiting: Value = serde_json::from_str(&office.run(BO, &["requests", "--json"]).out).unwrap();
    let id = waiting["request"].as_str().unwrap();
    insta::assert_snapshot!(office.told(BO, &["requests", id]), @r"
    request       XXXX-XXXX-XXXX-XXXX
    order         revoke: whatever verifies ends, and what is on its way is taken back
    client        A-2026-1, test, Exempel AB, 5590000005, Handläggaren
    verifies now  active v1
    ends          active v1 at once
    superseded    nothing
    mail          the end to technical (en), administrative (sv)
    asked by      daemon (uid 1)
    reason        Left the programme
    case          DNR-7
    asked         YYYY-MM-DD HH:MM:SS
    expires       YYYY-MM-DD HH:MM:SS
    state         waiting
    exit 0
    ");
    insta::assert_snapshot!(office.told(BO, &["list"]), @r"
     APPLICATION  ENVIRONMENT  ORGANISATION  SOFTWARE      ORDER      SINCE                CREDENTIAL  WAITS FOR A SECOND PERSON
     A-2026-1     test         Exempel AB    Handläggaren  completed  YYYY-MM-DD HH:MM:SS  active v1   revoke, asked by daemon, XXXX-XXXX-XXXX-XXXX until YYYY-MM-DD HH:MM:SS
    exit 0
    ");
    let shown = office.told(BO, &["show", "A-2026-1"]);
    assert!(shown.contains("waits         revoke, asked by daemon, XXXX-XXXX-XXXX-XXXX until "), "{shown}");
    insta::assert_snapshot!(office.told(BO, &["approve", id]), @r"
    ! cannot approve the request XXXX-XXXX-XXXX-XXXX: there is nobody at a terminal to ask
    ! hint: look at it with tallyd requests XXXX-XXXX-XXXX-XXXX, then approve it with --yes
    exit 2
    ");
    assert!(office.works(&keys) && office.effects() == 0, "there was nobody at a terminal to ask");

    insta::assert_snapshot!(office.told(BO, &["approve", id, "--yes"]), @r"
    ! Approved, and carried out.
    ! 1 credential was ended. None of the client verifies now.
    exit 0
    ");
    assert!(!office.works(&keys));
    insta::assert_snapshot!(office.told(BO, &["approve", id, "--yes"]), @r"
    ! cannot approve the request XXXX-XXXX-XXXX-XXXX: The request was approved already, by bin at YYYY-MM-DDTHH:MM:SS.sssZ, and carried out.
    ! hint: tallyd requests --all tells what became of it
    exit 1
    ");
    insta::assert_snapshot!(office.told(BO, &["requests"]), @r"
    ! Nothing waits for a second person.
    exit 0
    ");
    insta::assert_snapshot!(office.told(ANNA, &["requests", "--all"]), @r"
     REQUEST              ORDER   CLIENT    ASKED BY  REASON              STATE            EXPIRES
     XXXX-XXXX-XXXX-XXXX  revoke  A-2026-1  daemon    Left the programme  approved by bin  YYYY-MM-DD HH:MM:SS
    exit 0
    ");

    let [made] = &office.harness.entries("request.made")[..] else { panic!("one request") };
    let [approved] = &office.harness.entries("request.approved")[..] else { panic!("one approval") };
    let [ordered] = &office.harness.entries("revocation.ordered")[..] else { panic!("one order") };
    assert_eq!(made["actor"], json!({ "who": "operator", "uid": ANNA.0, "account": ANNA.1 }));
    assert_eq!(approved["actor"], json!({ "who": "operator", "uid": BO.0, "account": BO.1 }));
    assert_eq!((&ordered["data"]["request"], &ordered["data"]["case"]), (&json!(id), &json!("DNR-7")));
    assert_eq!(ordered["data"]["reason"], "Left the programme");
    assert_eq!(approved["time"], ordered["time"], "one decision");
    let [started] = &office.harness.entries("service.started")[..] else { panic!("one start") };
    assert_eq!(started["data"]["four_eyes"], json!(["reissue", "reissue-compromised", "revoke"]));
}

#[test]
fn nobody_is_his_own_second_person_by_any_way() {
    let office = Office::open(ALL);
    let keys = office.issued();
    let id = office.ask(ANNA, REVOKE);
    insta::assert_snapshot!(office.told(ANNA, &["approve", &id, "--yes"]), @r"
    ! cannot approve the request XXXX-XXXX-XXXX-XXXX: The request is your own account's. Only somebody else can approve or deny it; that you tried is on record.
    ! hint: ask another operator to do it, from an account of his own
    exit 1
    ");
    insta::assert_snapshot!(office.told(ANNA, &["deny", &id, "--reason", "A mistake"]), @r"
    ! cannot deny the request XXXX-XXXX-XXXX-XXXX: The request is your own account's. Only somebody else can approve or deny it; that you tried is on record.
    ! hint: ask another operator to do it, from an account of his own
    exit 1
    ");
    // In another group, and in all groups that there are; with another program.
    let mut with_groups = Command::new("setpriv");
    let uid = ANNA.0.to_string();
    with_groups.args(["--reuid", &uid, "--regid", "0", "--groups", "0,1,2,3"]).arg(&office.program);
    with_groups.args(["approve", &id, "--yes", "--config"]).arg(office.harness.configuration()).current_dir("/");
    finish(with_groups).expect_exit(1);
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-X", "POST", "--unix-socket"]).arg(office.harness.path().join("run/operator.sock"));
    curl.arg(format!("http://localhost/v1/requests/{id}/approve")).uid(ANNA.0).gid(BO.0).current_dir("/");
    let answer = finish(curl).expect_exit(0).out;
    assert!(answer.contains("\"code\":\"own-request\""), "{answer}");
    let mut nobody = office.command((65_534, "nobody"), &["approve", &id, "--yes"]);
    nobody.gid(BO.0);
    assert_ne!(finish(nobody).exit, 0, "nobody is no operator");

    assert!(office.works(&keys) && office.effects() == 0);
    let contested = office.harness.entries("request.contested");
    let counts: Vec<_> = contested.iter().map(|entry| entry["data"]["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1, 2, 3, 4]);
    assert!(contested.iter().all(|entry| entry["actor"]["uid"] == ANNA.0));
    // Root is somebody else, as far as the kernel knows.
    office.run((0, "root"), &["approve", &id, "--yes"]).expect_exit(0);
    assert!(!office.works(&keys));
}

#[test]
fn a_request_that_is_denied_unknown_or_misspelled_is_never_carried_out() {
    let office = Office::open(ALL);
    let keys = office.issued();
    let id = office.ask(ANNA, REVOKE);
    insta::assert_snapshot!(office.told(BO, &["deny", &id, "--reason", " "]), @r"
    ! cannot deny the request XXXX-XXXX-XXXX-XXXX: The body has faults; each is listed with its place.
    !   reason 1 to 200 characters, not beginning or ending with a space
    ! hint: correct what is named, and run the command again
    exit 1
    ");
    insta::assert_snapshot!(office.told(BO, &["deny", &id, "--reason", "Not agreed with the partner"]), @r"
    ! Denied. Nothing was done, and the request is closed.
    exit 0
    ");
    insta::assert_snapshot!(office.told(BO, &["approve", &id, "--yes"]), @r"
    ! cannot approve the request XXXX-XXXX-XXXX-XXXX: The request was denied by bin at YYYY-MM-DDTHH:MM:SS.sssZ: Not agreed with the partner.
    ! hint: tallyd requests --all tells what became of it
    exit 1
    ");
    insta::assert_snapshot!(office.told(BO, &["requests", &id]), @r"
    request       XXXX-XXXX-XXXX-XXXX
    order         revoke: whatever verifies ends, and what is on its way is taken back
    client        A-2026-1, test, Exempel AB, 5590000005, Handläggaren
    verifies now  active v1
    asked by      daemon (uid 1)
    reason        Left the programme
    case          DNR-7
    asked         YYYY-MM-DD HH:MM:SS
    expires       YYYY-MM-DD HH:MM:SS
    state         denied by bin: Not agreed with the partner
    exit 0
    ");
    insta::assert_snapshot!(office.told(BO, &["approve", "0000-0000-0000-0000", "--yes"]), @r"
    ! cannot approve the request XXXX-XXXX-XXXX-XXXX: There is no request of this id.
    ! hint: tallyd requests shows what waits
    exit 1
    ");
    insta::assert_snapshot!(office.told(BO, &["approve", "K7QF-2M9D", "--yes"]), @r"
    ! error: invalid value 'REFERENCE' for '<REQUEST>': the id of a request is sixteen characters such as XXXX-XXXX-XXXX-XXXX
    !
    ! For more information, try '--help'.
    exit 2
    ");
    assert!(office.works(&keys) && office.effects() == 0);
    assert_eq!(office.harness.entries("request.denied")[0]["data"]["reason"], "Not agreed with the partner");
}

#[test]
fn what_cannot_be_carried_out_any_more_closes_the_request_and_tells_the_second_person() {
    let office = Office::open(ALL);
    let keys = office.issued();
    let [first, second] = [(); 2].map(|()| office.ask(ANNA, REVOKE));
    office.run(BO, &["approve", &first, "--yes"]).expect_exit(0);
    assert!(!office.works(&keys));
    insta::assert_snapshot!(office.told(BO, &["approve", &second, "--yes"]), @r"
    ! cannot approve the request XXXX-XXXX-XXXX-XXXX: It cannot be carried out any more, so nothing was done and the request is closed. The client has no credential that verifies and none under way.
    ! hint: tallyd show tells what there is; if it is still wanted, order it again
    exit 1
    ");
    insta::assert_snapshot!(office.told(BO, &["approve", &second, "--yes"]), @r"
    ! cannot approve the request XXXX-XXXX-XXXX-XXXX: The request was approved by bin at YYYY-MM-DDTHH:MM:SS.sssZ and could not be carried out: nothing-to-revoke.
    ! hint: tallyd requests --all tells what became of it
    exit 1
    ");
    assert_eq!(office.harness.entries("request.failed")[0]["data"]["cause"], "nothing-to-revoke");
    // What cannot be carried out now is not put to anybody.
    insta::assert_snapshot!(office.told(ANNA, REVOKE), @r"
    ! cannot revoke A-2026-1: The client has no credential that verifies and none under way.
    ! hint: tallyd show tells what there is
    exit 1
    ");
    assert_eq!(office.harness.entries("request.made").len(), 2);
}

#[test]
fn a_compromised_credential_lives_until_the_second_person_has_spoken_and_the_answer_says_so() {
    let office = Office::open(ALL);
    let approval = approval();
    let keys = office.harness.issue(&approval);
    let reissue = ["reissue", "A-2026-1", "--reason", "Found in a log", "--compromised"];
    insta::assert_snapshot!(office.told(ANNA, &reissue), @r"
    XXXX-XXXX-XXXX-XXXX
    ! Nothing has been done yet: this takes a second person.
    ! Until it is approved, whatever verifies now still verifies.
    ! Before YYYY-MM-DD HH:MM:SS another operator, from another account than yours, is to run: tallyd approve XXXX-XXXX-XXXX-XXXX
    exit 0
    ");
    let waiting: Value = serde_json::from_str(&office.run(BO, &["requests", "--json"]).out).unwrap();
    assert_eq!(waiting["content"]["asked"], json!({ "do": "reissue-compromised" }));
    assert!(office.works(&keys));
    insta::assert_snapshot!(office.told(BO, &["approve", waiting["request"].as_str().unwrap(), "--yes"]), @r"
    UUID
    ! Approved, and carried out.
    ! The old credential is refused from now on. The new one works when the recipient has confirmed it.
    exit 0
    ");
    assert!(!office.works(&keys));
    let new = office.harness.receive(&approval, 1);
    assert!(office.works(&new));

    let id = office.ask(ANNA, &["reissue", "A-2026-1", "--reason", "Yearly", "--grace", "12h"]);
    let approved = office.run(BO, &["approve", &id, "--yes", "--json"]).expect_exit(0);
    let answer: Value = serde_json::from_str(&approved.out).unwrap();
    assert_eq!((&answer["status"], &answer["command"]), (&json!("carried-out"), &json!("reissue")));
    assert_eq!((&answer["grace_seconds"], &answer["request"]), (&json!(43_200), &json!(id)));
    let opened = office.harness.entries("issuance.opened");
    assert_eq!(opened.last().unwrap()["data"]["replaces"], json!({ "grace-seconds": 43_200 }));
    assert_eq!(office.run(ANNA, &["requests", "--json"]).out, "");
}

#[test]
fn the_agency_chooses_what_takes_two_and_what_takes_a_case() {
    let office = Office::open("four_eyes = [\"reissue\"]\ncase_required = [\"revoke\", \"reissue\"]");
    let keys = office.issued();
    let reissue = ["reissue", "A-2026-1", "--reason", "Yearly"];
    insta::assert_snapshot!(office.told(ANNA, &reissue), @r"
    ! cannot re-issue A-2026-1: The agency asks for a case number with this command (operator.case_required in the configuration).
    ! hint: give the case: --case NUMBER
    exit 1
    ");
    insta::assert_snapshot!(office.told(ANNA, &["revoke", "A-2026-1", "--reason", ""]), @r"
    ! cannot revoke A-2026-1: The body has faults; each is listed with its place.
    !   reason 1 to 200 characters, not beginning or ending with a space
    ! hint: correct what is named, and run the command again
    exit 1
    ");
    insta::assert_snapshot!(office.told(ANNA, &["revoke", "A-2026-1", "--reason", "   "]), @r"
    ! cannot revoke A-2026-1: The body has faults; each is listed with its place.
    !   reason 1 to 200 characters, not beginning or ending with a space
    ! hint: correct what is named, and run the command again
    exit 1
    ");
    insta::assert_snapshot!(office.told(ANNA, &["revoke", "A-2026-1", "--reason", "Ended"]), @r"
    ! cannot revoke A-2026-1: The agency asks for a case number with this command (operator.case_required in the configuration).
    ! hint: give the case: --case NUMBER
    exit 1
    ");
    assert!(office.works(&keys) && office.harness.entries("request.made").is_empty());
    office.ask(ANNA, &["reissue", "A-2026-1", "--reason", "Yearly", "--case", "DNR-8"]);
    // Neither is named: alone, at once, without a case.
    office.run(ANNA, &["reissue", "A-2026-1", "--reason", "Found in a log", "--compromised"]).expect_exit(0);
    assert!(!office.works(&keys));
    office.run(ANNA, &["revoke", "A-2026-1", "--reason", "Ended", "--case", "DNR-9"]).expect_exit(0);
}

#[test]
fn the_case_system_is_not_held_to_what_operators_are() {
    let office = Office::open(&format!("{ALL}\ncase_required = [\"revoke\"]"));
    let keys = office.issued();
    let data = json!({ "application_id": "A-2026-1", "reason": "The case was closed" });
    let reply = office.harness.sender().post_event(&event("2026-000777", "tallyd.credential.revoke.v1", data));
    assert_eq!(reply.status, 202, "{reply:?}");
    assert!(!office.works(&keys) && office.harness.entries("request.made").is_empty());
}

#[test]
fn at_a_terminal_the_second_person_is_shown_everything_and_asked() {
    let office = Office::open(ALL);
    let keys = office.issued();
    let id = office.ask(ANNA, REVOKE);
    let approve = office.typed(&["approve", &id]);
    let answered = |word| office.at_a_terminal(BO, &approve, word);
    let no = answered("no");
    for words in [
        "revoke: whatever verifies ends",
        "A-2026-1, test, Exempel AB",
        "active v1",
        "Left the programme",
        "DNR-7",
        "daemon (uid 1)",
    ] {
        assert!(no.out.contains(words), "{words}: {}", no.out);
    }
    assert!(no.exit == 1 && no.out.contains("Nothing was done"), "{no:?}");
    assert!(office.works(&keys) && office.effects() == 0);
    let yes = answered("yes").expect_exit(0);
    assert!(yes.out.contains("Approved, and carried out."), "{yes:?}");
    assert!(!office.works(&keys));
}

#[test]
fn what_nobody_approves_in_time_is_over_also_across_a_stop() {
    let mut office = Office::open(&format!("{ALL}\nrequest_life = \"1h\""));
    let keys = office.issued();
    let id = office.ask(ANNA, REVOKE);
    office.harness.serve_later("+2h");
    let approved = office.run(BO, &["approve", &id, "--yes"]).expect_exit(1);
    assert!(approved.err.contains("The request expired"), "{approved:?}");
    assert!(office.works(&keys) && office.effects() == 0);
    office
        .harness
        .until("entry of the expiry", || (office.harness.entries("request.expired").len() == 1).then_some(()));
    let approved = office.run(BO, &["approve", &id, "--yes"]).expect_exit(1);
    assert!(approved.err.contains("The request expired"), "{approved:?}");
    assert_eq!(office.run(BO, &["requests", "--json"]).out, "");
}

#[test]
fn the_agencys_operators_are_told_of_what_waits_and_of_its_outcome() {
    const MAILBOX: &str = "drift@myndigheten.example";
    let office =
        Office::open_with(ALL, |settings| settings.agency = format!("operators = \"{MAILBOX}\"\nlanguage = \"en\""));
    office.issued();
    let told = |count: usize| {
        office.harness.until("mail to the operators", || {
            let mails = office.harness.notices(MAILBOX);
            (mails.len() == count).then(|| String::from_utf8(mails.last().unwrap().raw.clone()).unwrap())
        })
    };
    let before = office.harness.notices(MAILBOX).len();
    let id = office.ask(ANNA, REVOKE);
    let mail = told(before + 1);
    assert!(mail.contains(&format!("tallyd approve {id}")) && mail.contains("waits for a second"), "{mail}");
    assert!(!mail.contains("Left the programme"), "why it is asked for stays where operators look it up: {mail}");
    office.run(BO, &["deny", &id, "--reason", "Not agreed"]).expect_exit(0);
    let mail = told(before + 2);
    assert!(mail.contains("denied by bin") && !mail.contains("Not agreed"), "{mail}");
    office.harness.until("entries of both", || (office.harness.entries("request.reported").len() == 2).then_some(()));
}

#[test]
fn where_accounts_cannot_be_told_apart_there_are_no_four_eyes_and_no_start() {
    let office = Office::open(ALL);
    let mut harness = office.harness;
    let checked = harness.run(&["check", "--offline"]).expect_exit(0);
    assert!(checked.out.contains("good     four eyes: reissue, reissue-compromised, revoke"), "{}", checked.out);
    harness.stop();
    let size = harness.journal_size();
    // As PrivateUsers=yes does it: root is root, and everybody else is nobody.
    let in_a_namespace = |command: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user"]).arg(&office.program).arg(command).arg("--config");
        finish({
            unshare.arg(harness.configuration()).current_dir("/");
            unshare
        })
    };
    let refused = in_a_namespace("serve").expect_exit(3);
    assert!(refused.err.contains("cannot let user 1 in through"), "{}", refused.err);
    assert!(refused.err.contains("hint: run tallyd admit as root before the start"), "{}", refused.err);
    assert!(in_a_namespace("check").out.contains("bad      four eyes: cannot let user 1 in through"));
    harness.reconfigure(|settings| settings.operator = format!("users = [\"root\"]\n{ALL}"));
    let alone = harness.run(&["serve"]).expect_exit(3);
    assert!(alone.err.contains("fewer than two accounts are let in"), "{}", alone.err);
    assert_eq!(harness.journal_size(), size);
    harness.reconfigure(|settings| settings.operator.clear());
    harness.serve();
}

#[test]
fn the_readmes_commands_for_two_people_are_carried_out_as_printed() {
    let office = Office::open(ALL);
    let keys = office.issued();
    let block = crate::readme::tested("four-eyes");
    let lines: Vec<_> = block.lines().map(|line| line.split_once('#').unwrap().0.trim()).collect();
    let [ask, look, approve] = lines[..] else { panic!("three commands: {block}") };
    let as_typed = |command: &str, request: &str| {
        let command = command.replace("\"$REQUEST\"", request);
        office.typed(&[command.strip_prefix("tallyd ").unwrap()])
    };
    let shell = |who: (u32, &str), typed: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", typed]).uid(who.0).gid(who.0).current_dir("/");
        finish(shell).expect_exit(0)
    };
    let id = shell(ANNA, &as_typed(ask, "")).out.trim().to_owned();
    assert!(shell(BO, &as_typed(look, "")).out.contains(&id) && office.works(&keys));
    office.at_a_terminal(BO, &as_typed(approve, &id), "yes").expect_exit(0);
    assert!(!office.works(&keys));
}

#[test]
fn a_campaign_takes_two_wherever_one_of_its_orders_would_and_reaches_no_more_than_were_in_sight() {
    let office = Office::open("four_eyes = [\"reissue\"]");
    let approvals: Vec<_> =
        (1..=3).map(|number| Approval::new().with("/application_id", format!("A-2026-{number}").as_str())).collect();
    for approval in &approvals {
        office.harness.issue(approval);
    }
    let all = ["reissue", "--all", "--environment", "test", "--reason", "Yearly", "--grace", "12h", "--yes"];
    insta::assert_snapshot!(office.told(ANNA, &all), @r"
    XXXX-XXXX-XXXX-XXXX
    ! Nothing has been done yet: this takes a second person.
    ! Before YYYY-MM-DD HH:MM:SS another operator, from another account than yours, is to run: tallyd approve XXXX-XXXX-XXXX-XXXX
    exit 0
    ");
    assert!(office.effects() == 0 && office.harness.entries("campaign.opened").is_empty());
    let waiting: Value = serde_json::from_str(&office.run(BO, &["requests", "--json"]).out).unwrap();
    let id = waiting["request"].as_str().unwrap();
    insta::assert_snapshot!(office.told(BO, &["requests", id]), @r"
    request       XXXX-XXXX-XXXX-XXXX
    order         reissue-all: new credentials for 3 of 3 clients at most (environment test, registered by YYYY-MM-DD HH:MM:SS); each old one verifies until the new one is proven, and 12h after that
    ends          each when its new one is proven, and 12h after that
    superseded    whatever is on its way to them
    mail          part 1 to each technical contact; their contacts are told of what ends
    asked by      daemon (uid 1)
    reason        Yearly
    asked         YYYY-MM-DD HH:MM:SS
    expires       YYYY-MM-DD HH:MM:SS
    state         waiting
    exit 0
    ");
    office.run(ANNA, &["approve", id, "--yes"]).expect_exit(1);
    // Whoever comes in between is not among those that Bo is shown.
    let late = Approval::new().with("/application_id", "A-2026-0");
    office.harness.issue(&late);
    let approved = office.run(BO, &["approve", id, "--yes"]).expect_exit(0);
    assert!(approved.err.contains("Approved, and carried out."), "{approved:?}");
    let [opened] = &office.harness.entries("campaign.opened")[..] else { panic!("one campaign") };
    assert_eq!(opened["data"]["request"], id);
    assert_eq!((&opened["data"]["matched"], &opened["data"]["limit"]), (&json!(3), &json!(3)));
    let ordered = office.harness.entries("reissue.ordered");
    let mut reached: Vec<_> = ordered.iter().map(|entry| entry["subject"]["application"].as_str().unwrap()).collect();
    reached.sort_unstable();
    assert_eq!(reached, ["A-2026-1", "A-2026-2", "A-2026-3"]);
    assert_eq!(office.run(BO, &["approve", id, "--yes"]).exit, 1, "once");
    // The other kind is not named.
    let compromised = ["reissue", "--all", "--reason", "A breach", "--compromised", "--yes"];
    office.run(ANNA, &compromised).expect_exit(0);
    assert_eq!(office.harness.entries("campaign.opened").len(), 2);
}
