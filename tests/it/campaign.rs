//! New credentials for many clients: what a campaign would do, what it does, and that it does it once, whatever happens
//! in between.

mod interrupted;
mod terminal;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tallyd::domain::ids::Environment;

use crate::harness::approval::Approval;
use crate::harness::mailbox::PartOne;
use crate::harness::operator::Ran;
use crate::harness::stock::Stocked;
use crate::harness::{Harness, Settings};
use crate::sink::Behaviour;

const DAY: Duration = Duration::from_secs(86_400);

/// An agency with so many clients, all alike.
fn agency(count: usize, change: impl FnOnce(&mut Settings)) -> (Harness, Vec<Stocked>) {
    let mut harness = Harness::start_with(change);
    let clients: Vec<_> = (0..count).map(Stocked::new).collect();
    harness.stock(&clients);
    (harness, clients)
}

/// The lines of `--json`: what stands under this name in each.
fn lines(ran: &Ran, name: &str) -> Vec<Value> {
    let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line.get(name).cloned()).collect()
}

/// The clients with this outcome.
fn with(clients: &[Value], outcome: &str) -> BTreeSet<String> {
    let chosen = clients.iter().filter(|client| client["outcome"] == outcome);
    chosen.map(|client| client["application_id"].as_str().unwrap().to_owned()).collect()
}

/// How many orders each client was given by campaigns.
fn ordered_by_campaigns(harness: &Harness) -> BTreeMap<String, usize> {
    let mut orders = BTreeMap::new();
    for entry in harness.entries("issuance.opened") {
        if !entry["data"]["campaign"].is_null() {
            *orders.entry(entry["subject"]["application"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    orders
}

/// Every one of these was re-issued by campaigns, once, and nobody else.
#[track_caller]
fn once_each(harness: &Harness, clients: &[Stocked]) {
    let expected = clients.iter().map(|client| (client.application.clone(), 1)).collect();
    assert_eq!(ordered_by_campaigns(harness), expected);
    for client in clients.iter().step_by(17) {
        let mailbox = &client.contacts[0];
        harness.until("mail with part 1", || (!parts(harness, mailbox).is_empty()).then_some(()));
    }
    harness.until("quiet couriers", || (harness.entries("mail.accepted").len() == 2 * clients.len()).then_some(()));
    for client in clients {
        assert_eq!(parts(harness, &client.contacts[0]).len(), 1, "{}", client.application);
    }
}

fn parts(harness: &Harness, mailbox: &str) -> Vec<PartOne> {
    let mails = harness.sink().mails();
    mails.iter().filter(|mail| mail.to == [mailbox]).filter_map(|mail| PartOne::read(&mail.raw)).collect()
}

/// The one campaign that there is.
fn campaign(harness: &Harness) -> Value {
    let listed = harness.run(&["campaigns", "--all", "--json"]).expect_exit(0);
    let [campaign] = &listed.out.lines().collect::<Vec<_>>()[..] else { panic!("{listed:?}") };
    serde_json::from_str(campaign).unwrap()
}

/// 64 clients of two organisations, two environments, three APIs and several ends.
fn mixed() -> Vec<Stocked> {
    let client = |number: usize| {
        let production = number.is_multiple_of(4);
        Stocked {
            environment: if production { Environment::Production } else { Environment::Test },
            organisation: if number.is_multiple_of(3) {
                ("2021000001", "Exempelverket")
            } else {
                ("5590000005", "Exempel AB")
            },
            api: if number.is_multiple_of(5) { "population-register" } else { "addresses" },
            labels: if number.is_multiple_of(5) { &["apigw", "oauth2"] } else { &["oauth2"] },
            contacts: [format!("api+{number}@exempel.se"), format!("chef+{number}@exempel.se")]
                [..1 + usize::from(number.is_multiple_of(2))]
                .to_vec(),
            life: (!number.is_multiple_of(6)).then(|| DAY * u32::try_from(100 + number).unwrap()),
            ..Stocked::new(number)
        }
    };
    (0..64).map(client).collect()
}

#[test]
fn a_dry_run_changes_nothing_and_shows_exactly_what_the_run_then_does() {
    let mut harness = Harness::start();
    let clients = mixed();
    harness.stock(&clients);
    // One whose order is open and parked at the relay, and one with nothing to replace.
    harness.sink().behave(Behaviour::Banner421);
    harness.run(&["reissue", &clients[1].application, "--reason", "Alone"]).expect_exit(0);
    harness.run(&["revoke", &clients[2].application, "--reason", "Gone"]).expect_exit(0);
    let size = harness.journal_size();
    let dry = harness.run(&["reissue", "--all", "--dry-run", "--grace", "2d", "--json"]).expect_exit(0);
    let for_people = harness.run(&["reissue", "--all", "--dry-run", "--grace", "2d"]).expect_exit(0);
    assert_eq!(harness.journal_size(), size, "a dry run is not on record");
    let foreseen = lines(&dry, "client");
    let summary = json!([
        { "outcome": "re-issue", "clients": 62 },
        { "outcome": "skip", "cause": "no-live-credential", "clients": 1 },
        { "outcome": "skip", "cause": "order-open", "clients": 1 },
    ]);
    assert_eq!(lines(&dry, "summary"), [summary]);
    assert!(for_people.err.ends_with("Nothing was changed.\n"), "{for_people:?}");
    let row = for_people.out.lines().find(|line| line.contains(" A-2026-00008 ")).unwrap();
    for cell in ["Exempel AB", "production", "addresses", "v1 until the new one is proven, and 2d"] {
        assert!(row.contains(cell), "{row}");
    }
    assert!(row.ends_with("api+8@exempel.se (part-1), chef+8@exempel.se (notice)"), "{row}");
    assert!(for_people.out.contains(" skip      order-open          1\n"), "{}", for_people.out);

    harness.sink().behave(Behaviour::Ok);
    harness.part_one(&clients[1].contacts[0], 0);
    let ran =
        harness.run(&["reissue", "--all", "--reason", "Yearly", "--grace", "2d", "--yes", "--json"]).expect_exit(0);
    let done = lines(&ran, "client");
    assert_eq!(with(&done, "ordered"), with(&foreseen, "re-issue"));
    assert_eq!(with(&done, "skipped"), with(&foreseen, "skip"));
    let causes = |clients: &[Value]| -> BTreeMap<String, Value> {
        let skipped = clients.iter().filter(|client| !client["cause"].is_null());
        skipped.map(|client| (client["application_id"].to_string(), client["cause"].clone())).collect()
    };
    assert_eq!(causes(&done), causes(&foreseen));

    // Who was to get mail gets it, and what it was to be; nobody else does.
    for client in foreseen.iter().filter(|client| client["outcome"] == "re-issue") {
        for mail in client["mail"].as_array().unwrap() {
            let address = mail["email"].as_str().unwrap();
            harness.until("foreseen mail", || match mail["gets"][0].as_str().unwrap() {
                "part-1" => (parts(&harness, address).len() == 1).then_some(()),
                _ => (harness.notices(address).len() == 1).then_some(()),
            });
        }
    }
    let foreseen_mails = foreseen.iter().map(|client| client["mail"].as_array().unwrap().len()).sum::<usize>();
    // And part 1 of the single order, and that the revoked keys are no more, to both contacts.
    harness.until("quiet couriers", || (harness.sink().mails().len() == foreseen_mails + 3).then_some(()));
    let campaign = campaign(&harness);
    assert_eq!(
        (&campaign["state"], &campaign["matched"], &campaign["ordered"]),
        (&json!("completed"), &json!(62), &json!(62))
    );
    let opened = harness.entries("campaign.opened");
    assert_eq!((&opened[0]["data"]["matched"], &opened[0]["actor"]["who"]), (&json!(62), &json!("operator")));
    assert_eq!(harness.entries("campaign.closed")[0]["data"], json!({ "outcome": "completed", "ordered": 62 }));
    assert!(opened[0]["seq"].as_u64() < harness.entries("issuance.opened").last().unwrap()["seq"].as_u64());
}

#[test]
fn filters_choose_each_and_together() {
    let mut harness = Harness::start();
    let clients = mixed();
    harness.stock(&clients);
    let day = |days: u32| {
        let now = jiff::Timestamp::now().as_millisecond();
        tallyd::domain::time::Timestamp::from_millis(now).unwrap().after(DAY * days).date()
    };
    let soon = day(130);
    type Choice<'a> = (&'a [&'a str], &'a dyn Fn(&Stocked) -> bool);
    let ends_soon = |client: &Stocked| client.life.is_some_and(|life| life < DAY * 129);
    let choices: &[Choice] = &[
        (&[], &|_| true),
        (&["--environment", "production"], &|it| it.environment == Environment::Production),
        (&["--api", "population-register"], &|it| it.api == "population-register"),
        (&["--api", "sandbox"], &|_| false),
        (&["--organisation", "202100-0001"], &|it| it.organisation.0 == "2021000001"),
        (&["--ends-before", &soon], &ends_soon),
        (
            &["--environment", "test", "--api", "addresses", "--organisation", "16559000-0005", "--ends-before", &soon],
            &|it| {
                it.environment == Environment::Test
                    && it.api == "addresses"
                    && it.organisation.0 == "5590000005"
                    && ends_soon(it)
            },
        ),
    ];
    for (filters, expected) in choices {
        // The last day is on neither side: which one depends on the hour.
        let edge = |it: &Stocked| it.life.is_some_and(|life| (DAY * 129..=DAY * 131).contains(&life));
        let ran = harness.run(&[&["reissue", "--all", "--dry-run", "--json"], *filters].concat()).expect_exit(0);
        let mut found = with(&lines(&ran, "client"), "re-issue");
        let mut wanted: BTreeSet<_> =
            clients.iter().filter(|it| expected(it)).map(|it| it.application.clone()).collect();
        for client in clients.iter().filter(|it| edge(it)) {
            found.remove(&client.application);
            wanted.remove(&client.application);
        }
        assert_eq!(found, wanted, "{filters:?}");
    }
    let nobody = harness.run(&["reissue", "--all", "--api", "sandbox", "--reason", "r", "--yes"]).expect_exit(1);
    assert!(nobody.err.contains("No client would be re-issued") && nobody.err.contains("hint: "), "{}", nobody.err);

    // The run takes the same filters, and the next one finds whom this one left.
    harness.run(&["reissue", "--all", "--environment", "production", "--reason", "r", "--yes"]).expect_exit(0);
    let production: Vec<_> = clients.iter().filter(|it| it.environment == Environment::Production).cloned().collect();
    let expected = production.iter().map(|it| (it.application.clone(), 1)).collect();
    assert_eq!(ordered_by_campaigns(&harness), expected);
    assert_eq!(campaign(&harness)["filter"], json!({ "environment": "production" }));
    let rest = harness.run(&["reissue", "--all", "--dry-run", "--json"]).expect_exit(0);
    let rest = lines(&rest, "client");
    assert_eq!((with(&rest, "re-issue").len(), with(&rest, "skip").len()), (48, 16));
}

#[test]
fn compromised_the_old_ones_are_refused_before_the_command_returns() {
    let harness = Harness::start();
    let approvals = [Approval::new(), Approval::new()];
    let keys: Vec<_> = approvals.iter().map(|approval| harness.issue(approval)).collect();
    let works = |keys: &crate::harness::keys::Keys| {
        harness.gateway().verify(&keys.only().client_id, &keys.only().secret) == 204
    };
    assert!(keys.iter().all(works));
    let ran = harness.run(&["reissue", "--all", "--compromised", "--reason", "Leaked", "--case", "I-1", "--yes"]);
    assert!(!keys.iter().any(works));
    ran.expect_exit(0);
    let entries = harness.entries("credential.ended");
    assert!(entries.len() == 2 && entries.iter().all(|entry| entry["data"]["cause"] == "compromised"));
    for (approval, order) in approvals.iter().zip(harness.entries("reissue.ordered")) {
        assert_eq!((&order["data"]["reason"], &order["data"]["case"]), (&json!("Leaked"), &json!("I-1")));
        assert!(works(&harness.receive(approval, 1)));
    }
}

#[test]
fn a_single_approval_does_not_wait_for_a_whole_campaign() {
    let (harness, clients) = agency(120, |settings| settings.mail = "sessions = 1".to_owned());
    // The one session is held in the middle of its first mail while everything is ordered.
    harness.sink().behave(Behaviour::Late250);
    harness.run(&["reissue", "--all", "--reason", "Yearly", "--yes"]).expect_exit(0);
    let single = Approval::new();
    harness.approve(&single);
    harness.sink().behave(Behaviour::Ok);
    harness.part_one(single.technical(), 0);
    harness.until("rest of the campaign", || (harness.entries("mail.accepted").len() == 2 * 120 + 1).then_some(()));
    let mails = harness.sink().mails();
    let place = mails.iter().position(|mail| mail.to == [single.technical()]).unwrap();
    assert!(place < 40, "only what was read ahead goes before it: {place} of {}", mails.len());
    assert_eq!(ordered_by_campaigns(&harness).len(), clients.len());
}

#[test]
fn a_limit_holds_and_a_campaign_that_was_given_up_is_over() {
    let (harness, clients) = agency(12, |_| {});
    let few = harness.run(&["reissue", "--all", "--reason", "A few", "--limit", "5", "--yes", "--json"]).expect_exit(0);
    assert_eq!(with(&lines(&few, "client"), "ordered").len(), 5);
    let first = campaign(&harness);
    assert_eq!((&first["state"], &first["limit"], &first["ordered"]), (&json!("completed"), &json!(5), &json!(5)));
    let over = harness.run(&["reissue", "--all", "--resume", first["campaign_id"].as_str().unwrap()]).expect_exit(1);
    assert!(over.err.contains("it has ended (completed)"), "{}", over.err);

    let order = json!({ "reason": "By hand", "grace_seconds": 60 }).to_string();
    let opened = harness.operator().post("/v1/reissues/all", "application/json", order);
    assert_eq!((opened.status, &opened.json()["matched"]), (201, &json!(7)), "five have new keys on their way");
    let id = opened.json()["campaign_id"].as_str().unwrap().to_owned();
    let pages = format!("/v1/campaigns/{id}/pages");
    let page = harness.operator().post(&pages, "application/json", json!({ "limit": 8 }).to_string()).json();
    assert_eq!((with(page["clients"].as_array().unwrap(), "ordered").len(), &page["ordered"]), (3, &json!(3)));
    let unfinished = harness.run(&["campaigns"]).expect_exit(0);
    assert!(unfinished.out.contains(&id) && unfinished.out.contains(" 3 of 7 "), "{unfinished:?}");
    let given_up = harness.run(&["campaigns", "--give-up", &id]).expect_exit(0);
    assert!(given_up.err.contains("3 of 7 clients were re-issued"), "{}", given_up.err);
    let again = harness.operator().post(&pages, "application/json", "{}").json();
    assert_eq!((&again["state"], &again["ordered"]), (&json!("given-up"), &json!(3)));
    harness.run(&["reissue", "--all", "--resume", &id]).expect_exit(1);
    let end = format!("/v1/campaigns/{id}/end");
    let otherwise = harness.operator().post(&end, "application/json", json!({ "outcome": "completed" }).to_string());
    assert_eq!((otherwise.status, otherwise.code().as_str()), (409, "campaign-over"));
    assert_eq!(harness.run(&["campaigns"]).expect_exit(0).err, "No campaign is unfinished.\n");
    assert_eq!(ordered_by_campaigns(&harness).len(), 8);
    assert!(clients.len() > 8);
}

#[test]
fn what_cannot_be_meant_is_refused_and_nothing_is_opened() {
    let (harness, _) = agency(3, |_| {});
    let ask = |path: &str, body: Value| harness.operator().post(path, "application/json", body.to_string());
    for (body, pointer) in [
        (json!({ "reason": "r", "environment": "staging" }), "/environment"),
        (json!({ "reason": "r", "api": "a b" }), "/api"),
        (json!({ "reason": "r", "organisation": "5590000006" }), "/organisation"),
        (json!({ "reason": "r", "ends_before": "tomorrow" }), "/ends_before"),
        (json!({ "reason": "r", "compromised": true, "grace_seconds": 1 }), "/grace_seconds"),
        (json!({ "reason": "r", "limit": 0 }), "/limit"),
        (json!({ "reason": "r", "limit": u64::MAX }), "/limit"),
        (json!({ "reason": "" }), "/reason"),
        (json!({}), "/reason"),
        (json!({ "reason": "r", "client": "A-1" }), "/client"),
    ] {
        let refused = ask("/v1/reissues/all", body);
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]));
    }
    assert_eq!(ask("/v1/reissues/all/preview", json!({ "limit": 501 })).pointers(), ["/limit"]);
    assert_eq!(ask("/v1/campaigns/x/pages", json!({})).code(), "unknown-campaign");
    let unknown = format!("/v1/campaigns/{}/end", "0198c2f4-0000-7000-8000-000000000001");
    assert_eq!(ask(&unknown, json!({ "outcome": "completed" })).code(), "unknown-campaign");
    let too_long = ask("/v1/reissues/all", json!({ "reason": "r", "grace_seconds": u32::MAX }));
    assert_eq!(too_long.code(), "grace-too-long");
    assert_eq!(harness.entries("campaign.opened").len(), 0);
}

#[test]
fn what_one_client_takes_a_case_or_a_second_person_for_all_do_not_go_without() {
    let user = rustix::process::getuid().as_raw();
    let rules = "case_required = [\"reissue\"]\nfour_eyes = [\"reissue-compromised\"]";
    let (harness, _) = agency(2, |settings| settings.operator = format!("users = [{user}, \"daemon\"]\n{rules}"));
    let all = ["reissue", "--all", "--reason", "r", "--yes"];
    let without = harness.run(&all).expect_exit(1);
    assert!(without.err.contains("asks for a case number"), "{}", without.err);
    let alone = harness.run(&[&all[..], &["--compromised", "--case", "C-1"]].concat()).expect_exit(0);
    assert!(alone.err.contains("Nothing has been done yet: this takes a second person."), "{}", alone.err);
    assert_eq!(harness.entries("campaign.opened").len(), 0);
    harness.run(&[&all[..], &["--case", "C-1"]].concat()).expect_exit(0);
    assert_eq!(ordered_by_campaigns(&harness).len(), 2);
}
