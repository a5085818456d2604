//! Every misbehaviour of a relay that the sink knows, against the mail room: the right verdict, in time, nothing of a share
//! before TLS, bounded memory (FAULTS, section 2.4). The control is the mail library's own STARTTLS, which must fall
//! for what ours finds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tallyd::mail::{Alarm, Following, LoginFault, MailFailure, Phase, ReplyCode, Trouble};

use crate::mail_fixture::{DEADLINES, Outcome, Pki, deliver, deliver_over, mail, recipient, relay};
use crate::sink::{Behaviour, Door, Sink};

/// What is right for each behaviour. The list is complete because the `match` is.
pub(crate) fn expected(behaviour: Behaviour) -> (Door, Outcome) {
    use Behaviour as B;
    let sent = || Outcome { result: Ok(250), kept: true };
    let fails = |kept, failure| Outcome { result: Err(failure), kept };
    let said = |text: &str| {
        let (code, enhanced) = text.split_once(' ').map_or((text, None), |(code, rest)| (code, Some(rest)));
        ReplyCode { code: code.parse().unwrap(), enhanced: enhanced.map(|status| status.parse().unwrap()) }
    };
    let deferred = |kept, phase, text| fails(kept, MailFailure::Deferred { phase, reply: said(text) });
    let refused = |kept, phase, text| fails(kept, MailFailure::Refused { phase, reply: said(text) });
    let unreachable = |phase, trouble| fails(false, MailFailure::Unreachable { phase, trouble });
    let unknown = |trouble| fails(false, MailFailure::Unknown { trouble });
    let untrusted = |alarm| fails(false, MailFailure::Untrusted(alarm));
    let login = |fault| fails(false, MailFailure::Login(fault));
    let unexpected = |text| Trouble::Unexpected(said(text));
    use Door::{Implicit, StartTls};
    match behaviour {
        B::Ok | B::No8BitMime | B::Rcpt251 | B::DropQuit | B::HangQuit | B::SlowHello => (Implicit, sent()),
        B::Grey450 => (Implicit, deferred(true, Phase::Recipient, "450 4.2.0")),
        B::Banner421 => (Implicit, deferred(false, Phase::Banner, "421 4.3.2")),
        B::Banner554 => (StartTls, refused(false, Phase::Banner, "554 5.3.2")),
        B::SilentBanner => (StartTls, unreachable(Phase::Banner, Trouble::TimedOut)),
        B::SilentHandshake => (Implicit, unreachable(Phase::Tls, Trouble::TimedOut)),
        B::CloseHandshake => (Implicit, unreachable(Phase::Tls, Trouble::Closed)),
        B::PlainTextOnTlsPort => (Implicit, untrusted(Alarm::Handshake)),
        B::TarpitBanner => (Implicit, unreachable(Phase::Banner, Trouble::TimedOut)),
        B::GarbageBanner => (Implicit, unreachable(Phase::Banner, Trouble::Garbled)),
        B::TalkativeBanner => (Implicit, unreachable(Phase::Banner, Trouble::Surplus)),
        B::Hello550 => (Implicit, refused(false, Phase::Hello, "550")),
        B::SilentHello => (Implicit, unreachable(Phase::Hello, Trouble::TimedOut)),
        B::EndlessHello | B::HugeLineHello => (Implicit, unreachable(Phase::Hello, Trouble::ReplyTooLong)),
        B::StripStartTls => (StartTls, untrusted(Alarm::StartTlsMissing)),
        B::TalkativeClearHello | B::InjectBytes | B::Inject552 => (StartTls, untrusted(Alarm::Injected)),
        B::InjectAfter220 => (StartTls, untrusted(Alarm::Handshake)),
        B::StartTls454 => (StartTls, untrusted(Alarm::StartTlsRefused(said("454 4.7.0")))),
        B::StartTls250 => (StartTls, untrusted(Alarm::StartTlsRefused(said("250")))),
        B::TinySize => (Implicit, refused(true, Phase::Content, "552 5.3.4")),
        B::AuthCramOnly => (Implicit, login(LoginFault::NotOffered)),
        B::Auth535 => (Implicit, login(LoginFault::Refused(said("535 5.7.8")))),
        B::Auth454 => (Implicit, deferred(false, Phase::Login, "454 4.7.0")),
        B::Auth334 => (Implicit, login(LoginFault::Challenge)),
        B::AuthHang => (Implicit, unreachable(Phase::Login, Trouble::TimedOut)),
        B::Sender451 => (Implicit, deferred(true, Phase::Sender, "451 4.3.0")),
        B::Sender550 => (Implicit, refused(true, Phase::Sender, "550 5.7.1")),
        B::Rcpt450 => (Implicit, deferred(true, Phase::Recipient, "450 4.2.0")),
        B::Rcpt550 | B::Rcpt550Bytes => (Implicit, refused(true, Phase::Recipient, "550 5.1.1")),
        B::Rcpt421 => (Implicit, deferred(false, Phase::Recipient, "421 4.3.2")),
        B::Rcpt252 => (Implicit, unreachable(Phase::Recipient, unexpected("252"))),
        B::LateRcpt => (Implicit, unreachable(Phase::Recipient, Trouble::TimedOut)),
        B::RcptTwice => (Implicit, unreachable(Phase::Recipient, Trouble::Surplus)),
        B::Data451 => (Implicit, deferred(true, Phase::Data, "451 4.3.0")),
        B::Data554 => (Implicit, refused(true, Phase::Data, "554 5.5.1")),
        B::Data250 => (Implicit, unreachable(Phase::Data, unexpected("250"))),
        B::SilentData => (Implicit, unreachable(Phase::Data, Trouble::TimedOut)),
        B::DataAndContent => (Implicit, unreachable(Phase::Data, Trouble::Surplus)),
        B::CloseAfter354 | B::Drop250 | B::Reset250 => (Implicit, unknown(Trouble::Closed)),
        B::Content452 => (Implicit, deferred(true, Phase::Content, "452 4.3.1")),
        B::Content552 => (Implicit, refused(true, Phase::Content, "552 5.3.4")),
        B::Content554 => (StartTls, refused(true, Phase::Content, "554 5.7.1")),
        B::Content421 => (Implicit, deferred(false, Phase::Content, "421 4.3.2")),
        B::Content220 => (Implicit, unknown(unexpected("220"))),
        B::Content251 => (Implicit, unknown(unexpected("251"))),
        B::Content354 => (Implicit, unknown(unexpected("354"))),
        B::Hang250 | B::Late250 | B::Drip250 => (Implicit, unknown(Trouble::TimedOut)),
        B::EndlessContent | B::HugeLineContent => (Implicit, unknown(Trouble::ReplyTooLong)),
        B::GarbageContent | B::BytesContent | B::BareLfContent | B::MixedContent => {
            (Implicit, unknown(Trouble::Garbled))
        }
        B::TwiceContent => (Implicit, unknown(Trouble::Surplus)),
    }
}

async fn one_behaviour(behaviour: Behaviour, pipelining: bool, pki: Arc<Pki>) {
    let (door, right) = expected(behaviour);
    let sink = Sink::start(behaviour, door, pki.good()).await.unwrap();
    if !pipelining {
        sink.take_one_command_at_a_time();
    }
    // Logging in everywhere puts a password on each wire that could leak it; the relay without AUTH is another test.
    let wants_login = !matches!(behaviour, Behaviour::No8BitMime | Behaviour::TinySize);
    let relay = relay(&sink, door, &pki, wants_login, DEADLINES);

    let started = Instant::now();
    let (outcome, session) = deliver(&relay).await;
    let took = started.elapsed();

    if behaviour == Behaviour::RcptTwice && pipelining {
        // The second reply answers DATA, which has left already; whether one more lies behind it depends on the moment.
        let unreachable =
            |trouble| Outcome { result: Err(MailFailure::Unreachable { phase: Phase::Data, trouble }), kept: false };
        let wrong_code = Trouble::Unexpected(ReplyCode { code: 250, enhanced: None });
        assert!([Trouble::Surplus, wrong_code].map(unreachable).contains(&outcome), "{behaviour:?}: {outcome:?}");
    } else {
        assert_eq!(outcome, right, "{behaviour:?}");
    }
    assert!(took < DEADLINES.overall * 2, "{behaviour:?} took {took:?}");
    assert_eq!(
        sink.mails().len(),
        usize::from(outcome.result.is_ok()),
        "{behaviour:?}: accepted exactly what is reported"
    );
    nothing_in_clear(&sink, "tallyd.exempel.se", behaviour);

    // What is said to be usable is usable.
    if let Some(session) = session {
        sink.behave(Behaviour::Ok);
        let alive = session.if_alive().await.unwrap_or_else(|| panic!("{behaviour:?}: the session does not live"));
        let (again, _) = deliver_over(alive).await;
        assert_eq!(again.result, Ok(250), "{behaviour:?}: the session is out of step");
    }
}

/// The misbehaviour meets the envelope that leaves together with the mail before it.
async fn one_behaviour_behind_a_mail(behaviour: Behaviour, pki: Arc<Pki>) {
    let (door, right) = expected(behaviour);
    let (phase, right) = match right.result {
        Err(failure) => (phase(failure), right),
        Ok(_) => return,
    };
    let sink = Sink::start(Behaviour::Ok, door, pki.good()).await.unwrap();
    let session = relay(&sink, door, &pki, false, DEADLINES).connect().await.unwrap();
    let offered = session.offer(&recipient()).await.unwrap();
    sink.behave(behaviour);
    let (following, sent) = offered.send_and_offer(mail(), &recipient()).await;
    let sent = sent.map(|receipt| receipt.reply().code);
    let out_of_step = |failure: &MailFailure| {
        matches!(failure, MailFailure::Unknown { trouble: Trouble::Unexpected(_) | Trouble::Surplus })
    };
    match (phase, following) {
        (Phase::Sender | Phase::Recipient | Phase::Data, Following::Refused(session, failure)) => {
            assert_eq!((sent, session.is_some()), (Ok(250), right.kept), "{behaviour:?}");
            assert_eq!(Err(failure), right.result, "{behaviour:?}");
        }
        (Phase::Recipient | Phase::Data, Following::Nothing(None)) => {
            assert!(sent.as_ref().is_err_and(out_of_step), "{behaviour:?}: {sent:?}");
        }
        (Phase::Content, Following::Nothing(None)) => {
            assert!(!right.kept, "{behaviour:?}");
            let fits = sent == right.result || sent.as_ref().is_err_and(out_of_step);
            assert!(fits, "{behaviour:?}: {sent:?}");
        }
        (Phase::Content, Following::Offered(offered)) => {
            assert_eq!((sent, true), (right.result, right.kept), "{behaviour:?}");
            assert!(offered.withdraw().await.is_none());
        }
        (phase, _) => panic!("{behaviour:?} at {phase:?}: {sent:?}"),
    }
}

/// Where in a transaction a misbehaviour shows.
fn phase(failure: MailFailure) -> Phase {
    match failure {
        MailFailure::Deferred { phase, .. }
        | MailFailure::Refused { phase, .. }
        | MailFailure::Unreachable { phase, .. } => phase,
        MailFailure::Unknown { .. } => Phase::Content,
        MailFailure::Untrusted(_) | MailFailure::Login(_) | MailFailure::Misaddressed => Phase::Connect,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_behaviour_behind_a_mail_gets_the_right_verdict_too() {
    let pki = Arc::new(Pki::new());
    let mut all = tokio::task::JoinSet::new();
    for behaviour in Behaviour::ALL {
        let within =
            |failure| matches!(phase(failure), Phase::Sender | Phase::Recipient | Phase::Data | Phase::Content);
        // The one was met before; the others change what the mail before them is answered, or end with it.
        let left_out = [Behaviour::Grey450, Behaviour::TinySize, Behaviour::DataAndContent, Behaviour::CloseAfter354];
        if expected(*behaviour).1.result.is_err_and(within) && !left_out.contains(behaviour) {
            all.spawn(one_behaviour_behind_a_mail(*behaviour, pki.clone()));
        }
    }
    assert!(all.len() >= 25, "{} behaviours", all.len());
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

pub(crate) fn nothing_in_clear(sink: &Sink, hello: &str, behaviour: Behaviour) {
    let clear = String::from_utf8_lossy(&sink.clear()).into_owned();
    for line in clear.lines() {
        assert!(line == "STARTTLS" || line.strip_prefix("EHLO ") == Some(hello), "{behaviour:?}: {line:?} in clear");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_behaviour_gets_the_right_verdict_in_time() {
    let pki = Arc::new(Pki::new());
    let few = Arc::new(tokio::sync::Semaphore::new(8));
    let mut all = tokio::task::JoinSet::new();
    for behaviour in Behaviour::ALL {
        for pipelining in [true, false] {
            let (pki, few) = (pki.clone(), few.clone());
            all.spawn(async move {
                let _turn = few.acquire().await.unwrap();
                one_behaviour(*behaviour, pipelining, pki).await;
            });
        }
    }
    assert!(all.len() >= 80, "the goal is forty behaviours, with and without PIPELINING");
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

/// The control: as long as this holds, the table above would see the hole that our own STARTTLS closes.
#[tokio::test]
async fn control_the_librarys_own_starttls_reports_a_refused_mail_as_sent() {
    use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
    use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

    // The library takes the process's provider; another test may have installed it already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let pki = Pki::new();
    let sink = Sink::start(Behaviour::Inject552, Door::StartTls, pki.good()).await.unwrap();
    let parameters = TlsParameters::builder("127.0.0.1".to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(Certificate::from_pem(pki.roots_pem.as_bytes()).unwrap())
        .build_rustls()
        .unwrap();
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(sink.port())
        .tls(Tls::Required(parameters))
        .build();
    let message = Message::builder()
        .from("api@myndigheten.example".parse().unwrap())
        .to("api@exempel.se".parse().unwrap())
        .body("no part of anything".to_owned())
        .unwrap();

    let reported = tokio::time::timeout(Duration::from_secs(5), transport.send(message)).await.unwrap();
    assert!(reported.is_ok(), "the library has mended it: {reported:?}");
    assert_eq!((sink.mails().len(), sink.refused()), (0, 1), "the sink refused it");
}

/// Runs in a process of its own, so that no other test's memory is measured.
#[test]
fn endless_replies_cost_no_memory() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "mail_hostile::endless_replies_in_this_process", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
#[ignore = "run by endless_replies_cost_no_memory in a process of its own"]
async fn endless_replies_in_this_process() {
    let pki = Pki::new();
    let sink = Sink::start(Behaviour::Ok, Door::Implicit, pki.good()).await.unwrap();
    let relay = relay(&sink, Door::Implicit, &pki, false, DEADLINES);
    deliver(&relay).await.0.result.unwrap();
    let before = peak_kib();
    for behaviour in
        [Behaviour::EndlessHello, Behaviour::HugeLineHello, Behaviour::EndlessContent, Behaviour::HugeLineContent]
    {
        sink.behave(behaviour);
        deliver(&relay).await.0.result.unwrap_err();
    }
    let grown = peak_kib() - before;
    assert!(grown <= 8 * 1024, "{grown} KiB");
}

/// The highest resident size that this process ever had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
