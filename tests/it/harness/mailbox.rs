//! Mails as a recipient's program reads them.

use std::collections::BTreeMap;

use mail_parser::MessageParser;

/// The mail with part 1.
#[derive(Debug, Clone)]
pub(crate) struct PartOne {
    /// The delivery, without dash.
    pub(crate) reference: String,
    /// The share tokens, by label.
    pub(crate) shares: BTreeMap<String, String>,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl PartOne {
    /// `None` when the mail holds no part, in no body.
    pub(crate) fn read(raw: &[u8]) -> Option<Self> {
        let message = MessageParser::default().parse(raw).unwrap();
        let text = message.body_text(0)?.replace("\r\n", "\n");
        let tokens = tokens(&text);
        let in_html = self::tokens(&message.body_html(0).unwrap());
        assert_eq!(tokens, in_html, "both forms of a mail hold the same parts");
        let reference = tokens.first()?.split('.').nth(1)?.to_owned();
        let label = |token: &String| token.split('.').nth(3).unwrap().to_owned();
        let shares = tokens.iter().map(|token| (label(token), token.clone())).collect();
        Some(Self { reference, shares, subject: message.subject().unwrap().to_owned(), text })
    }

    /// The commands in the mail: each begins with four spaces.
    pub(crate) fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("    ") else { continue };
            let mut command = first.to_owned();
            // It goes on over the lines that follow, until its quote is closed and no line ends with a backslash.
            while command.matches('\'').count() % 2 == 1 || command.ends_with('\\') {
                command.push('\n');
                command.push_str(lines.next().unwrap());
            }
            commands.push(command);
        }
        commands
    }
}

/// The text body of any mail, with one space between its words, wherever its lines end.
pub(crate) fn text_of(raw: &[u8]) -> String {
    let message = MessageParser::default().parse(raw).unwrap();
    in_one_line(&message.body_text(0).unwrap())
}

/// A text with one space between its words.
pub(crate) fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The HTML body of any mail.
pub(crate) fn html_of(raw: &[u8]) -> String {
    MessageParser::default().parse(raw).unwrap().body_html(0).unwrap().into_owned()
}

/// The subject of any mail.
pub(crate) fn subject_of(raw: &[u8]) -> String {
    MessageParser::default().parse(raw).unwrap().subject().unwrap().to_owned()
}

/// The distinct share tokens in a text, in their order. A mail divides them into lines.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (place, _) in text.match_indices("tally1.") {
        let joined: String = text[place..].chars().filter(|c| !c.is_whitespace()).take(400).collect();
        let in_token = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let fields: Vec<&str> = joined.splitn(6, '.').collect();
        let [.., payload, rest] = fields[..] else { continue };
        let Some(checksum) = rest.get(..8).filter(|sum| sum.bytes().all(|byte| byte.is_ascii_hexdigit())) else {
            continue;
        };
        if fields.len() == 6 && payload.chars().all(in_token) {
            let token = [&fields[..5], &[checksum]].concat().join(".");
            if !found.contains(&token) {
                found.push(token);
            }
        }
    }
    found
}
