//! Text of people's making in header lines (RFC 2047). The mail library leaves text alone that already looks like an
//! encoded word, so a name could be shown as another; here, whatever is not plain is encoded.

use base64ct::{Base64, Encoding};

/// Bytes of text in one encoded word: 39 make 52 characters of base64, 64 with the frame; a name of a header and one
/// word fit into a line of 78.
const WORD_BYTES: usize = 39;

/// The longest text that is left as it is, so that its line stays within 78 characters.
const PLAIN_LENGTH: usize = 60;

/// `text` in a form that any reader turns back into exactly `text`, whatever it holds. A text that is short and plain
/// stays legible; any other becomes encoded words, folded. There is no CR or LF in it but for the folding.
pub(super) fn unstructured(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -.,:+/()&".contains(&byte);
    if is_legible(text, plain) { text.to_owned() } else { encoded_words(text) }
}

/// The same for the name in front of an address, where punctuation has a meaning of its own (RFC 5322, section 3.2.5).
pub(super) fn phrase(text: &str) -> String {
    if is_legible(text, |byte| byte.is_ascii_alphanumeric() || byte == b' ') {
        text.to_owned()
    } else {
        encoded_words(text)
    }
}

fn is_legible(text: &str, plain: impl Fn(u8) -> bool) -> bool {
    // Runs of spaces are not kept by every reader.
    text.len() <= PLAIN_LENGTH && text.bytes().all(plain) && !text.contains("  ")
}

fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        // A character is never divided between words (RFC 2047, section 5).
        let (word, later) = rest.split_at(rest.floor_char_boundary(WORD_BYTES));
        words.push(format!("=?utf-8?B?{}?=", Base64::encode_string(word.as_bytes())));
        rest = later;
    }
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_legible_and_a_look_alike_does_not_stay() {
        assert_eq!(unstructured("API keys for Exempel (production)"), "API keys for Exempel (production)");
        assert_eq!(unstructured("=?utf-8?Q?x?="), "=?utf-8?B?PT91dGYtOD9RP3g/PQ==?=");
        assert_eq!(phrase("Exempel, AB"), "=?utf-8?B?RXhlbXBlbCwgQUI=?=");
        assert_eq!(unstructured("a\r\nBcc: b"), "=?utf-8?B?YQ0KQmNjOiBi?=");
    }

    #[test]
    fn long_text_is_folded_into_words_of_allowed_length() {
        let folded = unstructured(&"å漢🗝".repeat(60));
        assert!(folded.split("\r\n ").all(|word| word.len() <= 75 && word.starts_with("=?utf-8?B?")));
    }
}
