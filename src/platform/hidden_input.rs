//! A password that is typed at the controlling terminal and not shown. It does not know what the password is for.
//!
//! The terminal is used even where standard input is an e-mail. While it is quiet, keys that would end the process are read
//! as keys, so that it is never left without echo.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// The longest line that is taken for a password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum NotTyped {
    /// The process has no terminal, or it failed.
    #[error("there is no terminal to ask at: {0}")]
    NoTerminal(io::Error),
    /// Ctrl-C, or Ctrl-D at the beginning.
    #[error("stopped at the keyboard")]
    Stopped,
    /// More than a password can be.
    #[error("it is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
}

/// Asks, and reads one line without showing it.
pub fn ask(prompt: &str) -> Result<Zeroizing<String>, NotTyped> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(NotTyped::NoTerminal)?;
    let quiet = Quiet::make(terminal.try_clone().map_err(NotTyped::NoTerminal)?).map_err(NotTyped::NoTerminal)?;
    terminal.write_all(prompt.as_bytes()).map_err(NotTyped::NoTerminal)?;
    let line = typed(&mut terminal);
    drop(quiet);
    terminal.write_all(b"\n").map_err(NotTyped::NoTerminal)?;
    line
}

/// The first line of a reader, without its end: for a password that a file or a pipe holds. What follows is left there.
pub fn first_line(mut input: impl Read) -> Result<Zeroizing<String>, NotTyped> {
    let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX + 1));
    while let Some(byte) = next(&mut input)? {
        match byte {
            b'\n' => break,
            _ if line.len() == PASSWORD_BYTES_MAX => return Err(NotTyped::TooLong),
            byte => line.push(byte),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    text(&line)
}

/// A terminal that shows nothing, until this is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn make(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        let made = Self { terminal, before };
        // What was typed before the question is no answer to it.
        tcsetattr(&made.terminal, OptionalActions::Flush, &quiet)?;
        Ok(made)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

fn typed(input: &mut impl Read) -> Result<Zeroizing<String>, NotTyped> {
    const INTERRUPT: u8 = 0x03;
    const END: u8 = 0x04;
    const BACKSPACE: u8 = 0x08;
    const KILL_LINE: u8 = 0x15;
    const DELETE: u8 = 0x7F;
    let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX + 1));
    loop {
        match next(input)? {
            Some(b'\n' | b'\r') => return text(&line),
            Some(INTERRUPT) => return Err(NotTyped::Stopped),
            None | Some(END) if line.is_empty() => return Err(NotTyped::Stopped),
            None | Some(END) => return text(&line),
            Some(BACKSPACE | DELETE) => take_back(&mut line),
            Some(KILL_LINE) => line.clear(),
            Some(_) if line.len() == PASSWORD_BYTES_MAX => return Err(NotTyped::TooLong),
            Some(byte) => line.push(byte),
        }
    }
}

/// The last character, which may have several bytes.
fn take_back(line: &mut Vec<u8>) {
    while line.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {}
}

/// One byte at a time: what follows the line is not this reader's, and a buffer would keep a copy.
fn next(input: &mut impl Read) -> Result<Option<u8>, NotTyped> {
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte[0])),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(NotTyped::NoTerminal(cause)),
        }
    }
}

fn text(line: &[u8]) -> Result<Zeroizing<String>, NotTyped> {
    std::str::from_utf8(line).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| NotTyped::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_typed_with_the_usual_keys() {
        let line = |keys: &[u8]| typed(&mut &*keys).map(|line| line.to_string()).map_err(|why| why.to_string());
        assert_eq!(line(b"secret\nrest"), Ok("secret".to_owned()));
        assert_eq!(line(b"secret\r"), Ok("secret".to_owned()));
        assert_eq!(line("lö\u{7f}\u{7f}\u{7f}åx\u{8}\n".as_bytes()), Ok("å".to_owned()));
        assert_eq!(line(b"wrong\x15right\n"), Ok("right".to_owned()));
        assert_eq!(line(b"\n"), Ok(String::new()));
        assert_eq!(line(b"sec\x03ret\n"), Err("stopped at the keyboard".to_owned()));
        assert_eq!(line(b"\x04"), Err("stopped at the keyboard".to_owned()));
        assert_eq!(line(b""), Err("stopped at the keyboard".to_owned()));
        assert_eq!(line(b"\xff\n"), Err("it is not UTF-8".to_owned()));
        assert_eq!(line(&[b'a'; 4000]), Err("it is longer than 1024 bytes".to_owned()));
    }

    #[test]
    fn a_first_line_leaves_what_follows() {
        let mut input = &b"pass word\r\nSubject: the e-mail"[..];
        assert_eq!(first_line(&mut input).unwrap().as_str(), "pass word");
        assert_eq!(input, b"Subject: the e-mail");
        assert_eq!(first_line(&b"no end"[..]).unwrap().as_str(), "no end");
        assert_eq!(first_line(&b""[..]).unwrap().as_str(), "");
        assert!(matches!(first_line(io::repeat(b'a')), Err(NotTyped::TooLong)));
    }
}
