//! Three years of one client, in simulated time. In the end the journal verifies, the tables are what it adds up to, and
//! the timeline is the one that `tallyd show` prints.

mod agency;

use self::agency::{Agency, OTHERS, OURS, operator};
use super::agreement::AgreementChange;
use super::approve::{ApproveRefusal, EventAnswer};
use super::bounce::Aftermath;
use super::order::OrderRefusal;
use super::request_word::{Approved, WordRefusal};
use super::reuse::ReuseRefusal;
use crate::domain::credential::{CredentialState, EndCause};
use crate::domain::ids::Environment;
use crate::domain::issuance::{FailCause, IssuanceState, Replacement};
use crate::domain::notice::{Addressee, NoticeKind};
use crate::domain::request::{News, RequestState};

#[test]
#[expect(clippy::print_stdout, reason = "whoever runs it alone reads the three years")]
fn three_years_of_one_client() {
    let mut agency = Agency::new();

    // The approval comes before the agreement, and another organisation's agreement of that name releases nothing.
    assert!(matches!(agency.approve("A-1", "register", |_| ()), Ok(EventAnswer::Accepted { .. })));
    agency.agreement(OTHERS, AgreementChange::Signed { until: None });
    agency.live_to_day(1);
    assert_eq!(agency.ours().issuance.state, IssuanceState::WaitingForAgreement);
    assert_eq!(agency.reissue(Replacement::GraceSeconds(0)), Err(OrderRefusal::AgreementAwaited));

    // Released; nobody picks up until half of the window is over.
    agency.signed_until_day(365);
    assert!(matches!(agency.ours().issuance.state, IssuanceState::AwaitingPickup { .. }));
    agency.live_to_day(10);
    let reminded: Vec<_> = agency.told.iter().filter(|(_, what, _)| *what == NoticeKind::Reminder).collect();
    assert_eq!(reminded.iter().map(|(day, ..)| *day).collect::<Vec<_>>(), [8, 8], "once, to both contacts");
    let first = agency.pick_up();
    assert_eq!(agency.apis(&first), Some(vec!["register".to_owned()]));

    // Further APIs for the same keys; what cannot be is refused with its reason and changes nothing.
    agency.live_to_day(30);
    let before = agency.ours();
    let refused = |refusal| Err(ApproveRefusal::Reuse(refusal));
    assert_eq!(agency.reuse("A-2", "statistics", "A-9"), refused(ReuseRefusal::UnknownApplication));
    let label = ReuseRefusal::LabelMissing("apigw".parse().unwrap());
    assert_eq!(agency.reuse("A-2", "permits", "A-1"), refused(label));
    let theirs = agency.approve("A-2", "statistics", |requested| {
        (requested.reuse, requested.number) = (Some("A-1".parse().unwrap()), OTHERS.parse().unwrap());
    });
    assert_eq!(theirs, refused(ReuseRefusal::OtherOrganisation));
    let test = agency.approve("A-2", "statistics", |requested| {
        (requested.reuse, requested.environment) = (Some("A-1".parse().unwrap()), Environment::Test);
    });
    assert_eq!(test, refused(ReuseRefusal::OtherEnvironment));
    assert_eq!(agency.ours(), before);
    assert!(matches!(agency.reuse("A-2", "statistics", "A-1"), Ok(EventAnswer::Reused { .. })));
    agency.tend();
    assert_eq!(agency.apis(&first), Some(vec!["register".to_owned(), "statistics".to_owned()]));
    assert_eq!(agency.told.iter().filter(|(_, what, _)| *what == NoticeKind::Granted).count(), 2);
    assert_eq!(agency.client(&"A-2".parse().unwrap()), agency.ours(), "the new case is another name for the client");
    assert!(matches!(agency.approve("A-2", "statistics", |_| ()), Ok(EventAnswer::AlreadyIssued { .. })));

    // Steps ahead of the agreement's end, over a restart and a clock that is set back; then it is renewed.
    agency.live_to_day(310);
    agency.restart();
    agency.sleep_to_day(280);
    agency.live_to_day(340);
    assert_eq!(agency.ends_told_on(), [275, 305, 335]);
    agency.signed_until_day(800);
    agency.live_to_day(366);
    assert!(agency.verifies(&first), "a renewal prolongs without a new secret");

    // Now its own life ends first: two years from day 10. A re-issue by event replaces it in time.
    agency.live_to_day(700);
    assert_eq!(agency.ends_told_on(), [650, 680]);
    agency.reissue(Replacement::GraceSeconds(7 * 86_400)).unwrap();
    agency.live_to_day(701);
    let second = agency.pick_up();
    assert!(agency.verifies(&first) && agency.verifies(&second));
    agency.live_to_day(708);
    assert!(!agency.verifies(&first) && agency.verifies(&second));

    // Nobody looks for a long time: only the most urgent step is told, and no earlier one afterwards.
    agency.sleep_to_day(786);
    agency.live_to_day(790);
    assert_eq!(agency.ends_told_on(), [786]);
    agency.signed_until_day(860);
    // 90 days ahead had passed when it was renewed, so that step counts as told.
    agency.live_to_day(841);
    assert!(agency.verifies(&second));
    assert_eq!(agency.ends_told_on(), [800, 830]);
    agency.agreement(OURS, AgreementChange::Signed { until: None });

    // The keys become known. One operator asks for new ones, cannot approve that himself, and nothing has happened yet.
    agency.live_to_day(1000);
    let (anna, bo) = (operator(1000, "anna"), operator(1001, "bo"));
    let request = agency.ask_for_compromised(&anna);
    assert_eq!(agency.say_yes(&anna, request), Ok(Approved::Own));
    assert!(agency.verifies(&second));
    // Another one approves: the old keys are refused before he is answered.
    assert!(matches!(agency.say_yes(&bo, request), Ok(Approved::CarriedOut(..))));
    assert!(!agency.verifies(&second));
    assert!(matches!(agency.say_yes(&bo, request), Err(WordRefusal::Closed(_))), "one request brings one order");
    // The mail with the new ones comes back: the delivery is withdrawn, the operators are told, and order anew.
    assert_eq!(agency.mail_comes_back(), Aftermath::Withdrawn);
    assert_eq!(agency.ours().issuance.state, IssuanceState::Failed { cause: FailCause::Bounced });
    assert_eq!(agency.mail_comes_back(), Aftermath::Over, "it comes back once");
    let returned: Vec<_> = agency.told.iter().filter(|(_, what, _)| *what == NoticeKind::Bounced).collect();
    assert!(matches!(returned[..], [(1000, _, Addressee::Operators)]));
    // Nobody has a second word for the next order in time, and it expires; then somebody does.
    let forgotten = agency.ask_for_compromised(&bo);
    agency.live_to_day(1002);
    assert!(matches!(agency.say_yes(&anna, forgotten), Err(WordRefusal::Closed(RequestState::Expired { .. }))));
    let request = agency.ask_for_compromised(&bo);
    assert!(matches!(agency.say_yes(&anna, request), Ok(Approved::CarriedOut(..))));
    let news = [News::Made, News::Approved, News::Made, News::Expired, News::Made, News::Approved];
    assert_eq!(agency.reported.iter().map(|(_, news)| *news).collect::<Vec<_>>(), news);
    let third = agency.pick_up();
    assert!(agency.verifies(&third));
    agency.check();

    // The agreement is ended, and with it everything, at once.
    agency.live_to_day(1095);
    assert_eq!(agency.ends_told_on(), Vec::<u64>::new());
    agency.agreement(OURS, AgreementChange::Ended);
    assert!(!agency.verifies(&third));
    let newest = agency.ours().credentials.into_values().next_back().unwrap();
    assert!(matches!(newest.state, CredentialState::Ended { cause: EndCause::AgreementEnded, .. }));
    assert_eq!(agency.told.iter().filter(|(_, what, _)| *what == NoticeKind::Ended).count(), 3);
    assert_eq!(agency.reissue(Replacement::GraceSeconds(0)), Err(OrderRefusal::AgreementOver));
    assert_eq!(agency.reuse("A-3", "statistics", "A-1"), refused(ReuseRefusal::NotActive));

    // Signed anew, it brings nothing back; new keys may be ordered.
    agency.agreement(OURS, AgreementChange::Signed { until: None });
    assert!(!agency.verifies(&third));
    agency.reissue(Replacement::GraceSeconds(0)).unwrap();
    let fourth = agency.pick_up();
    assert!(agency.verifies(&fourth) && !agency.verifies(&third));
    agency.check();
    agency.restart();
    assert!(agency.verifies(&fourth) && !agency.verifies(&first));

    // The journal verifies, and this is what it says of the client.
    agency.check();
    let timeline = agency.timeline();
    println!("{timeline}");
    insta::assert_snapshot!(timeline);
}

#[test]
fn what_waits_is_released_also_when_the_agreement_came_first_and_an_end_takes_it_back() {
    let mut agency = Agency::new();
    agency.signed_until_day(100);
    agency.approve("A-1", "register", |_| ()).unwrap();
    agency.tend();
    assert!(matches!(agency.ours().issuance.state, IssuanceState::AwaitingPickup { .. }));
    agency.agreement(OURS, AgreementChange::Ended);
    assert!(matches!(agency.ours().issuance.state, IssuanceState::Cancelled { .. }));
    assert!(agency.ours().on_its_way().is_none());
    agency.check();
}
