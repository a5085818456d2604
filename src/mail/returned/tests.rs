//! Notifications as mail systems write them, by the RFC, and as strangers might.

use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};

use super::*;

const ID: &str = "019aaf5e-7b00-7000-8000-000000000001";

/// The head of a mail of ours.
fn ours() -> String {
    format!(
        "Received: from tallyd.exempel.se\r\n\tby relay.exempel.se with ESMTPS\r\nFrom: Exempelmyndigheten <api@exempel.se>\r\n\
         To: api@partner.example\r\nSubject: API keys, delivery K7QF-2M9D: part 1 of 2\r\n\
         Message-ID: <{ID}@exempel.se>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/alternative; boundary=\"=_{ID}\"\r\n\r\n"
    )
}

/// A mail of ours, whole.
fn our_mail() -> String {
    format!(
        "{}--=_{ID}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPart 1: tally1.K7QF2M9D.mail.oauth2.AAAA\r\n\
         --=_{ID}\r\nContent-Type: text/html\r\n\r\n<p>tally1.K7QF2M9D.mail.oauth2.AAAA</p>\r\n--=_{ID}--\r\n",
        ours()
    )
}

fn status(fields: &str) -> String {
    format!(
        "Reporting-MTA: dns; relay.exempel.se\r\nArrival-Date: Mon, 23 Nov 2026 07:30:00 +0000\r\n\r\n\
         Final-Recipient: rfc822; api@partner.example\r\n{fields}"
    )
}

const FAILED: &str = "Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 unknown\r\n    user \"api@partner.example\"\r\n";

/// A part with its head.
fn part(kind: &str, more: &str, body: &str) -> String {
    format!("Content-Type: {kind}\r\n{more}\r\n{body}")
}

/// A whole notification from its parts.
fn report(parts: &[String]) -> String {
    let mut text = "Return-Path: <>\r\nFrom: MAILER-DAEMON@relay.exempel.se (Mail Delivery System)\r\n\
                    To: api@exempel.se\r\nSubject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n\
                    Message-ID: <20261123073000.4F2A@relay.exempel.se>\r\nAuto-Submitted: auto-replied\r\n\
                    Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"4F2A.1795419/relay\"\r\n\r\n\
                    This is a MIME-encapsulated message.\r\n\r\n"
        .to_owned();
    for part in parts {
        text.push_str(&format!("--4F2A.1795419/relay\r\n{part}\r\n"));
    }
    text.push_str("--4F2A.1795419/relay--\r\n");
    text
}

fn words() -> String {
    part("text/plain; charset=us-ascii", "Content-Description: Notification\r\n", "I'm sorry to have to inform you\r\n")
}

fn usual(fields: &str) -> String {
    report(&[words(), part("message/delivery-status", "", &status(fields)), part("message/rfc822", "", &our_mail())])
}

fn read(mail: impl AsRef<[u8]>) -> Result<(Action, String), NotReturned> {
    let returned = Returned::read(mail.as_ref())?;
    assert_eq!(returned.message_id.to_string(), ID);
    Ok((returned.action, returned.status.map(|status| status.to_string()).unwrap_or_default()))
}

fn failed() -> Result<(Action, String), NotReturned> {
    Ok((Action::Failed, "5.1.1".to_owned()))
}

#[test]
fn a_notification_is_read_with_the_whole_mail_or_its_head_returned() {
    assert_eq!(read(usual(FAILED)), failed());
    assert_eq!(read(usual(FAILED).replace("\r\n", "\n")), failed());
    let status = part("message/delivery-status", "", &status(FAILED));
    for returned in [
        part("text/rfc822-headers", "", &ours()),
        // Without the empty line after it, or with one before it.
        part("text/rfc822-headers; charset=us-ascii", "", ours().trim_end()),
        part("text/rfc822-headers", "", &format!("\r\n{}", ours())),
        part("Message/RFC822", "Content-Description: Undelivered Message\r\n", &our_mail()),
        part("message/rfc822", "", &format!("From api@exempel.se Mon Nov 23 07:30:00 2026\r\n{}", our_mail())),
        part("message/global", "Content-Transfer-Encoding: 8bit\r\n", &our_mail().replace("part 1 of 2", "del 1, åäö")),
        part("message/global-headers", "", &ours()),
        part("message/rfc822", "", &our_mail().replace("Message-ID: <", "message-id:\r\n\t<")),
    ] {
        assert_eq!(read(report(&[words(), status.clone(), returned.clone()])), failed(), "{returned}");
    }
}

/// As Exchange writes them: the words twice, the head of the returned mail in its own part, fields of its own.
#[test]
fn a_notification_of_exchange_is_read() {
    let words = "Content-Type: multipart/alternative; differences=Content-Type;\r\n\tboundary=\"inner--1\"\r\n\r\n\
                 --inner--1\r\nContent-Type: text/plain; charset=\"us-ascii\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
                 Delivery has failed to these recipients or groups:=0A\r\n--inner--1\r\n\
                 Content-Type: text/html; charset=\"us-ascii\"\r\n\r\n<html>Action: delivered</html>\r\n--inner--1--\r\n"
        .to_owned();
    let fields = "Action: failed\r\nStatus: 5.1.10\r\n\
                  Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup\r\n\
                  X-Display-Name: api\r\n";
    let status = format!(
        "{}Final-Recipient: rfc822;api@partner.example\r\n{fields}",
        "Reporting-MTA: dns;EX01.partner.example\r\nReceived-From-MTA: dns;relay.exempel.se\r\n\r\n"
    );
    for returned in [part("message/rfc822", "", &our_mail()), part("text/rfc822-headers", "", &ours())] {
        let mail = report(&[words.clone(), part("message/delivery-status", "", &status), returned]);
        assert_eq!(read(mail), Ok((Action::Failed, "5.1.10".to_owned())));
    }
}

/// As Exim writes them: a boundary without quotes, lower-case field names, no arrival date.
#[test]
fn a_notification_of_exim_is_read() {
    let status = "Reporting-MTA: dns; mx.partner.example\r\n\r\nAction: failed\r\nFinal-Recipient: rfc822;api@partner.example\r\n\
                  Status: 5.0.0\r\nRemote-MTA: dns; 127.0.0.1\r\nDiagnostic-Code: smtp; 550 mailbox is full\r\n\r\n";
    let mail = report(&[
        part(
            "text/plain; charset=us-ascii",
            "",
            "This message was created automatically by mail delivery software.\r\n",
        ),
        part("message/delivery-status", "", status),
        part("message/rfc822", "", &our_mail()),
    ]);
    let mail = mail
        .replace("\"4F2A.1795419/relay\"", "1795419-eximdsn-804289383")
        .replace("4F2A.1795419/relay", "1795419-eximdsn-804289383");
    assert_eq!(
        read(mail.replace("Content-Type: multipart", "Content-type: multipart")),
        Ok((Action::Failed, "5.0.0".to_owned()))
    );
}

#[test]
fn encoded_parts_and_parts_in_parts_are_read() {
    let base64 = |text: &str| {
        let encoded = Base64::encode_string(text.as_bytes());
        encoded
            .as_bytes()
            .chunks(76)
            .map(|line| format!("{}\r\n", std::str::from_utf8(line).unwrap()))
            .collect::<String>()
    };
    let quoted = |text: &str| text.replace('=', "=3D").replace("failed", "fai=\r\nled").replace("Message", "Mess=61ge");
    for name in ["base64", "Quoted-Printable", "8bit"] {
        let encode = |text: &str| match name {
            "base64" => base64(text),
            "8bit" => text.to_owned(),
            _ => quoted(text),
        };
        let more = format!("Content-Transfer-Encoding: {name}\r\n");
        let parts = [
            words(),
            part("message/delivery-status", &more, &encode(&status(FAILED))),
            part("text/rfc822-headers", &more, &encode(&ours())),
        ];
        assert_eq!(read(report(&parts)), failed(), "{name}");
        let parts = [parts[1].clone(), part("message/rfc822", &more, &encode(&our_mail()))];
        assert_eq!(read(report(&parts)), failed(), "{name}");
    }
    // A gateway that put a notice below it.
    let wrapped = usual(FAILED);
    let (head, body) = wrapped.split_once("\r\n\r\n").unwrap();
    let kind = head.find("Content-Type").unwrap();
    let mixed = format!(
        "{}Content-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n{}\r\n\r\n{body}\r\n--outer\r\n\r\nThis mail is confidential.\r\n--outer--\r\n",
        &head[..kind],
        &head[kind..]
    );
    assert_eq!(read(mixed), failed());
}

#[test]
fn every_action_is_told_apart_and_the_gravest_counts() {
    for (fields, action, status) in [
        (
            "Action: delayed\r\nStatus: 4.4.1\r\nWill-Retry-Until: Sat, 28 Nov 2026 07:30:00 +0000\r\n",
            Action::Delayed,
            "4.4.1",
        ),
        ("Action: delivered\r\nStatus: 2.0.0\r\n", Action::Delivered, "2.0.0"),
        ("Action: relayed\r\nStatus: 2.1.9\r\n", Action::Relayed, "2.1.9"),
        ("Action: expanded\r\nStatus: 2.1.5\r\n", Action::Expanded, "2.1.5"),
        ("action : FAILED (after all)\r\nSTATUS: 5.7.1 (refused)\r\n", Action::Failed, "5.7.1"),
        ("Action:\r\n failed\r\nStatus: 4.4.7\r\n", Action::Failed, "4.4.7"),
        ("Action: failed\r\nStatus: 550 5.1.1\r\n", Action::Failed, ""),
        ("Action: failed\r\nStatus: \u{1b}[2J\r\n", Action::Failed, ""),
        ("Action: failed\r\n", Action::Failed, ""),
    ] {
        assert_eq!(read(usual(fields)), Ok((action, status.to_owned())), "{fields}");
    }
    let several = format!(
        "Action: delivered\r\nStatus: 2.0.0\r\n\r\nFinal-Recipient: rfc822; b@partner.example\r\n{FAILED}\r\nAction: delayed\r\nStatus: 4.0.0\r\n"
    );
    assert_eq!(read(usual(&several)), failed());
}

#[test]
fn what_is_no_notification_or_not_about_a_mail_of_ours_is_told_apart() {
    let not = |mail: String| Returned::read(mail.as_bytes()).unwrap_err();
    for mail in [
        String::new(),
        "\r\n\r\n".to_owned(),
        "\0\u{1}\u{2}".to_owned(),
        our_mail(),
        format!("Subject: Re: API keys\r\nIn-Reply-To: <{ID}@exempel.se>\r\n\r\nThank you!\r\nAction: failed\r\n"),
        "Auto-Submitted: auto-replied\r\nSubject: Out of office\r\n\r\nI am away.\r\n".to_owned(),
        report(&[words(), part("message/disposition-notification", "", "Disposition: automatic-action; displayed\r\n"), part("message/rfc822", "", &our_mail())]),
        // A notification in a returned mail is not about that mail.
        report(&[words(), part("message/rfc822", "", &usual(FAILED).replace("4F2A.1795419", "another"))]),
        report(&[]),
        "Content-Type: multipart/report\r\n\r\n--\r\n".to_owned(),
        "Content-Type: multipart/report; boundary=\"\"\r\n\r\n--\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n".to_owned(),
    ] {
        assert_eq!(not(mail.clone()), NotReturned::NotANotification, "{mail}");
    }
    for fields in ["", "Action: lost\r\n", "Status: 5.1.1\r\n", "X-Action: failed\r\n"] {
        assert_eq!(not(usual(fields)), NotReturned::NoAction, "{fields}");
    }
    for mail in [
        report(&[part("message/delivery-status", "", &status(FAILED))]),
        usual(FAILED).replace("Message-ID: <019a", "X-Message-ID: <019a"),
        usual(FAILED).replace(ID, "CAF-x1@mail"),
        usual(FAILED).replace(ID, &ID.to_uppercase()),
        // Which of the two it is about would be a guess.
        usual(FAILED)
            .replace("Subject: API", "Message-ID: <019aaf5e-7b00-7000-8000-000000000002@exempel.se>\r\nSubject: API"),
    ] {
        assert_eq!(not(mail.clone()), NotReturned::NotOurs, "{mail}");
    }
    // The same one twice is the same one; one of somebody else's beside ours is not ours.
    let twice = format!("Message-ID: <{ID}@exempel.se>\r\nMessage-ID: <x@y>\r\nSubject: API");
    assert_eq!(read(usual(FAILED).replace("Subject: API", &twice)), failed());
}

#[test]
fn nothing_but_our_own_types_is_kept() {
    let shown = format!("{:?}", Returned::read(usual(FAILED).as_bytes()).unwrap());
    assert!(!shown.contains("tally1") && !shown.contains("partner") && !shown.contains("K7QF"), "{shown}");
}

#[test]
fn a_mail_that_is_cut_off_anywhere_is_read_as_far_as_it_goes() {
    let mail = usual(FAILED);
    let id = mail.find(ID).unwrap() + ID.len();
    for length in 0..mail.len() {
        match Returned::read(&mail.as_bytes()[..length]) {
            Ok(returned) => assert!(returned.message_id.to_string() == ID && length > id, "{length}"),
            Err(_) => assert!(length <= id + "@exempel.se>".len(), "{length}"),
        }
    }
}

#[test]
fn nothing_that_a_stranger_can_write_takes_long_or_much_stack() {
    let mebibyte = |piece: &str| piece.repeat(1024 * 1024 / piece.len());
    let nested_multipart: String = (0..20_000)
        .map(|level| format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"))
        .collect();
    let many_parts = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", mebibyte("--b\r\n\r\n"));
    let attributes = format!("Content-Type: multipart/mixed; {}boundary=b\r\n\r\n--b\r\n", "a*0*=x;b;".repeat(14_000));
    let comments = format!("Content-Type: multipart/mixed{}; boundary=b\r\n\r\n--b\r\n", "(".repeat(120_000));
    for mail in [
        mebibyte("Content-Type: message/rfc822\r\n\r\n"),
        nested_multipart,
        many_parts,
        attributes,
        comments,
        mebibyte("a: b\r\n"),
        mebibyte("\r\n "),
        mebibyte("("),
        mebibyte("<"),
        usual(&mebibyte("Action: x\r\n\r\n")),
        usual(&mebibyte(" ")),
        usual(&format!("Action: {FAILED}{}", mebibyte(":"))),
        usual(FAILED).replace("Message-ID: <", &format!("Message-ID: {}<", "<".repeat(100_000))),
        usual(FAILED).replace("Message-ID: <", &format!("Message-ID: {}<", "<a>".repeat(40_000))),
        usual(FAILED).replace("Subject:", &format!("{}Subject:", "Message-ID: <x@y>\r\n".repeat(6_000))),
    ] {
        let began = Instant::now();
        let _ = Returned::read(mail.as_bytes());
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}: {:.60}", began.elapsed(), mail);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        proptest::prop_assert!(Returned::read(&bytes).is_err());
    }

    #[test]
    fn any_change_of_a_notification_is_read_without_panic(
        place in 0_usize..1000, byte in proptest::prelude::any::<u8>(), cut in 0_usize..1000,
    ) {
        let mut mail = usual(FAILED).into_bytes();
        let (place, cut) = (place * mail.len() / 1000, cut * mail.len() / 1000);
        mail[place] = byte;
        let _ = Returned::read(&mail);
        mail.drain(place.min(cut)..place.max(cut));
        let _ = Returned::read(&mail);
    }
}
