//! What a command said, with everything that differs from run to run replaced by something of the same width.

use std::path::Path;

use crate::harness::operator::Ran;

/// Both streams and the exit code, as somebody at a terminal would note them down.
pub(crate) fn transcript(root: &Path, ran: &Ran) -> String {
    let mut text = ran.out.clone();
    for line in ran.err.lines() {
        text.push_str(format!("! {line}").trim_end());
        text.push('\n');
    }
    text.push_str(&format!("exit {}", ran.exit));
    scrubbed(&text.replace(&root.display().to_string(), "DIR"))
}

fn scrubbed(text: &str) -> String {
    let in_word = |c: char| c.is_ascii_alphanumeric() || "-_.:/+".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(in_word) {
        let (before, from_word) = rest.split_at(start);
        let end = from_word.find(|c| !in_word(c)).unwrap_or(from_word.len());
        let (word, after) = from_word.split_at(end);
        out.push_str(before);
        let is_process = out.ends_with("process ");
        let bare = word.trim_end_matches([':', '.']);
        out.push_str(&stand_in(bare, is_process));
        out.push_str(&word[bare.len()..]);
        rest = after;
    }
    out + rest
}

fn stand_in(word: &str, is_process: bool) -> String {
    let shape: String = word.chars().map(shape_of).collect();
    match shape.as_str() {
        "0000-00-00" => "YYYY-MM-DD".to_owned(),
        "00:00" => "HH:MM".to_owned(),
        "00:00:00" => "HH:MM:SS".to_owned(),
        "0000-00-00A00:00:00.000A" => "YYYY-MM-DDTHH:MM:SS.sssZ".to_owned(),
        _ if is_process => "PID".to_owned(),
        _ if word.starts_with("localhost:") => "localhost:PORT".to_owned(),
        _ if is_uuid(word.trim_end_matches(':')) => if word.ends_with(':') { "UUID:" } else { "UUID" }.to_owned(),
        _ if word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit()) => "DIGEST".to_owned(),
        _ if word.starts_with("ex-test-") => format!("ex-test-{}", "x".repeat(20)),
        _ if word.len() == 43 && !word.contains(['-', ':', '.']) => "ROOT".to_owned(),
        _ if is_reference(word) => "REFERENCE".to_owned(),
        _ if is_request(word) => "XXXX-XXXX-XXXX-XXXX".to_owned(),
        _ => word.to_owned(),
    }
}

fn shape_of(character: char) -> char {
    match character {
        '0'..='9' => '0',
        'A'..='Z' => 'A',
        other => other,
    }
}

fn is_uuid(word: &str) -> bool {
    let parts: Vec<_> = word.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12]
}

fn is_reference(word: &str) -> bool {
    in_groups_of_four(word, 2)
}

fn is_request(word: &str) -> bool {
    in_groups_of_four(word, 4)
}

fn in_groups_of_four(word: &str, groups: usize) -> bool {
    let alphabet = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase();
    let all: Vec<_> = word.split('-').collect();
    all.len() == groups && all.iter().all(|group| group.len() == 4 && group.chars().all(alphabet))
}
