//! An entry as one line for people: when, what, about whom, by whom, and its plain details. It reads the entry's JSON, as
//! the daemon's answers and the archive give it.

use serde_json::Value;

/// The line of one entry.
pub fn line(entry: &Value) -> String {
    let about = match text(entry, "/subject/of").as_str() {
        "service" => String::new(),
        "agreement" => text(entry, "/subject/agreement"),
        "campaign" => text(entry, "/subject/campaign"),
        "request" => {
            let (application, request) = (text(entry, "/subject/application"), text(entry, "/subject/request"));
            format!("{application} {request}").trim_start().to_owned()
        }
        "credential" => format!(
            "{} v{} {}",
            text(entry, "/subject/application"),
            text(entry, "/subject/version"),
            text(entry, "/subject/reference")
        ),
        _ => text(entry, "/subject/application"),
    };
    let who = match text(entry, "/actor/who").as_str() {
        "sender" => format!("sender {}", text(entry, "/actor/name")),
        "recipient" => {
            let number = text(entry, "/actor/party/organisation");
            if number.is_empty() { "recipient (sole trader)".to_owned() } else { format!("recipient {number}") }
        }
        of_the_machine @ ("operator" | "mail-system") => {
            let account = text(entry, "/actor/account");
            if account.is_empty() {
                format!("{of_the_machine} uid {}", text(entry, "/actor/uid"))
            } else {
                format!("{of_the_machine} {account}")
            }
        }
        other => other.to_owned(),
    };
    let details = details(entry.get("data").unwrap_or(&Value::Null));
    let words = [
        text(entry, "/seq"),
        instant(&text(entry, "/time")),
        format!("{:<22}", text(entry, "/kind")),
        about,
        format!("by {who}"),
        details,
    ];
    words.iter().filter(|word| !word.is_empty()).map(String::as_str).collect::<Vec<_>>().join("  ")
}

/// The plain members of an entry's data; what is nested or long is left to `--json`.
fn details(data: &Value) -> String {
    let plain = |(name, value): (&String, &Value)| match value {
        Value::String(text) if text.len() <= 80 => Some(format!("{name}={text}")),
        Value::Number(number) => Some(format!("{name}={number}")),
        // What a request asks for.
        Value::Object(asked) => asked.get("do").and_then(Value::as_str).map(|command| format!("{name}={command}")),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) => None,
    };
    data.as_object().map(|members| members.iter().filter_map(plain).collect::<Vec<_>>().join(" ")).unwrap_or_default()
}

/// A member of a JSON object as text for people; empty when it is not there.
pub fn text(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

/// An instant to the second, for tables: `2026-11-23 07:30:00`.
pub fn instant(text: &str) -> String {
    text.get(..19).unwrap_or(text).replace('T', " ")
}
