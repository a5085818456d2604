//! The only printer. Data goes to standard output, for people as a table or for programs as JSON; narration and errors
//! go to standard error. It knows neither commands nor what they show.
//!
//! Whatever is shown came from elsewhere, so control characters are made visible. A closed pipe (`tallyd list | head`)
//! ends the printing, not the command; any other failure to write data is the command's failure.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::platform::terminal::{printable, printable_lines};

/// How a command ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: the command line was wrong.
    Usage,
    /// 3: the configuration or a file was refused.
    Refused,
    /// 4: the journal does not verify.
    NotVerified,
    /// 5: it cannot be said whether the journal verifies: no key was given that vouches for it.
    CannotVerify,
    /// 75: a mail system is to try again later (`EX_TEMPFAIL` of sysexits.h).
    TryLater,
}

impl Exit {
    /// All of them, by their numbers.
    pub const ALL: [Self; 7] =
        [Self::Done, Self::Failed, Self::Usage, Self::Refused, Self::NotVerified, Self::CannotVerify, Self::TryLater];

    /// For the manual.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "Done.",
            Self::Failed => "Failed. Standard error says what was tried on what, why it failed, and what to do.",
            Self::Usage => "The command line was wrong. Nothing was done.",
            Self::Refused => "The configuration or a file was refused. Nothing was done.",
            Self::NotVerified => "The journal does not verify, or it and what stands beside it do not agree.",
            Self::CannotVerify => "The journal cannot be verified with the key that was given.",
            Self::TryLater => "For a mail system: to be tried again later (EX_TEMPFAIL).",
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotVerified => 4,
            Self::CannotVerify => 5,
            Self::TryLater => 75,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed: what was tried on which object, the cause, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// What was tried, without a subject: `open the state directory`.
    pub tried: String,
    /// On which object: a path, an id. Empty when the cause names it.
    pub object: String,
    /// Why it failed.
    pub cause: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with exit code 1 and no hint yet.
    pub fn new(tried: impl Into<String>, object: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Failed,
            tried: tried.into(),
            object: object.to_string(),
            cause: cause.to_string(),
            hint: None,
        }
    }

    /// With what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With another exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.object.is_empty() { "" } else { " " };
        write!(f, "cannot {}{space}{}: {}", self.tried, printable(&self.object), printable_lines(&self.cause))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", printable_lines(hint)),
            None => Ok(()),
        }
    }
}

/// For whom data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Tables and lines.
    People,
    /// JSON (`--json`).
    Programs,
}

/// The printer of one command.
pub struct Output {
    reader: Reader,
    data: Stream,
    narration: Stream,
}

impl Output {
    /// Prints to this process's standard streams.
    pub fn standard(reader: Reader) -> Self {
        Self::to(reader, io::stdout(), io::stderr())
    }

    /// Prints elsewhere, for tests.
    pub fn to(reader: Reader, data: impl Write + Send + 'static, narration: impl Write + Send + 'static) -> Self {
        Self { reader, data: Stream::new(data), narration: Stream::new(narration) }
    }

    /// For whom data is printed.
    pub fn reader(&self) -> Reader {
        self.reader
    }

    /// Tells people what happens. Programs need not read it.
    pub fn say(&mut self, text: impl fmt::Display) {
        self.narration.line(&printable_lines(&text.to_string()));
    }

    /// Data as it is, a line or several: for text that is made to be pasted. What stands in it was checked.
    pub fn data(&mut self, text: impl fmt::Display) {
        self.data.line(&printable_lines(&text.to_string()));
    }

    /// One JSON document on a line of its own.
    pub fn json(&mut self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            // serde_json escapes C0 controls only; a terminal obeys others too.
            Ok(text) => self.data.line(&printable_json(&text)),
            Err(cause) => self.data.failed = self.data.failed.take().or(Some(io::Error::other(cause))),
        }
    }

    /// Rows under headings. With no row, a sentence on standard error says so and standard output stays empty.
    pub fn table(&mut self, headings: &[&str], rows: &[Vec<String>], none: &str) {
        if rows.is_empty() {
            return self.say(none);
        }
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
        for row in rows {
            table.add_row(row.iter().map(|cell| printable(cell)));
        }
        for line in table.lines() {
            self.data.line(line.trim_end());
        }
    }

    /// Rows for people, or the same as one JSON document for programs.
    pub fn show<T: Serialize>(&mut self, value: &T, headings: &[&str], rows: &[Vec<String>], none: &str) {
        match self.reader {
            Reader::People => self.table(headings, rows, none),
            Reader::Programs => self.json(value),
        }
    }

    /// Whether all data has reached its reader so far: to be asked before something that rests on it.
    pub fn has_arrived(&mut self) -> bool {
        self.data.flush();
        !self.data.closed
    }

    /// Tells why the command failed and how it ends.
    pub fn fail(&mut self, failure: &Failure) -> Exit {
        self.narration.line(&failure.to_string());
        failure.exit
    }

    /// Ends the printing: what the command made of itself, unless its data did not reach the reader.
    pub fn finish(mut self, exit: Exit) -> Exit {
        self.data.flush();
        self.narration.flush();
        match (exit, self.data.failed.take()) {
            (Exit::Done, Some(cause)) => self.fail(
                &Failure::new("write the answer to", "standard output", cause)
                    .hint("the answer is not whole: run the command again"),
            ),
            (exit, _) => exit,
        }
    }
}

/// A sink that is given up at its first error.
struct Stream {
    sink: Box<dyn Write + Send>,
    closed: bool,
    /// Any error but a closed pipe, whose reader has had enough.
    failed: Option<io::Error>,
}

impl Stream {
    fn new(sink: impl Write + Send + 'static) -> Self {
        Self { sink: Box::new(sink), closed: false, failed: None }
    }

    fn line(&mut self, text: &str) {
        self.attempt(|sink| sink.write_all(text.as_bytes()).and_then(|()| sink.write_all(b"\n")));
    }

    fn flush(&mut self) {
        self.attempt(|sink| sink.flush());
    }

    fn attempt(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if self.closed {
            return;
        }
        if let Err(cause) = write(&mut *self.sink) {
            self.closed = true;
            if cause.kind() != io::ErrorKind::BrokenPipe {
                self.failed = Some(cause);
            }
        }
    }
}

/// What is not shown stands in JSON only inside of strings, where an escape means the same.
fn printable_json(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if crate::domain::name::may_be_shown(character) {
            line.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(reader: Reader, print: impl FnOnce(&mut Output)) -> (String, String) {
        let (data, narration) = (Memory::default(), Memory::default());
        let mut output = Output::to(reader, data.clone(), narration.clone());
        print(&mut output);
        assert_eq!(output.finish(Exit::Done), Exit::Done);
        (data.text(), narration.text())
    }

    fn rows() -> Vec<Vec<String>> {
        vec![
            vec!["K7QF-2M9D".to_owned(), "Exempel AB".to_owned()],
            vec!["X".to_owned(), "a\u{1b}[2J\nb\u{202e}".to_owned()],
        ]
    }

    #[test]
    fn people_get_a_table_whose_values_control_nothing() {
        let (data, _) = printed(Reader::People, |output| output.show(&(), &["reference", "name"], &rows(), "none"));
        insta::assert_snapshot!(data, @r"
         REFERENCE  NAME
         K7QF-2M9D  Exempel AB
         X          a\u{1b}[2J\u{a}b\u{202e}
        ");
    }

    #[test]
    fn programs_get_json_that_reads_back_whole() {
        let (data, narration) = printed(Reader::Programs, |output| {
            output.show(&rows(), &["reference", "name"], &rows(), "none");
        });
        assert_eq!(serde_json::from_str::<Vec<Vec<String>>>(&data).unwrap(), rows());
        assert!(!data.contains(['\u{1b}', '\u{202e}']) && narration.is_empty());
    }

    #[test]
    fn with_nothing_to_show_people_are_told_and_data_stays_empty() {
        let (data, narration) = printed(Reader::People, |output| output.table(&["a"], &[], "no deliveries"));
        assert_eq!((data.as_str(), narration.as_str()), ("", "no deliveries\n"));
    }

    #[test]
    fn a_failure_says_what_was_tried_on_what_why_and_what_to_do() {
        let failure =
            Failure::new("open", "/var/lib/tallyd", "it is in use by process 7").exit(Exit::Refused).hint("stop it");
        assert_eq!(failure.to_string(), "cannot open /var/lib/tallyd: it is in use by process 7\nhint: stop it");
        let (_, narration) = printed(Reader::People, |output| assert_eq!(output.fail(&failure).code(), 3));
        assert!(narration.ends_with("hint: stop it\n"));
    }

    #[test]
    fn a_closed_pipe_ends_the_printing_and_not_the_command() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut output = Output::to(Reader::People, writer, io::sink());
        (0..3).for_each(|_| output.data("line"));
        assert!(!output.has_arrived());
        assert_eq!(output.finish(Exit::Done), Exit::Done);
    }

    #[test]
    fn data_that_a_full_disk_did_not_take_is_a_failure_that_is_told() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let narration = Memory::default();
        let mut output = Output::to(Reader::People, full, narration.clone());
        output.data("line");
        assert_eq!(output.finish(Exit::Done), Exit::Failed);
        assert!(narration.text().starts_with("cannot write the answer to standard output: "), "{}", narration.text());
    }

    #[test]
    fn a_full_narration_sink_does_no_harm() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut output = Output::to(Reader::People, io::sink(), full);
        output.say("working");
        assert_eq!(output.finish(Exit::Done), Exit::Done);
    }
}
