//! The journal as people read it: a heading for each day, and for each entry a line with when, what, about whom, the
//! sentence, and by whom. Times are UTC, as everywhere in tallyd: two people who read the same trail read the same.

use super::actor::Actor;
use super::entry::Entry;
use super::sentence::sentence;
use super::subject::Subject;
use crate::domain::organisation::Party;
use crate::domain::request::Person;

/// Entries, told one after the other.
#[derive(Debug, Default)]
pub struct Timeline {
    /// The day of the heading that was written last.
    day: Option<String>,
}

impl Timeline {
    /// The line of the next entry; above it the heading, where another day begins.
    pub fn next(&mut self, entry: &Entry) -> String {
        let day = entry.time.date();
        let line = line(entry);
        if self.day.as_ref() == Some(&day) {
            return line;
        }
        let apart = if self.day.is_some() { "\n" } else { "" };
        let headed = format!("{apart}{day} (UTC)\n{line}");
        self.day = Some(day);
        headed
    }
}

fn line(entry: &Entry) -> String {
    let time = entry.time.to_string();
    let time = time.get(11..19).unwrap_or(&time);
    let (kind, about) = (entry.fact.kind(), about(&entry.subject));
    let apart = if about.is_empty() { "" } else { ": " };
    format!("{time} {:>6}  {kind:<22}  {about}{apart}{} (by {})", entry.seq, sentence(&entry.fact), who(&entry.actor))
}

fn about(subject: &Subject) -> String {
    match subject {
        Subject::Service {} => String::new(),
        Subject::Agreement { agreement, .. } => agreement.to_string(),
        Subject::Campaign { campaign } => campaign.to_string(),
        Subject::Request { request, application: Some(application) } => format!("{application} {request}"),
        Subject::Request { request, application: None } => request.to_string(),
        Subject::Application { application } | Subject::Issuance { application, .. } => application.to_string(),
        Subject::Credential { application, version, reference, .. } => format!("{application} v{version} {reference}"),
    }
}

fn who(actor: &Actor) -> String {
    match actor {
        Actor::Daemon => "daemon".to_owned(),
        Actor::Sender { name, .. } => format!("sender {name}"),
        Actor::Recipient { party: Party::Organisation(number), .. } => format!("recipient {number}"),
        Actor::Recipient { party: Party::Person(_), .. } => "recipient, a sole trader".to_owned(),
        Actor::MailSystem { uid, account } => format!("mail-system {}", Person { uid: *uid, account: account.clone() }),
        Actor::Operator { uid, account } => format!("operator {}", Person { uid: *uid, account: account.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::sample::History;

    #[test]
    fn each_day_has_one_heading_and_each_entry_one_line() {
        let mut entries = History::of_length(5, 100).entries;
        for entry in &mut entries {
            entry.time = entry.time.after(Duration::from_secs(entry.seq * 3_600));
        }
        let mut timeline = Timeline::default();
        let text: String = entries.iter().map(|entry| timeline.next(entry) + "\n").collect();
        let mut days: Vec<String> = entries.iter().map(|entry| format!("{} (UTC)", entry.time.date())).collect();
        days.dedup();
        let (headings, lines): (Vec<&str>, Vec<&str>) =
            text.lines().filter(|line| !line.is_empty()).partition(|line| line.ends_with("(UTC)"));
        assert_eq!(headings, days);
        assert!(days.len() > 1, "the sample lies within one day");
        assert_eq!(lines.len(), entries.len());
        for (line, entry) in lines.iter().zip(&entries) {
            assert!(line[8..].starts_with(&format!(" {:>6}  {}", entry.seq, entry.fact.kind())), "{line}");
        }
    }
}
