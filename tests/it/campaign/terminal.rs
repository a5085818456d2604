//! A campaign at a terminal and without one: who is asked, what is drawn, and where.

use std::process::Command;

use tallyd::domain::ids::Environment;
use tallyd::domain::time::Timestamp;

use super::{agency, ordered_by_campaigns};
use crate::harness::Harness;
use crate::harness::operator::{BINARY, Ran, finish};
use crate::harness::stock::Stocked;
use crate::readme::tested;

/// Runs the command at a terminal of its own, types an answer, and gives what stood on the screen.
fn at_a_terminal(harness: &Harness, arguments: &[&str], typed: &str) -> Ran {
    let configuration = harness.configuration().display().to_string();
    program_at_a_terminal(&[&[BINARY], arguments, &["--config", &configuration]].concat(), typed)
}

fn program_at_a_terminal(program: &[&str], typed: &str) -> Ran {
    // A pty, a fork, and a relay of what is said: more than the shell has, less than a program of its own.
    let script = "import os, pty, sys\n\
                  child, terminal = pty.fork()\n\
                  if child == 0: os.execvp(sys.argv[2], sys.argv[2:])\n\
                  os.write(terminal, sys.argv[1].encode())\n\
                  try:\n    \
                      while True: os.write(1, os.read(terminal, 4096))\n\
                  except OSError: pass\n\
                  sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))";
    let mut command = Command::new("python3");
    command.args(["-c", script, typed]).args(program);
    command.env("TERM", "xterm");
    finish(command)
}

const ORDER: &[&str] = &["reissue", "--all", "--reason", "Yearly", "--at-a-time", "1"];

#[test]
fn whoever_sits_at_a_terminal_is_asked_with_the_number_and_sees_a_bar() {
    let (harness, clients) = agency(40, |_| {});
    let size = harness.journal_size();
    let no = at_a_terminal(&harness, ORDER, "n\n").expect_exit(1);
    assert!(no.out.contains("New credentials for 40 clients. The old ones live until"), "{}", no.out);
    assert!(no.out.contains("Nothing was changed."), "{}", no.out);
    assert_eq!(harness.journal_size(), size);
    let yes = at_a_terminal(&harness, ORDER, "yes\n").expect_exit(0);
    assert!(yes.out.contains(" of 40 clients, ") && yes.out.contains(" a second, "), "rate and number: {}", yes.out);
    assert!(yes.out.contains(" left"), "remaining time: {}", yes.out);
    assert_eq!(ordered_by_campaigns(&harness).len(), clients.len());
    let again = at_a_terminal(&harness, &["reissue", "--all", "--reason", "r", "--compromised"], "\n").expect_exit(1);
    assert!(again.out.contains("New credentials for 40 clients. The old ones are refused at once."), "{}", again.out);
}

#[test]
fn without_a_terminal_nothing_is_done_unasked_and_nothing_is_drawn() {
    let (harness, _) = agency(5, |_| {});
    let size = harness.journal_size();
    let unasked = harness.run(ORDER).expect_exit(2);
    assert!(unasked.err.contains("cannot re-issue 5 clients: nobody can be asked"), "{}", unasked.err);
    assert!(unasked.err.contains("hint: give --yes"), "{}", unasked.err);
    assert_eq!(harness.journal_size(), size);
    let ran = harness.run(&[ORDER, &["--yes"]].concat()).expect_exit(0);
    assert!(!ran.err.contains('\u{1b}') && !ran.err.contains('\r'), "{:?}", ran.err);
    assert!(!ran.out.contains('\u{1b}'), "{:?}", ran.out);
}

/// As an operator types them, one after the other, with a day that is near enough whenever the test runs.
#[test]
fn the_commands_of_the_readme_work_as_it_prints_them() {
    let mut harness = Harness::start();
    let clients: Vec<_> = (0..8)
        .map(|number| Stocked {
            environment: Environment::Production,
            life: Some(std::time::Duration::from_secs(86_400)),
            ..Stocked::new(number)
        })
        .collect();
    harness.stock(&clients);
    let soon = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond()).unwrap();
    let soon = soon.after(std::time::Duration::from_secs(3 * 86_400)).date();
    let commands = tested("campaign").replace("2027-03-01", &soon);
    let (binary, configuration) = (BINARY, harness.configuration().display().to_string());
    let mut ordered = Vec::new();
    for line in commands.lines() {
        let script = format!("tallyd() {{ {binary} --config {configuration} \"$@\"; }}; {line}");
        program_at_a_terminal(&["bash", "-c", &script], "y\n").expect_exit(0);
        ordered.push(ordered_by_campaigns(&harness).len());
    }
    assert_eq!(ordered, [0, 5, 8]);
}
