//! Text for a terminal: whatever a name, a file or a stranger put into it, it can only be read, not obeyed.

use std::borrow::Cow;
use std::fmt::Write;

use crate::domain::name::may_be_shown;

/// The text with everything that could move a cursor, end a line or turn the direction of writing shown as `\u{…}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(may_be_shown) { Cow::Borrowed(text) } else { Cow::Owned(escape(text, may_be_shown)) }
}

/// The same for text that is our own layout: line ends and tabs stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    let stays = |character| matches!(character, '\n' | '\t') || may_be_shown(character);
    if text.chars().all(stays) { Cow::Borrowed(text) } else { Cow::Owned(escape(text, stays)) }
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if stays(character) {
            shown.push(character);
        } else {
            // Writing to a String does not fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_read_stays() {
        assert!(matches!(printable("Åkeri & Söner (test)"), Cow::Borrowed("Åkeri & Söner (test)")));
        assert_eq!(printable_lines("a\tb\nc"), "a\tb\nc");
    }

    #[test]
    fn what_would_be_obeyed_is_shown() {
        assert_eq!(
            printable("a\u{1b}[2Jb\r\nc\u{202e}d\u{2028}e\u{9b}f\u{7f}"),
            "a\\u{1b}[2Jb\\u{d}\\u{a}c\\u{202e}d\\u{2028}e\\u{9b}f\\u{7f}"
        );
        assert_eq!(printable_lines("a\u{1b}b\r\n"), "a\\u{1b}b\\u{d}\n");
    }
}
