//! The log for operators: one record, one line, to standard error. It does not know what is logged; it sees to it that
//! no record can forge another one, stop the daemon or take it down.
//!
//! Records go through a bounded queue to a thread of their own. When the sink is slow, full or closed, records are
//! dropped and counted; whoever logs never waits and never fails. The journal is something else: it never drops.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use super::terminal::printable;

/// Records that wait for the sink: at [`RECORD_MAX_BYTES`] each, 16 MiB at the very most.
const QUEUE_MAX_RECORDS: usize = 1024;

/// A longer record is cut, in JSON too; no sentence of ours comes near.
const RECORD_MAX_BYTES: usize = 16 * 1024;

/// How long the end of the process waits for the sink.
const FLUSH_DEADLINE: Duration = Duration::from_millis(500);

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text when standard error is a terminal, JSON otherwise.
    Auto,
    /// For people: time, level, sentence, fields.
    Text,
    /// For programs: one JSON object per line, in ASCII.
    Json,
}

/// The least important records that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Someone must look.
    Error,
    /// Someone should look when there is time.
    Warn,
    /// What happens, one record per event of the trade.
    Info,
    /// How it happens.
    Debug,
}

/// Ends the log: waits a moment for what is queued when dropped. Kept by `main`.
#[must_use = "dropping it at once loses the last records"]
#[derive(Debug, Clone)]
pub struct LogGuard(LogQueue);

impl LogGuard {
    /// How many records were dropped since the start, for the metrics.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until what was logged is written, half a second at most.
    pub fn flush(&self) {
        let deadline = Instant::now() + FLUSH_DEADLINE;
        let (done, wait) = sync_channel(1);
        let mut entry = Entry::Flush(done);
        loop {
            match self.0.queue.try_send(entry) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => {
                    entry = back;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return,
            }
        }
        // Whether it was in time or not, the process goes on to end.
        let _ = wait.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Starts the log of this process. Fails only when one was started before or no thread can be made.
pub fn start(format: LogFormat, level: LogLevel) -> io::Result<LogGuard> {
    // A descriptor of our own: a lock on the standard stream, held by a stuck writer, would stop everybody else.
    let sink = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let format = match format {
        LogFormat::Auto if io::stderr().is_terminal() => LogFormat::Text,
        LogFormat::Auto | LogFormat::Json => LogFormat::Json,
        LogFormat::Text => LogFormat::Text,
    };
    let queue = LogQueue::start(sink)?;
    tracing::subscriber::set_global_default(subscriber(format, level, queue.clone())).map_err(io::Error::other)?;
    Ok(LogGuard(queue))
}

fn subscriber(format: LogFormat, level: LogLevel, queue: LogQueue) -> impl Subscriber + Send + Sync {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    // Libraries do not know what is secret here: their details stay out at every level.
    let ours = Targets::new().with_target("tallyd", level).with_default(level.min(LevelFilter::WARN));
    let layer = tracing_subscriber::fmt::layer().log_internal_errors(false).with_ansi(false);
    let layer = match format {
        LogFormat::Text => layer.with_target(false).with_writer(Lines { queue, escape: line_of_text }).boxed(),
        LogFormat::Auto | LogFormat::Json => {
            let writer = Lines { queue, escape: line_of_json };
            layer.json().flatten_event(true).with_span_list(false).with_writer(writer).boxed()
        }
    };
    tracing_subscriber::registry().with(layer.with_filter(ours))
}

/// The way to the writing thread.
#[derive(Debug, Clone)]
struct LogQueue {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Record(Vec<u8>),
    Flush(SyncSender<()>),
}

impl LogQueue {
    fn start(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUE_MAX_RECORDS);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write_all(sink, &entries, &counter))?;
        Ok(Self { queue, dropped })
    }

    fn record(&self, line: Vec<u8>) {
        if self.queue.try_send(Entry::Record(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The writing thread: ends when nobody is left who could log.
fn write_all(mut sink: impl Write, entries: &Receiver<Entry>, dropped: &AtomicU64) {
    for entry in entries {
        match entry {
            Entry::Record(line) => {
                if sink.write_all(&line).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Entry::Flush(done) => {
                // A sink that cannot be flushed has dropped what it dropped; who waits may have given up.
                let _ = sink.flush();
                let _ = done.try_send(());
            }
        }
    }
}

/// Makes each record one line and queues it.
struct Lines {
    queue: LogQueue,
    escape: fn(&str) -> String,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, record: Vec::new() }
    }
}

struct Line<'a> {
    lines: &'a Lines,
    record: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = RECORD_MAX_BYTES.saturating_sub(self.record.len());
        self.record.extend(bytes.iter().take(room));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.record);
        let mut line = (self.lines.escape)(text.strip_suffix('\n').unwrap_or(&text));
        line.push('\n');
        self.lines.queue.record(line.into_bytes());
    }
}

fn line_of_text(record: &str) -> String {
    printable(record).into_owned()
}

/// JSON holds characters outside of ASCII only inside of strings, where an escape means the same.
fn line_of_json(record: &str) -> String {
    let mut line = String::with_capacity(record.len());
    for character in record.chars() {
        if matches!(character, ' '..='~') {
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
    use std::sync::Mutex;

    use super::*;

    const NASTY: &str = "Åke\r\n{\"level\":\"ERROR\"} \u{1b}[2J\u{9b}\u{2028}\u{202e}\u{1f409}\u{7f}";

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let memory = Memory::default();
        let queue = LogQueue::start(memory.clone()).unwrap();
        tracing::subscriber::with_default(subscriber(format, LogLevel::Info, queue.clone()), log);
        drop(LogGuard(queue));
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_record_is_one_line_of_ascii_that_reads_back_whole() {
        let text = logged(LogFormat::Json, || tracing::info!(organisation = NASTY, "the mail to {NASTY} left"));
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.trim_end().bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{text}");
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(record["organisation"], NASTY);
        assert_eq!(record["level"], "INFO");
    }

    #[test]
    fn a_text_record_is_one_line_that_controls_nothing() {
        let text = logged(LogFormat::Text, || tracing::warn!(organisation = NASTY, "the mail to {NASTY} left"));
        assert_eq!(text.matches('\n').count(), 1);
        assert!(
            text.contains("Åke") && !text.contains(['\u{1b}', '\r', '\u{9b}', '\u{2028}', '\u{202e}', '\u{7f}']),
            "{text:?}"
        );
    }

    #[test]
    fn libraries_are_heard_from_warnings_up_only() {
        let text = logged(LogFormat::Text, || {
            tracing::info!(target: "lettre::transport", "body");
            tracing::warn!(target: "rustls", "handshake");
            tracing::debug!("detail");
        });
        assert!(text.contains("handshake") && !text.contains("body") && !text.contains("detail"), "{text}");
    }

    #[test]
    fn a_full_sink_drops_and_counts() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let guard = LogGuard(LogQueue::start(full).unwrap());
        for _ in 0..10 {
            guard.0.record(b"line\n".to_vec());
        }
        guard.flush();
        assert_eq!(guard.dropped(), 10);
    }

    #[test]
    fn a_stuck_sink_stops_nobody() {
        // A pipe that nobody reads takes 64 KiB, then blocks for ever.
        let (reader, writer) = std::io::pipe().unwrap();
        let guard = LogGuard(LogQueue::start(writer).unwrap());
        let started = Instant::now();
        for _ in 0..10_000 {
            guard.0.record(vec![b'x'; 1024]);
        }
        assert!(guard.dropped() > 8_000);
        assert!(started.elapsed() < Duration::from_secs(5));
        drop(reader);
    }

    #[test]
    fn a_record_without_end_is_cut() {
        let text = logged(LogFormat::Text, || tracing::info!("{}", "x".repeat(1_000_000)));
        assert!(text.len() <= RECORD_MAX_BYTES + 1 && text.ends_with('\n'));
    }
}
