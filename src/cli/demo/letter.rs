//! A mail as its reader sees it: the plain-text part, decoded. It reads the mails that this program writes, and no others.

use zeroize::Zeroizing;

/// The plain-text part of a multipart mail in quoted-printable (RFC 2045, section 6.7). `None` for any other mail.
pub(super) fn plain_text(mail: &[u8]) -> Option<Zeroizing<String>> {
    let mail = std::str::from_utf8(mail).ok()?;
    let (_, after) = mail.split_once("boundary=\"")?;
    let (boundary, body) = after.split_once('"')?;
    let delimiter = format!("\r\n--{boundary}");
    let part = body.split(delimiter.as_str()).skip(1).find(|part| part.contains("Content-Type: text/plain"))?;
    let (_, encoded) = part.split_once("\r\n\r\n")?;
    let text = String::from_utf8(decoded(encoded.as_bytes())?).ok()?;
    Some(Zeroizing::new(text.replace("\r\n", "\n")))
}

fn decoded(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            bytes.push(byte);
            continue;
        }
        let (pair, after) = rest.split_at_checked(2)?;
        rest = after;
        if pair != b"\r\n" {
            bytes.extend(data_encoding::HEXUPPER.decode(pair).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_part_is_read_as_it_was_written() {
        let mail = "Subject: x\r\nContent-Type: multipart/alternative;\r\n boundary=\"=_1\"\r\n\r\n--=_1\r\n\
            Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            R=C3=A4ksm=\r\n=C3=B6rg=C3=A5s\r\nnext\r\n--=_1\r\nContent-Type: text/html\r\n\r\n<p>\r\n--=_1--\r\n";
        assert_eq!(plain_text(mail.as_bytes()).unwrap().as_str(), "Räksmörgås\nnext");
    }

    #[test]
    fn anything_else_is_none() {
        for mail in
            ["", "Subject: x\r\n\r\ntext", "boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n=", "=C3"]
        {
            assert!(plain_text(mail.as_bytes()).is_none(), "{mail}");
        }
    }
}
