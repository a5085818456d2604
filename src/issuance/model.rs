//! The proof of the state machine: a model checker runs the real decisions and the real fold in every order of events,
//! up to a depth.
//!
//! One application's whole life is played by two operators, a case system that posts its events again and again, two
//! couriers at a relay that answers as it likes and when it likes, a partner, a stranger, crashes at any moment, and
//! time. What they do is [`Command`](crate::store::contract::Command)s of this room, unchanged; the model stands in for
//! the writer (load, decide, fold, keep, then answer) and for what the couriers of `deliver` do between commands. The
//! store's transactions, files and sockets are not in it: those have tests of their own.
//!
//! A property that does not hold is reported with the actions that lead there. `TALLYD_MODEL_DEPTH=n` looks n actions
//! deep where that is more than usual; each action more takes about a third longer. 42 actions lead everywhere: then all
//! states of the model have been seen, about a million, in some ten minutes.

mod action;
mod flaw;
mod play;
mod properties;
mod script;
mod world;

use stateright::{Checker, HasDiscoveries, Model};

use action::Cast;
use flaw::Flaw;
use play::Play;

/// How many actions deep the checks look: beyond the confirmation of a re-issue beside the credential before it.
const OPERATORS_DEPTH: usize = 18;
const SENDERS_DEPTH: usize = 12;
const FOUR_EYES_DEPTH: usize = 10;

#[test]
fn whatever_two_operators_order_the_promises_hold() {
    check(Cast::Operators, OPERATORS_DEPTH);
}

#[test]
fn whatever_is_posted_again_the_promises_hold() {
    check(Cast::Senders, SENDERS_DEPTH);
}

#[test]
fn where_it_takes_two_nobody_acts_alone() {
    check(Cast::FourEyes, FOUR_EYES_DEPTH);
}

fn check(cast: Cast, usual: usize) {
    let deeper = std::env::var("TALLYD_MODEL_DEPTH").map_or(0, |depth| depth.parse().unwrap());
    run(Play::new(cast, None), usual.max(deeper), HasDiscoveries::AnyFailures).assert_properties();
}

/// Whether a core with this flaw breaks this promise.
fn breaks(flaw: Flaw, promise: &'static str) -> bool {
    breaks_among(Cast::Operators, OPERATORS_DEPTH, flaw, promise)
}

fn breaks_among(cast: Cast, depth: usize, flaw: Flaw, promise: &'static str) -> bool {
    let found = HasDiscoveries::AnyOf([promise].into());
    let checked = run(Play::new(cast, Some(flaw)), depth, found);
    checked.discovery(promise).is_some()
}

/// Looks at every state that so many actions lead to. The checker counts the states of a path, the first and one that
/// it does not look at any more among them.
fn run(play: Play, actions: usize, until: HasDiscoveries) -> impl Checker<Play> {
    play.checker().finish_when(until).target_max_depth(actions + 2).spawn_bfs().join()
}

#[test]
fn without_the_comparison_of_proofs_a_credential_verifies_before_its_proof() {
    assert!(breaks(Flaw::AnyProofWillDo, properties::NONE_BEFORE_ITS_PROOF));
}

#[test]
fn a_generation_out_of_turn_contradicts_the_state() {
    assert!(breaks(Flaw::GeneratesOutOfTurn, properties::DECISIONS_FIT));
}

#[test]
fn a_relays_word_for_what_was_overtaken_contradicts_the_state() {
    assert!(breaks(Flaw::SettlesWhatWasOvertaken, properties::DECISIONS_FIT));
}

#[test]
fn a_confirmation_that_forgets_the_version_before_contradicts_the_state() {
    assert!(breaks(Flaw::LeavesTheOldOneActive, properties::DECISIONS_FIT));
}

#[test]
fn a_grace_without_an_end_leaves_two_credentials() {
    assert!(breaks(Flaw::GraceWithoutEnd, properties::ONE_OUTSIDE_A_GRACE));
}

#[test]
fn a_compromised_credential_that_is_not_ended_verifies_again() {
    assert!(breaks(Flaw::EndsNothing, properties::NONE_COMES_BACK));
}

#[test]
fn a_mail_that_is_handed_over_again_goes_out_twice() {
    assert!(breaks(Flaw::MailsAgainWhenNoReplyCame, properties::MAILED_ONCE));
}

#[test]
fn what_a_crash_leaves_behind_is_stuck_until_it_is_cleared_up() {
    assert!(breaks(Flaw::NothingIsClearedUp, properties::A_WAY_ON));
}

#[test]
fn an_answer_before_the_commit_is_a_broken_word() {
    assert!(breaks(Flaw::AnswersBeforeTheCommit, properties::WORD_IS_KEPT));
}

#[test]
fn without_the_question_for_a_second_person_an_operator_acts_alone() {
    assert!(breaks_among(Cast::FourEyes, FOUR_EYES_DEPTH, Flaw::ActsAlone, properties::TWO_PEOPLE));
}

#[test]
fn whoever_approves_his_own_request_contradicts_the_state() {
    assert!(breaks_among(Cast::FourEyes, FOUR_EYES_DEPTH, Flaw::ApprovesOwn, properties::DECISIONS_FIT));
}

#[test]
fn whoever_approves_too_late_contradicts_the_state() {
    assert!(breaks_among(Cast::FourEyes, FOUR_EYES_DEPTH, Flaw::ApprovesLate, properties::DECISIONS_FIT));
}
