//! Every route × every kind of caller, from the route table of the daemon itself, over real sockets.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use http::Method;
use tallyd::http::client::{NoAnswer, Question};
use tallyd::http::route::{Door, Methods, Route};
use tallyd::http::service::Service;

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::operator::finish;
use crate::harness::people::Client;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Fate {
    /// The certificate is refused by TLS, so no request is read.
    Handshake,
    /// The certificate is good and nobody here goes by it.
    Unknown,
    /// There is nothing at this path, as far as the caller can tell.
    Nothing,
    /// The handler answered, with this status.
    Served(u16),
}

/// What each route answers to the one whom it is for, asked with an empty body and without a query. A route that is not
/// here fails the test.
fn proper(door: Door, pattern: &str) -> Fate {
    Fate::Served(match (door, pattern) {
        (Door::Intake, "/v1/events") => 415,
        (Door::Intake, "/v1/issuances/{id}") => 200,
        (Door::Intake, "/v1/issuances") => 400,
        (Door::Pickup, "/assets/page.js" | "/assets/page.css") => 200,
        (Door::Pickup, "/" | "/v1/deliveries" | "/v1/deliveries/{reference}") => 200,
        (Door::Pickup, "/v1/deliveries/{reference}/collect") => 410,
        (Door::Pickup, "/v1/deliveries/{reference}/confirm") => 415,
        (Door::Gateway, "/v1/verify") => 401,
        (Door::Operator, "/v1/clients" | "/v1/entries" | "/v1/campaigns" | "/v1/requests") => 200,
        (Door::Operator, "/v1/client" | "/v1/contacts" | "/v1/campaigns/{campaign}") => 404,
        (Door::Operator, "/v1/campaigns/{campaign}/pages" | "/v1/campaigns/{campaign}/end") => 404,
        (Door::Operator, "/v1/reissues" | "/v1/reissues/all" | "/v1/reissues/all/preview") => 400,
        (Door::Operator, "/v1/revocations" | "/v1/bounces" | "/v1/whose") => 400,
        (Door::Operator, "/v1/requests/{request}" | "/v1/requests/{request}/approve") => 404,
        (Door::Operator, "/v1/requests/{request}/deny") => 400,
        (Door::Operator, pattern) if pattern.starts_with("/v1/contacts/") => 400,
        (Door::Returns, "/v1/bounces") => 400,
        (Door::Metrics, "/healthz" | "/readyz" | "/metrics") => 200,
        other => panic!("{other:?} is new: say here what it answers"),
    })
}

/// A caller, the door that he comes to, and what he meets there.
struct Caller {
    name: &'static str,
    client: Client,
    meets: fn(Door, &str) -> Fate,
}

fn at_home(own: Door, door: Door, pattern: &str) -> Fate {
    if own == door { proper(door, pattern) } else { Fate::Nothing }
}

fn callers(harness: &Harness) -> Vec<Caller> {
    let (ports, files) = (&harness.ports, &harness.files);
    let caller = |name, port, pair, meets| Caller { name, client: harness.client_of(port, pair), meets };
    let mut callers = vec![
        caller("a sender at intake", ports.intake, Some(&files.sender), |door, pattern| {
            at_home(Door::Intake, door, pattern)
        }),
        caller(
            "the organisation at pickup, test",
            ports.pickup_test,
            Some(&files.organisation_test),
            |door, pattern| at_home(Door::Pickup, door, pattern),
        ),
        // The delivery is one of the test environment, so in production it does not exist.
        caller(
            "the organisation at pickup, production",
            ports.pickup_production,
            Some(&files.organisation_production),
            |door, pattern| match pattern {
                "/v1/deliveries/{reference}" | "/v1/deliveries/{reference}/collect" => Fate::Nothing,
                other => at_home(Door::Pickup, door, other),
            },
        ),
        caller("a gateway at its door", ports.gateway, Some(&files.gateway), |door, pattern| {
            at_home(Door::Gateway, door, pattern)
        }),
        // The same authority, the wrong system.
        caller("a gateway at intake", ports.intake, Some(&files.gateway), |_, _| Fate::Unknown),
        caller("a sender at the gateway door", ports.gateway, Some(&files.sender), |_, _| Fate::Unknown),
    ];
    let doors = [
        ("intake", ports.intake, &[&files.organisation_test, &files.organisation_production][..]),
        ("pickup, test", ports.pickup_test, &[&files.sender, &files.gateway, &files.organisation_production]),
        ("pickup, production", ports.pickup_production, &[&files.sender, &files.gateway, &files.organisation_test]),
        ("gateway", ports.gateway, &[&files.organisation_test, &files.organisation_production]),
    ];
    for (name, port, strangers) in doors {
        callers.push(caller(name, port, None, |_, _| Fate::Handshake));
        for pair in strangers {
            callers.push(caller(name, port, Some(pair), |_, _| Fate::Handshake));
        }
    }
    let client = harness.operator();
    let meets: fn(Door, &str) -> Fate = |door, pattern| match pattern {
        // Open to both, by routes of their own.
        "/v1/bounces" => proper(Door::Operator, pattern),
        other => at_home(Door::Operator, door, other),
    };
    callers.push(Caller { name: "an operator", client, meets });
    callers
}

fn fate(client: &Client, method: Method, target: &str) -> Fate {
    let question = Question { method, target: target.to_owned(), body: None, headers: vec![] };
    match client.try_ask(question) {
        Ok(reply) if reply.status == 404 && reply.code() == "not-found" => Fate::Nothing,
        Ok(reply) if reply.status == 403 && reply.code() == "certificate-not-known" => Fate::Unknown,
        Ok(reply) => Fate::Served(reply.status),
        // Which alert it is, and when it comes, is the matter of the TLS tests.
        Err(NoAnswer::Refused(_) | NoAnswer::Tls(_) | NoAnswer::Broken(_)) => Fate::Handshake,
        Err(other) => panic!("{target}: {other}"),
    }
}

fn method(route: &Route<Service>) -> Method {
    match route.methods {
        Methods::Get | Methods::Any => Method::GET,
        Methods::Post => Method::POST,
    }
}

#[test]
fn every_route_serves_its_own_callers_and_does_not_exist_for_others() {
    let harness = Harness::start();
    let approval = Approval::new();
    let accepted = harness.approve(&approval);
    let reference = harness.part_one(approval.technical(), 0).reference;
    harness.receive(&approval, 0);
    harness.until("a quiet journal", || (harness.entries("notice.accepted").len() == 5).then_some(()));
    let before = harness.journal_size();
    let router = tallyd::daemon::doors::router().unwrap();
    let mut asked = 0;
    for caller in callers(&harness) {
        for route in router.routes() {
            let target = route.pattern.replace("{id}", accepted["issuance_id"].as_str().unwrap());
            let target = target.replace("{reference}", &reference).replace("{campaign}", "x");
            let target = target.replace("{request}", "K7QF-2M9D-0R4T-8WXZ");
            let met = fate(&caller.client, method(route), &target);
            assert_eq!(met, (caller.meets)(route.door(), route.pattern), "{}: {route:?}", caller.name);
            asked += 1;
        }
    }
    for route in router.routes() {
        let expected = at_home(Door::Metrics, route.door(), route.pattern);
        let target = route.pattern.replace(['{', '}'], "");
        let answer = harness.metrics(&target).unwrap();
        let status = if expected == Fate::Nothing { "404" } else { "200" };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{route:?}: {answer}");
    }
    assert!(asked >= 16 * 15, "{asked} were asked");
    // The organisation asked in production for a delivery of the test environment. Nothing else left a trace.
    harness.until("entry of the refused pickup", || (harness.entries("pickup.refused").len() == 1).then_some(()));
    assert_eq!(harness.journal_size(), before + 1);
}

#[test]
fn other_methods_are_refused_with_those_that_are_served() {
    let harness = Harness::start();
    let router = tallyd::daemon::doors::router().unwrap();
    for route in router.routes() {
        let client = match route.door() {
            Door::Intake => harness.sender(),
            Door::Pickup => harness.recipient(tallyd::domain::ids::Environment::Test),
            Door::Operator => harness.operator(),
            // The mail system has the account of nobody here; `returned` asks as that.
            Door::Gateway | Door::Returns | Door::Metrics | Door::Witness => continue,
        };
        let target = route.pattern.replace("{id}", "x").replace("{reference}", "K7QF2M9D").replace("{campaign}", "x");
        let target = target.replace("{request}", "K7QF-2M9D-0R4T-8WXZ");
        let reply = client.request(Method::DELETE, &target, &[], None);
        let expected = if method(route) == Method::POST { "POST" } else { "GET, HEAD" };
        assert_eq!((reply.status, reply.header("allow").as_str()), (405, expected), "{route:?}");
    }
}

#[test]
fn an_account_that_is_no_operator_is_not_heard() {
    let root = rustix::process::geteuid().is_root();
    assert!(root, "to become another user takes root: run these tests as root, as tests/run does in CI");
    let harness = Harness::start();
    let run = harness.path().join("run");
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ask = |user: u32| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--unix-socket"]).arg(run.join("operator.sock")).arg("http://localhost/v1/clients");
        command.uid(user).current_dir("/");
        finish(command)
    };
    assert_eq!(ask(0).expect_exit(0).out, "[]");
    let nobody = ask(65_534);
    // curl tells the same hang-up by three numbers, by when it notices.
    assert!([7, 52, 56].contains(&nobody.exit) && nobody.out.is_empty(), "{nobody:?}");
    let figures = harness.metrics("/metrics").unwrap();
    let refused =
        figures.lines().find(|line| line.contains("connections_refused_total") && line.contains("SocketPeer"));
    assert!(refused.is_some_and(|line| line.ends_with(" 1")), "{figures}");
}

#[test]
fn whoever_asks_too_often_is_told_when_to_come_again_and_takes_nothing_from_others() {
    let harness = Harness::start_with(|settings| settings.sender = "requests_per_second = 5".to_owned());
    let other = harness.client_of(harness.ports.intake, Some(&harness.files.incident_response));
    let sender = harness.sender();
    let began = std::time::Instant::now();
    let mut served = 0;
    let refused = harness.until("refusal", || {
        let reply = sender.get("/v1/issuances/x");
        served += 1;
        (reply.status != 404).then_some(reply)
    });
    let regained = 5.0 * began.elapsed().as_secs_f64();
    assert!((11.0..=12.0 + regained).contains(&f64::from(served)), "a burst of twice five: {served}");
    assert_eq!((refused.status, refused.code().as_str()), (429, "too-many-requests"));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(other.get("/v1/issuances/x").status, 404, "another sender");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(sender.get("/v1/issuances/x").status, 404);

    let recipient = harness.recipient(tallyd::domain::ids::Environment::Test);
    let spent = (0..200).map(|_| recipient.get("/assets/page.js").status).take_while(|status| *status == 200).count();
    assert_eq!(spent, 200, "the script costs nothing");
    let served = (0..200).map(|_| recipient.get("/v1/deliveries").status).take_while(|status| *status == 200).count();
    assert!((120..140).contains(&served), "{served}");
    let renewed = harness.files.organisation(tallyd::domain::ids::Environment::Test, "Exempel AB", "165590000005");
    let renewed = harness.recipient_with(tallyd::domain::ids::Environment::Test, &renewed);
    assert_eq!(renewed.get("/v1/deliveries").status, 200, "another certificate");
}
