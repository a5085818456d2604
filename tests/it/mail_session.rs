//! Sessions and certificates: what a worker may rely on when the relay behaves, and whom it never talks to.

use std::time::Duration;

use tallyd::mail::{Alarm, CertificateFault, Deadlines, Following, MailFailure, Phase, Trouble, Verdict};

use crate::mail_fixture::{DEADLINES, Outcome, Pki, SHARE, deliver, deliver_over, mail, recipient, relay, self_signed};
use crate::sink::{Behaviour, Door, Sink};

#[tokio::test]
async fn a_greylisted_recipient_is_taken_the_second_time_on_the_same_session() {
    let pki = Pki::new();
    let sink = Sink::start(Behaviour::Grey450, Door::StartTls, pki.good()).await.unwrap();
    let (first, session) = deliver(&relay(&sink, Door::StartTls, &pki, false, DEADLINES)).await;
    assert_eq!(first.result.unwrap_err().verdict(), Verdict::Later);
    let (second, _) = deliver_over(session.unwrap()).await;
    assert_eq!(second, Outcome { result: Ok(250), kept: true });
    assert_eq!((sink.connections(), sink.sessions()), (1, 1));
}

#[tokio::test]
async fn what_arrives_is_what_was_written() {
    let pki = Pki::new();
    let sink = Sink::start(Behaviour::Ok, Door::Implicit, pki.good()).await.unwrap();
    deliver(&relay(&sink, Door::Implicit, &pki, true, DEADLINES)).await.0.result.unwrap();
    let [mail] = &sink.wait_for(1).await[..] else { panic!("one mail") };
    assert_eq!((mail.from.as_str(), &mail.to[..]), ("retur@myndigheten.example", &["api@exempel.se".to_owned()][..]));
    let message = mail_parser::MessageParser::default().parse(&mail.raw).unwrap();
    // In the text it stands in lines.
    let text: String = message.body_text(0).unwrap().lines().collect();
    assert!(text.contains(SHARE));
    assert!(message.body_html(0).unwrap().contains(SHARE));
}

#[tokio::test]
async fn a_session_is_closed_after_its_number_of_mails_and_an_offer_can_be_withdrawn() {
    let pki = Pki::new();
    let sink = Sink::start(Behaviour::Ok, Door::Implicit, pki.good()).await.unwrap();
    sink.take_one_command_at_a_time();
    let session = relay(&sink, Door::Implicit, &pki, false, DEADLINES).connect().await.unwrap();
    let session = session.offer(&recipient()).await.unwrap().withdraw().await.unwrap();
    let session = deliver_over(session).await.1.unwrap().if_alive().await.unwrap();
    let session = deliver_over(session).await.1.unwrap();
    assert!(session.if_alive().await.is_none());
    assert_eq!(sink.mails().len(), 2);
    assert_eq!(sink.commands().last().unwrap(), "QUIT");
    assert!(sink.commands().contains(&"RSET".to_owned()) && sink.commands().contains(&"NOOP".to_owned()));
}

#[tokio::test]
async fn the_next_recipient_leaves_with_the_mail_before_it_as_long_as_the_session_carries_more() {
    let pki = Pki::new();
    for pipelining in [true, false] {
        let sink = Sink::start(Behaviour::Ok, Door::Implicit, pki.good()).await.unwrap();
        if !pipelining {
            sink.take_one_command_at_a_time();
        }
        let session = relay(&sink, Door::Implicit, &pki, false, DEADLINES).connect().await.unwrap();
        let offered = session.offer(&recipient()).await.unwrap();
        let next = "other@exempel.se".parse().unwrap();
        let (following, sent) = offered.send_and_offer(mail(), &next).await;
        assert_eq!(sent.unwrap().reply().code, 250);
        let offered = match following {
            Following::Offered(offered) if pipelining => offered,
            Following::Nothing(Some(session)) if !pipelining => session.offer(&next).await.unwrap(),
            Following::Offered(_) | Following::Refused(..) | Following::Nothing(_) => {
                panic!("pipelining: {pipelining}")
            }
        };
        assert_eq!(offered.to(), &next);
        assert_eq!((sink.mails().len(), sink.refused()), (1, 0));
        // The fixture's sessions carry two mails.
        drop(offered);
        let session = relay(&sink, Door::Implicit, &pki, false, DEADLINES).connect().await.unwrap();
        let (first, session) = deliver_over(session).await;
        assert_eq!(first.result, Ok(250));
        let offered = session.unwrap().if_alive().await.unwrap().offer(&recipient()).await.unwrap();
        let (following, sent) = offered.send_and_offer(mail(), &next).await;
        assert!(matches!(following, Following::Nothing(Some(_))) && sent.is_ok());
    }
}

#[tokio::test]
async fn a_relay_that_waits_for_the_mail_is_hung_up_on_when_there_will_be_none() {
    let pki = Pki::new();
    let sink = Sink::start(Behaviour::Ok, Door::Implicit, pki.good()).await.unwrap();
    let session = relay(&sink, Door::Implicit, &pki, false, DEADLINES).connect().await.unwrap();
    let offered = session.offer(&recipient()).await.unwrap();
    assert_eq!(sink.commands().last().unwrap(), "DATA");
    assert!(offered.withdraw().await.is_none());
    deliver(&relay(&sink, Door::Implicit, &pki, false, DEADLINES)).await.0.result.unwrap();
    assert_eq!((sink.mails().len(), sink.refused()), (1, 0));
}

#[tokio::test]
async fn a_relay_that_waits_for_a_mail_to_nobody_gets_none() {
    let pki = Pki::new();
    for behaviour in [Behaviour::Sender550, Behaviour::Rcpt550] {
        let sink = Sink::start(behaviour, Door::Implicit, pki.good()).await.unwrap();
        sink.wait_for_a_mail_regardless();
        let (refused, session) = deliver(&relay(&sink, Door::Implicit, &pki, false, DEADLINES)).await;
        assert!(matches!(refused.result, Err(MailFailure::Refused { .. })), "{refused:?}");
        assert!(session.is_none() && !refused.kept);
        assert_eq!(sink.commands().last().unwrap(), "DATA");
        assert_eq!((sink.mails().len(), sink.refused()), (0, 0));
    }
}

#[tokio::test]
async fn sender_recipient_and_data_leave_together_only_where_the_relay_offers_it() {
    let pki = Pki::new();
    for pipelining in [true, false] {
        let sink = Sink::start(Behaviour::Sender550, Door::Implicit, pki.good()).await.unwrap();
        if !pipelining {
            sink.take_one_command_at_a_time();
        }
        let (refused, session) = deliver(&relay(&sink, Door::Implicit, &pki, false, DEADLINES)).await;
        assert!(matches!(refused.result, Err(MailFailure::Refused { phase: Phase::Sender, .. })), "{refused:?}");
        // The recipient was named before the sender was refused, or not at all.
        for command in ["RCPT", "DATA"] {
            assert_eq!(sink.commands().contains(&command.to_owned()), pipelining);
        }
        sink.behave(Behaviour::Ok);
        deliver_over(session.unwrap()).await.0.result.unwrap();
    }
}

#[tokio::test]
async fn a_mail_to_another_mailbox_than_the_one_offered_is_not_sent() {
    let pki = Pki::new();
    for pipelining in [true, false] {
        let sink = Sink::start(Behaviour::Ok, Door::Implicit, pki.good()).await.unwrap();
        if !pipelining {
            sink.take_one_command_at_a_time();
        }
        let session = relay(&sink, Door::Implicit, &pki, false, DEADLINES).connect().await.unwrap();
        let offered = session.offer(&"other@exempel.se".parse().unwrap()).await.unwrap();
        let (session, result) = offered.send(mail()).await;
        assert_eq!((session.is_some(), result.unwrap_err()), (!pipelining, MailFailure::Misaddressed));
        assert_eq!(sink.commands().contains(&"DATA".to_owned()), pipelining);
        assert_eq!((sink.mails().len(), sink.refused()), (0, 0));
    }
}

#[tokio::test]
async fn a_relay_that_went_away_while_the_session_lay_idle_is_noticed() {
    let pki = Pki::new();
    let sink = Sink::start(Behaviour::Ok, Door::Implicit, pki.good()).await.unwrap();
    let session = relay(&sink, Door::Implicit, &pki, false, DEADLINES).connect().await.unwrap();
    drop(sink);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(session.if_alive().await.is_none());
}

#[tokio::test]
async fn a_certificate_that_is_not_good_ends_it_before_anything_is_said() {
    let (pki, other) = (Pki::new(), Pki::new());
    for (name, tls, right) in [
        ("another name", pki.server("relay.exempel.se", 2020..2200), CertificateFault::WrongName),
        ("expired", pki.server("127.0.0.1", 2020..2021), CertificateFault::Expired),
        ("not yet valid", pki.server("127.0.0.1", 2190..2200), CertificateFault::NotYetValid),
        ("unknown authority", other.good(), CertificateFault::UnknownIssuer),
        ("self-signed", self_signed(), CertificateFault::UnknownIssuer),
    ] {
        for door in [Door::Implicit, Door::StartTls] {
            let sink = Sink::start(Behaviour::Ok, door, tls.clone()).await.unwrap();
            let failure = deliver(&relay(&sink, door, &pki, true, DEADLINES)).await.0.result.unwrap_err();
            assert_eq!(failure, MailFailure::Untrusted(Alarm::Certificate(right)), "{name} {door:?}");
            assert!(failure.is_alarm());
            assert_eq!(sink.sessions(), 0, "{name} {door:?}");
            assert!(!String::from_utf8_lossy(&sink.clear()).contains("AUTH"), "{name} {door:?}");
        }
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_no_alarm() {
    let pki = Pki::new();
    let sink = Sink::start(Behaviour::Ok, Door::Implicit, pki.good()).await.unwrap();
    let gone = relay(&sink, Door::Implicit, &pki, false, DEADLINES);
    drop(sink);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let failure = gone.connect().await.unwrap_err();
    assert_eq!(failure, MailFailure::Unreachable { phase: Phase::Connect, trouble: Trouble::NoAnswer });
    assert!(!failure.is_alarm());
}

#[tokio::test]
async fn a_reply_within_its_own_time_does_not_pass_the_end_of_the_whole() {
    let pki = Pki::new();
    let sink = Sink::start(Behaviour::SlowHello, Door::Implicit, pki.good()).await.unwrap();
    let deadlines = Deadlines { overall: Duration::from_millis(300), ..DEADLINES };
    let failure = relay(&sink, Door::Implicit, &pki, false, deadlines).connect().await.unwrap_err();
    assert_eq!(failure, MailFailure::Unreachable { phase: Phase::Hello, trouble: Trouble::TimedOut });
}
