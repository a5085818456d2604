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
        let text = message.body_text(0).unwrap().replace("\r\n", "\n");
        let tokens = tokens(&text);
        let in_html = self::tokens(&message.body_html(0).unwrap());
        assert_eq!(tokens, in_html, "both forms of a mail hold the same parts");
        let reference = tokens.first()?.split('.').nth(1)?.to_owned();
        let label = |token: &String| token.split('.').nth(3).unwrap().to_owned();
        let shares = tokens.iter().map(|token| (label(token), token.clone())).collect();
        Some(Self { reference, shares, subject: message.subject().unwrap().to_owned(), text })
    }

    /// The lines of the mail that are commands: indented by four spaces.
    pub(crate) fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("    ") else { continue };
            let mut command = first.to_owned();
            // A quoted program goes on over the lines that follow, until its quote is closed.
            while command.matches('\'').count() % 2 == 1 {
                command.push('\n');
                command.push_str(lines.next().unwrap());
            }
            commands.push(command);
        }
        commands
    }
}

/// The text body of any mail.
pub(crate) fn text_of(raw: &[u8]) -> String {
    MessageParser::default().parse(raw).unwrap().body_text(0).unwrap().into_owned()
}

/// The distinct share tokens in a text, in their order.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (place, _) in text.match_indices("tally1.") {
        let in_token = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let token: String = text[place..].chars().take_while(|c| in_token(*c)).collect();
        if token.split('.').count() == 6 && !found.contains(&token) {
            found.push(token);
        }
    }
    found
}
