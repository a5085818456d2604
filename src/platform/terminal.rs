//! Text for a terminal: whatever a name, a file or a stranger put into it, it can only be read, not obeyed.

use std::borrow::Cow;
use std::fmt::Write;
use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

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

/// Waits for so long, or until whoever reads standard output has gone, such as the `head` of a pipe. Whether that is so.
pub fn reader_leaves_within(time: Duration) -> bool {
    leaves_within(&io::stdout(), time)
}

fn leaves_within(output: &impl std::os::fd::AsFd, time: Duration) -> bool {
    // Nothing is asked for: that the other end is gone is told all the same.
    let mut asked = [PollFd::new(output, PollFlags::empty())];
    let time = Timespec::try_from(time).ok();
    // A signal ends the waiting early, which is as good as its end.
    poll(&mut asked, time.as_ref()).is_ok_and(|told| told > 0)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_reader_that_leaves_is_noticed_and_one_that_stays_is_waited_for() {
        let (reader, writer) = io::pipe().unwrap();
        let began = Instant::now();
        assert!(!leaves_within(&writer, Duration::from_millis(20)));
        assert!(began.elapsed() >= Duration::from_millis(20));
        drop(reader);
        assert!(leaves_within(&writer, Duration::from_secs(60)));
    }

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
