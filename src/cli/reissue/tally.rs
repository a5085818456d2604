//! What became, or would become, of the clients of a campaign: counted, and as rows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::operator::text;

/// How many clients are named for one cause.
const NAMED: usize = 3;

/// Clients by what became of them, and why.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<(String, String), (u64, Vec<String>)>);

impl Tally {
    /// Adds one client, as the daemon tells of it.
    pub(super) fn count(&mut self, client: &Value) {
        let (count, named) = self.0.entry((text(client, "/outcome"), text(client, "/cause"))).or_default();
        *count += 1;
        if named.len() < NAMED {
            named.push(text(client, "/application_id"));
        }
    }

    /// How many would be re-issued, within a limit.
    pub(super) fn re_issued(&self, limit: Option<u64>) -> u64 {
        self.of("re-issue").min(limit.unwrap_or(u64::MAX))
    }

    /// How many were refused.
    pub(super) fn refused(&self) -> u64 {
        self.of("refused")
    }

    fn of(&self, outcome: &str) -> u64 {
        self.0.iter().filter(|((of, _), _)| of == outcome).map(|(_, (count, _))| count).sum()
    }

    /// For programs.
    pub(super) fn summary(&self) -> Vec<Value> {
        let one = |((outcome, cause), (count, _)): (&(String, String), &(u64, Vec<String>))| match cause.as_str() {
            "" => json!({ "outcome": outcome, "clients": count }),
            cause => json!({ "outcome": outcome, "cause": cause, "clients": count }),
        };
        self.0.iter().map(one).collect()
    }

    /// For people: outcome, cause, count.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let row = |((outcome, cause), (count, _)): (&(String, String), &(u64, Vec<String>))| {
            vec![outcome.clone(), cause.clone(), count.to_string()]
        };
        self.0.iter().map(row).collect()
    }

    /// The same without one outcome, and with some of the clients' names.
    pub(super) fn rows_but(&self, outcome: &str) -> Vec<Vec<String>> {
        let others = self.0.iter().filter(|((of, _), _)| of != outcome);
        let row = |((outcome, cause), (count, named)): (&(String, String), &(u64, Vec<String>))| {
            vec![outcome.clone(), cause.clone(), count.to_string(), named.join(", ")]
        };
        others.map(row).collect()
    }
}

/// Rows of a dry run: who would be re-issued, and who left alone.
pub(super) fn would_rows(clients: &[Value], old: &str) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let (mut re_issued, mut skipped) = (Vec::new(), Vec::new());
    for client in clients {
        let mut row = vec![
            text(client, "/application_id"),
            text(client, "/organisation/name"),
            text(client, "/environment"),
            list(client, "/apis", |api| text(api, "")),
        ];
        let cause = text(client, "/cause");
        if cause.is_empty() {
            row.push(format!("{} {old}", list(client, "/versions", |version| format!("v{}", text(version, "")))));
            row.push(list(client, "/mail", mail));
            re_issued.push(row);
        } else {
            row.push(cause);
            skipped.push(row);
        }
    }
    (re_issued, skipped)
}

/// `api@exempel.se (part-1)`.
fn mail(mail: &Value) -> String {
    format!("{} ({})", text(mail, "/email"), list(mail, "/gets", |what| text(what, "")))
}

fn list(value: &Value, path: &str, word: impl Fn(&Value) -> String) -> String {
    let items = value.pointer(path).and_then(Value::as_array).into_iter().flatten();
    items.map(word).collect::<Vec<_>>().join(", ")
}
