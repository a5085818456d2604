//! The corpus of refused heads, and the property that cutting the bytes otherwise changes nothing.

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes_max: 1024, fields_max: 8 };

/// What becomes of a connection's bytes when they arrive in pieces of the given sizes.
fn verdict(bytes: &[u8], pieces: &[usize]) -> (usize, Option<Violation>, Position) {
    let mut framing = Framing::new(LIMITS);
    let (mut passed, mut arrived) = (0, 0);
    let mut sizes = pieces.iter().copied().chain(std::iter::repeat(bytes.len().max(1)));
    while arrived < bytes.len() {
        arrived = (arrived + sizes.next().unwrap_or(1).max(1)).min(bytes.len());
        let inspection = framing.inspect(&bytes[passed..arrived]);
        passed += inspection.passed;
        if inspection.violation.is_some() {
            return (passed, inspection.violation, framing.position());
        }
    }
    (passed, None, framing.position())
}

fn refused(bytes: &[u8]) -> Option<Violation> {
    verdict(bytes, &[]).1
}

#[test]
fn messages_in_order_pass_whole() {
    for text in [
        "GET / HTTP/1.1\r\nHost: exempel.se\r\n\r\n",
        "GET /v1/verify?x=1 HTTP/1.0\r\nhost: [::1]:8443\r\nX-Empty:\r\n\r\n",
        "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(verdict(text.as_bytes(), &[]), (text.len(), None, Position::Between), "{text:?}");
    }
}

#[test]
fn a_head_passes_only_when_it_is_whole() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for cut in 1..text.len() {
        assert_eq!(verdict(&text[..cut], &[]), (0, None, Position::Head));
    }
}

#[test]
fn what_hyper_would_let_pass_is_refused() {
    use Violation as V;
    let cases: &[(&str, Violation)] = &[
        ("GET / HTTP/1.1\nHost: a\n\n", V::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", V::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", V::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", V::Control),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{7f}\r\n\r\n", V::Control),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", V::RequestLine),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", V::RequestLine),
        ("GET /\r\nHost: a\r\n\r\n", V::RequestLine),
        ("GET / FTP/1.1\r\nHost: a\r\n\r\n", V::RequestLine),
        ("GET /å HTTP/1.1\r\nHost: a\r\n\r\n", V::RequestLine),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", V::RequestLine),
        ("GET http://exempel.se/ HTTP/1.1\r\nHost: a\r\n\r\n", V::Target),
        ("CONNECT exempel.se:443 HTTP/1.1\r\nHost: a\r\n\r\n", V::Target),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", V::Target),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", V::Version),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", V::Version),
        ("GET / HTTP/1.1\r\n\r\n", V::MissingHost),
        ("GET / HTTP/1.0\r\n\r\n", V::MissingHost),
        ("GET / HTTP/1.1\r\nHost: \r\n\r\n", V::MissingHost),
        ("GET / HTTP/1.1\r\nHost: a\r\nHOST: a\r\n\r\n", V::RepeatedHost),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", V::BadHost),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", V::BadHost),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", V::Folded),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", V::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n", V::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", V::FieldName),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", V::LengthAndCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", V::RepeatedLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", V::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", V::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", V::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", V::UnknownCoding),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            V::UnknownCoding,
        ),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", V::CodingInHttp10),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n", V::BadChunk),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", V::BadChunk),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", V::BadChunk),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", V::BadChunk),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n", V::Trailer),
    ];
    for (text, violation) in cases {
        assert_eq!(refused(text.as_bytes()), Some(*violation), "{text:?}");
    }
}

#[test]
fn the_second_of_two_pipelined_messages_is_held_to_the_same_rules() {
    let first = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let text = format!("{first}GET / HTTP/1.1\r\n\r\n");
    assert_eq!(verdict(text.as_bytes(), &[]), (first.len(), Some(Violation::MissingHost), Position::Head));
}

#[test]
fn limits_hold_at_their_edges() {
    let with_fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(count - 1));
    assert_eq!(refused(with_fields(8).as_bytes()), None);
    assert_eq!(refused(with_fields(9).as_bytes()), Some(Violation::TooManyFields));

    let with_bytes = |size: usize| {
        let frame = "GET / HTTP/1.1\r\nHost: a\r\nx: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "y".repeat(size - frame))
    };
    assert_eq!(refused(with_bytes(1024).as_bytes()), None);
    assert_eq!(refused(with_bytes(1025).as_bytes()), Some(Violation::HeadTooLarge));
    assert_eq!(refused(format!("GET /{}", "a".repeat(1024)).as_bytes()), Some(Violation::TargetTooLong));
}

/// Pieces that make good and bad messages when strung together.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..]),
        2 => Just(&b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab\r\nc"[..]),
        2 => Just(&b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"[..]),
        1 => Just(&b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab"[..]),
        1 => Just(&b"\r\n"[..]),
        1 => Just(&b"\n"[..]),
        1 => Just(&b"Content-Length: 1\r\n"[..]),
        1 => Just(&b"GET /"[..]),
    ];
    proptest::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_cutting_of_the_same_bytes_gives_the_same_verdict(
        bytes in soup(),
        pieces in proptest::collection::vec(1usize..40, 0..60),
    ) {
        prop_assert_eq!(verdict(&bytes, &pieces), verdict(&bytes, &[]));
    }

    #[test]
    fn any_bytes_at_all_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (passed, _, _) = verdict(&bytes, &[7, 1, 100]);
        prop_assert!(passed <= bytes.len());
    }
}
