//! How far a long command is: a bar with rate and remaining time on a terminal, a plain line now and then elsewhere.

use std::fmt;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::output::Output;
use crate::domain::duration::spelled;
use crate::store::verification::Reached;

/// Where there is no bar, somebody reads a log: a line every so often is enough.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// One command's progress over so many things of one kind.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    /// What they are: `clients`.
    what: &'static str,
    length: u64,
    /// What was done before this command took over: its rate is that of what it does itself.
    before: u64,
    began: Instant,
    told: Instant,
}

impl Progress {
    /// Over `length` of `what`, of which `done` are done.
    pub(super) fn over(what: &'static str, length: u64, done: u64) -> Self {
        let now = Instant::now();
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
            let style = format!("{{bar:30}} {{pos}} of {{len}} {what}, {{rate}} a second, {{eta}} left");
            let style = ProgressStyle::with_template(&style);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.with_key("rate", |state: &ProgressState, to: &mut dyn fmt::Write| {
                // Writing to the line does not fail.
                let _ = write!(to, "{:.0}", state.per_sec());
            }));
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        Self { bar, what, length, before: done, began: now, told: now }
    }

    /// So many are done.
    pub(super) fn reached(&mut self, done: u64, output: &mut Output) {
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.told.elapsed() >= LINE_EVERY => {
                self.told = Instant::now();
                output.say(line(self.what, done, self.length, done.saturating_sub(self.before), self.began.elapsed()));
            }
            None => {}
        }
    }

    /// How far a verification is.
    pub(super) fn verified(&mut self, reached: Reached, output: &mut Output) {
        match reached {
            Reached::Entries(read) => self.reached(read, output),
            Reached::Tables => self.reached(self.length, output),
            Reached::Searching => output.say("something is not as it must be; reading it again to find out where"),
        }
    }

    /// Takes the bar off the screen.
    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `1200 of 10000 clients, 640 a second, 14s left`.
fn line(what: &str, done: u64, length: u64, lately: u64, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = lately.saturating_mul(1000) / millis;
    let said = format!("{done} of {length} {what}, {rate} a second");
    if rate == 0 || done >= length {
        return said;
    }
    format!("{said}, {} left", spelled(Duration::from_secs((length - done).div_ceil(rate))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_and_remaining_time() {
        let seconds = Duration::from_secs;
        assert_eq!(line("clients", 1200, 10_000, 1200, seconds(2)), "1200 of 10000 clients, 600 a second, 15s left");
        assert_eq!(line("clients", 5200, 10_000, 200, seconds(2)), "5200 of 10000 clients, 100 a second, 48s left");
        assert_eq!(line("clients", 0, 10, 0, seconds(9)), "0 of 10 clients, 0 a second");
        assert_eq!(line("clients", 10, 10, 10, Duration::ZERO), "10 of 10 clients, 10000 a second");
        assert_eq!(line("clients", 11, 10, 1, seconds(1)), "11 of 10 clients, 1 a second");
    }
}
