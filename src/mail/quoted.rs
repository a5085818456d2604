//! Quoted-printable (RFC 2045, section 6.7) in one pass. A mail is written for each delivery, and its encoding was the
//! dearest part of it.

/// The longest line without the `=` of a soft break after it.
const COLUMNS: usize = 75;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The text in seven bits, in lines of at most 76 characters that end with CR LF. `\n` in it ends a line.
pub(super) fn quoted_printable(text: &str) -> Vec<u8> {
    // Most of it stands as it is; soft breaks and letters outside ASCII take a little more.
    let mut out = Vec::with_capacity(text.len() + text.len() / 4 + 64);
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        encode_line(line.as_bytes(), &mut out);
        if lines.peek().is_some() {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

fn encode_line(line: &[u8], out: &mut Vec<u8>) {
    // White space at the end of a line may be lost on the way, and mail stores change `From ` at the start of one.
    let (body, last) = match line.split_last() {
        Some((last, body)) if matches!(last, b' ' | b'\t') => (body, Some(*last)),
        Some(_) | None => (line, None),
    };
    let mut column = 0;
    let mut rest = body;
    if let Some(after) = body.strip_prefix(b"From ") {
        out.extend_from_slice(b"=46rom ");
        (column, rest) = (7, after);
    }
    while !rest.is_empty() {
        // Most lines are plain as a whole, and whether one is is known faster than where it ceases to be.
        let line = rest.get(..COLUMNS - column).unwrap_or(rest);
        let all_plain = line.iter().fold(true, |so_far, byte| so_far & is_plain(*byte));
        let run = if all_plain { line.len() } else { line.iter().take_while(|byte| is_plain(**byte)).count() };
        let (plain, after) = rest.split_at(run);
        out.extend_from_slice(plain);
        column += run;
        rest = after;
        match rest.split_first() {
            None => {}
            Some((byte, after)) if !is_plain(*byte) && column + 3 <= COLUMNS => {
                escape(*byte, out);
                column += 3;
                rest = after;
            }
            Some(_) => {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
        }
    }
    if let Some(space) = last {
        if column + 3 > COLUMNS {
            out.extend_from_slice(b"=\r\n");
        }
        escape(space, out);
    }
}

/// What may stand for itself, white space inside of a line included.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'<' | b'>'..=b'~' | b'\t')
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
    out.extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> String {
        String::from_utf8(quoted_printable(text)).unwrap()
    }

    #[test]
    fn the_form_is_that_of_rfc_2045() {
        assert_eq!(encoded("a = b\nÅ\n"), "a =3D b\r\n=C3=85\r\n");
        assert_eq!(encoded("end \nend\t\n \n"), "end=20\r\nend=09\r\n=20\r\n");
        assert_eq!(encoded("From here\n.\n>From"), "=46rom here\r\n.\r\n>From");
        assert_eq!(encoded("\r\0\u{7f}"), "=0D=00=7F");
        assert_eq!(encoded(&"x".repeat(76)), format!("{}=\r\nx", "x".repeat(75)));
        assert_eq!(encoded(&format!("{}=", "x".repeat(73))), format!("{}=\r\n=3D", "x".repeat(73)));
        assert_eq!(encoded(&format!("{} ", "x".repeat(74))), format!("{}=\r\n=20", "x".repeat(74)));
        assert_eq!(encoded(""), "");
    }

    proptest! {
        #[test]
        fn a_program_that_is_not_ours_reads_what_was_written(text in "([ -~åäö=.\t]|From |\n|\\PC){0,400}") {
            let encoded = encoded(&text);
            for line in encoded.split("\r\n") {
                prop_assert!(line.len() <= 76 && !line.ends_with([' ', '\t']), "{line:?}");
                prop_assert!(line.bytes().all(|byte| is_plain(byte) || byte == b'='), "{line:?}");
            }
            let head = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
            let mail = format!("{head}{encoded}");
            let read = MessageParser::default().parse(mail.as_bytes()).unwrap();
            prop_assert_eq!(read.body_text(0).unwrap().replace("\r\n", "\n"), text);
        }
    }
}
