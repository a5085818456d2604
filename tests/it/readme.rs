//! The commands of the README, run as they are printed there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tallyd::domain::ids::Environment;

use crate::harness::Harness;
use crate::harness::approval::Approval;

#[test]
fn a_recipient_with_curl_and_python_gets_working_keys() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let desk = desk(&harness);

    let part_two: Value = serde_json::from_str(&desk.run("collect", &part_one.reference, "", "")).unwrap();
    let share = part_two["shares"][0]["share"].as_str().unwrap();
    let both = format!("{}\n{share}\n", part_one.shares["oauth2"]);
    let combined = desk.run("combine", &part_one.reference, "", &both);
    let (secret, proof) = combined.trim().split_once(' ').unwrap();
    harness.remember_secret(secret);
    let client_id = part_two["shares"][0]["client_id"].as_str().unwrap();
    assert_eq!(harness.gateway().verify(client_id, secret), 401);

    let receipt: Value = serde_json::from_str(&desk.run("confirm", &part_one.reference, proof, "")).unwrap();
    assert_eq!(receipt["state"], "active");
    assert_eq!(harness.gateway().verify(client_id, secret), 204);
}

#[test]
fn the_event_of_the_readme_is_accepted() {
    let harness = Harness::start();
    let event: Value = serde_json::from_str(&block("json")).unwrap();
    let reply = harness.sender().post_event(&event);
    assert_eq!(reply.status, 202, "{reply:?}");
    harness.part_one(event["data"]["contacts"][0]["email"].as_str().unwrap(), 0);
}

/// A technician's directory, with the organisation's certificate in it.
struct Desk {
    directory: PathBuf,
    authority: PathBuf,
    pickup: String,
}

fn desk(harness: &Harness) -> Desk {
    let directory = harness.path().join("outside");
    std::fs::create_dir_all(&directory).unwrap();
    let pair = &harness.files.organisation_test;
    std::fs::copy(&pair.certificate, directory.join("organisation.pem")).unwrap();
    std::fs::copy(&pair.key, directory.join("organisation.key")).unwrap();
    let pickup = format!("https://localhost:{}", harness.ports.pickup(Environment::Test));
    Desk { directory, authority: harness.files.server_ca(), pickup }
}

impl Desk {
    /// Runs a block of the README in a shell, with what the README says to set.
    fn run(&self, name: &str, reference: &str, proof: &str, input: &str) -> String {
        let mut shell = Command::new("bash")
            .args(["-eu", "-c", &block(&format!("tested: {name}"))])
            .current_dir(&self.directory)
            .env("PICKUP", &self.pickup)
            .env("REFERENCE", reference)
            .env("PROOF", proof)
            .env("CURL_CA_BUNDLE", &self.authority)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let ended = shell.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{name}: {said}\n{}", String::from_utf8_lossy(&ended.stdout));
        String::from_utf8(ended.stdout).unwrap()
    }
}

/// A fenced block of the README: the first after its mark, or the first of its language.
pub(crate) fn block(mark: &str) -> String {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (start, fence) = match mark.strip_prefix("tested: ") {
        Some(_) => (readme.find(&format!("<!-- {mark} -->")), "```"),
        None => (readme.find(&format!("```{mark}\n")), "```"),
    };
    let rest = &readme[start.unwrap_or_else(|| panic!("the README has no block {mark}"))..];
    let body = rest.split_once(fence).unwrap().1.split_once('\n').unwrap().1;
    body.split_once("\n```").unwrap().0.to_owned()
}
