//! `tallyd whose`: found secrets and client_ids, in every state, and their end.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};
use tallyd::domain::ids::Environment;
use tallyd::domain::secret::ClientSecret;
use tallyd::platform::random::SystemRandomness;

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::keys::Keys;
use crate::harness::operator::{Ran, finish, run_with_input};
use crate::readme::tested;

fn whose(harness: &Harness, arguments: &[&str], text: impl AsRef<[u8]>) -> Ran {
    let arguments: Vec<_> = ["whose"].iter().chain(arguments).copied().collect();
    harness.run_with_input(&arguments, text)
}

/// What programs are told of each thing.
fn told(harness: &Harness, text: &str, exit: i32) -> Vec<Value> {
    let ran = whose(harness, &["--json"], text).expect_exit(exit);
    serde_json::from_str::<Vec<Value>>(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"))
}

/// State, cause and whether it verifies.
fn standing(of: &Value) -> (String, String, bool) {
    let text = |member: &str| of["version"][member].as_str().unwrap_or_default().to_owned();
    (text("state"), text("cause"), of["verifies"].as_bool().unwrap())
}

fn stranger() -> String {
    let random = SystemRandomness::probe().unwrap();
    let secret = ClientSecret::generate(&"ex".parse().unwrap(), Environment::Test, &random).unwrap();
    secret.reveal_to_recipient().to_owned()
}

fn verifies(harness: &Harness, keys: &Keys) -> bool {
    harness.gateway().verify(&keys.only().client_id, &keys.only().secret) == 204
}

#[test]
fn a_found_secret_is_told_whose_it_is_which_version_and_where_it_stands() {
    let harness = Harness::start();
    let approval = Approval::new();
    let first = harness.issue(&approval);
    let (client_id, secret) = (first.only().client_id.clone(), first.only().secret.clone());
    let [one] = &told(&harness, &format!("export CLIENT_SECRET={secret}\n"), 0)[..] else { panic!("one") };
    let of = &one["of"];
    assert_eq!(one["found"], "client_secret");
    assert_eq!((&of["application_id"], &of["environment"]), (&json!(approval.application()), &json!("test")));
    assert_eq!(of["organisation"], json!({ "number": "5590000005", "name": "Exempel AB" }));
    assert_eq!(
        (&of["label"], &of["client_id"], &of["version"]["version"]),
        (&json!("oauth2"), &json!(client_id), &json!(1))
    );
    assert_eq!(standing(of), ("active".to_owned(), String::new(), true));
    assert!(of["version"]["active_since"].as_str().is_some_and(|since| since.ends_with('Z')));

    let ran = whose(&harness, &[], &secret).expect_exit(0);
    for shown in ["secret 1 (ex_test_…)", approval.application(), "test", "Exempel AB", &client_id, "active"] {
        assert!(ran.out.contains(shown), "{shown}: {}", ran.out);
    }
    assert!(!ran.out.contains(&secret[8..20]) && !ran.err.contains(&secret[8..20]));

    // The old version, in its grace and after it.
    harness.run(&["reissue", approval.application(), "--reason", "Renewal", "--grace", "3s"]).expect_exit(0);
    let second = harness.receive(&approval, 1);
    let of_both = told(&harness, &format!("{secret} {}", second.only().secret), 0);
    assert_eq!(standing(&of_both[0]["of"]), ("retiring".to_owned(), String::new(), true));
    assert_eq!(
        (standing(&of_both[1]["of"]).0, &of_both[1]["of"]["version"]["version"]),
        ("active".to_owned(), &json!(2))
    );
    harness.until("end of the grace", || {
        let of = told(&harness, &secret, 0).remove(0)["of"].take();
        (standing(&of) == ("ended".to_owned(), "grace-ended".to_owned(), false)).then_some(())
    });

    // The public id has the active version's state.
    let by_id = told(&harness, &format!("id: {client_id}"), 0).remove(0);
    assert_eq!((&by_id["found"], &by_id["of"]["version"]["version"]), (&json!("client_id"), &json!(2)));
    assert_eq!(by_id["of"]["label"], "oauth2");
}

#[test]
fn a_secret_of_a_delivery_that_was_never_confirmed_is_known_as_well() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let collected = harness.recipient(Environment::Test).collect(&part_one.reference).json();
    let keys = Keys::combine(&part_one, &collected);
    let secret = keys.only().secret.clone();
    harness.remember_secret(&secret);
    assert_eq!(standing(&told(&harness, &secret, 0)[0]["of"]), ("mailed".to_owned(), String::new(), false));
    let ran = whose(&harness, &["--revoke", "--reason", "Found in a ticket"], &secret).expect_exit(0);
    assert!(ran.err.contains("the delivery under way was taken back"), "{}", ran.err);
    let expected = ("abandoned".to_owned(), "revoked".to_owned(), false);
    assert_eq!(standing(&told(&harness, &secret, 0)[0]["of"]), expected);
}

#[test]
fn what_is_unknown_cut_off_or_not_there_is_told_and_ends_with_1() {
    let harness = Harness::start();
    let approval = Approval::new();
    let keys = harness.issue(&approval);
    let secret = &keys.only().secret;
    let other = stranger();
    let ran = whose(&harness, &[], &other).expect_exit(1);
    assert!(
        ran.err.contains("secret 1 (ex_test_…) is well formed, and no client of this agency has it."),
        "{}",
        ran.err
    );
    assert_eq!(told(&harness, &other, 1), [json!({ "found": "client_secret", "of": null })]);
    let id = "ex-prod-abcdefghijklmnopqrst";
    assert!(whose(&harness, &[], id).expect_exit(1).err.contains(&format!("{id} is well formed")));

    let cut = whose(&harness, &[], &secret[..40]).expect_exit(1);
    assert!(cut.err.contains("begins like a client_secret (ex_test_…) and is not whole"), "{}", cut.err);
    assert!(!cut.err.contains(&secret[8..20]));
    let nothing = whose(&harness, &[], "hello").expect_exit(1);
    assert!(nothing.err.contains("there is none\nhint: a client_secret looks like ex_prod_"), "{}", nothing.err);
    let part = harness.part_one(approval.technical(), 0);
    let part = whose(&harness, &[], &part.shares["oauth2"]).expect_exit(1);
    assert!(part.err.contains("one part alone opens nothing"), "{}", part.err);

    // One that is known among them makes it found.
    let several = told(&harness, &format!("{other}\n{secret}\n{id}\n{}", &other[..30]), 0);
    assert_eq!(several.iter().map(|one| one["of"].is_null()).collect::<Vec<_>>(), [true, false, true]);
    let long = whose(&harness, &[], vec![b'a'; 5 * 1024 * 1024]).expect_exit(1);
    assert!(long.err.contains("it is longer than"), "{}", long.err);
}

#[test]
fn more_things_than_one_request_takes_are_all_asked_about() {
    let harness = Harness::start();
    let keys = harness.issue(&Approval::new());
    let many: Vec<_> = (0..230).map(|_| stranger()).chain([keys.only().secret.clone()]).collect();
    let answers = told(&harness, &many.join("\n"), 0);
    assert_eq!(answers.len(), 231);
    assert_eq!(answers.iter().filter(|one| !one["of"].is_null()).count(), 1);
    assert_eq!(answers[230]["of"]["client_id"], keys.only().client_id);
}

#[test]
fn a_revocation_of_what_was_found_is_the_order_that_revoke_gives() {
    let harness = Harness::start();
    let (leaked, safe) = (Approval::new(), Approval::new());
    let (keys, others) = (harness.issue(&leaked), harness.issue(&safe));
    let secret = &keys.only().secret;
    for arguments in [&["--revoke"][..], &["--reason", "Found"], &["--case", "I-1"]] {
        whose(&harness, arguments, secret).expect_exit(2);
    }
    assert!(verifies(&harness, &keys));
    // Another client's public id in the same text is no reason to end it.
    let text = format!("{secret}\n{}", others.only().client_id);
    let ran =
        whose(&harness, &["--revoke", "--reason", "Found in a repository", "--case", "I-17"], text).expect_exit(0);
    assert!(ran.err.contains(&format!("{}: 1 credential was ended.", leaked.application())), "{}", ran.err);
    assert!(!verifies(&harness, &keys) && verifies(&harness, &others));
    let [order] = &harness.entries("revocation.ordered")[..] else { panic!("one order") };
    assert_eq!((&order["data"]["reason"], &order["data"]["case"]), (&json!("Found in a repository"), &json!("I-17")));
    assert_eq!(order["actor"]["who"], "operator");

    // A secret that ended already leaves its client's newer one alone.
    harness.run(&["reissue", leaked.application(), "--reason", "Anew"]).expect_exit(0);
    let newer = harness.receive(&leaked, 1);
    let ran = whose(&harness, &["--revoke", "--reason", "Found again"], secret).expect_exit(0);
    assert!(ran.out.contains("ended (revoked)"), "{}", ran.out);
    assert!(verifies(&harness, &newer));
    assert_eq!(harness.entries("revocation.ordered").len(), 1);

    // Nobody means several clients when he pastes a list of public ids.
    let ids = format!("{} {}", newer.only().client_id, others.only().client_id);
    let refused = whose(&harness, &["--revoke", "--reason", "Found"], ids).expect_exit(1);
    assert!(refused.err.contains("a client_id is no secret"), "{}", refused.err);
    assert!(verifies(&harness, &newer) && verifies(&harness, &others));
    // One alone is named as `revoke` would name it.
    whose(&harness, &["--revoke", "--reason", "Asked for"], &others.only().client_id).expect_exit(0);
    assert!(!verifies(&harness, &others) && verifies(&harness, &newer));
}

#[test]
fn the_secret_does_not_leave_the_process_that_it_was_pasted_into() {
    let harness = Harness::prepare(|settings| settings.ends_with_a_good_journal = false);
    let path = harness.path().join("outside/listener.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let listening = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut piece = [0; 4096];
        while !asked.ends_with(b"}]}") {
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&asked));
            asked.extend_from_slice(&piece[..length]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n[null]").unwrap();
        String::from_utf8(asked).unwrap()
    });
    let secret = stranger();
    let socket = path.display().to_string();
    run_with_input(&harness.configuration(), &["whose", "--socket", &socket], secret.as_bytes()).expect_exit(1);
    let asked = listening.join().unwrap();
    let verifier = ClientSecret::parse(secret.as_bytes()).unwrap().verifier().to_string();
    assert!(asked.contains(&verifier), "{asked}");
    assert!(!asked.contains(&secret[8..20]) && !asked.contains(&secret[40..52]), "{asked}");
}

#[test]
fn a_question_of_another_form_is_refused() {
    let harness = Harness::start();
    let ask = |body: Value| harness.operator().post("/v1/whose", "application/json", body.to_string());
    for body in [
        json!({}),
        json!({ "of": [{ "secret": stranger() }] }),
        json!({ "of": [{ "verifier": "x" }] }),
        json!({ "of": [], "more": 1 }),
        json!({ "of": vec![json!({ "client_id": "ex-prod-abcdefghijklmnopqrst" }); 101] }),
    ] {
        let refused = ask(body);
        assert_eq!((refused.status, refused.code().as_str()), (400, "bad-json"));
    }
    assert_eq!(ask(json!({ "of": [] })).text(), "[]");
}

#[test]
fn the_commands_of_the_readme_tell_whose_it_is_and_end_it() {
    let harness = Harness::start();
    let keys = harness.issue(&Approval::new());
    let text = format!("log: token request {} {}\n", keys.only().client_id, keys.only().secret);
    std::fs::write(harness.path().join("client/leaked.txt"), text).unwrap();
    let tallyd = format!("{} --config {}", env!("CARGO_BIN_EXE_tallyd"), harness.configuration().display());
    let mut command = std::process::Command::new("bash");
    command.args(["-euc", &tested("whose").replace("tallyd ", &format!("{tallyd} "))]);
    command.current_dir(harness.path().join("client"));
    let ran = finish(command).expect_exit(0);
    assert_eq!(ran.out.matches("secret 1 (ex_test_…)").count(), 2, "{}", ran.out);
    assert!(!verifies(&harness, &keys));
}
