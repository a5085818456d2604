//! `[agency]`: who issues, as partners see it.

use super::section::Section;
use super::values::{text, word};
use crate::domain::contact::{EmailAddress, Language};
use crate::domain::ids::Prefix;
use crate::domain::name::Name;

/// Who issues.
#[derive(Debug, Clone)]
pub struct Agency {
    /// Its name, as mails and pages show it.
    pub name: Name,
    /// Where partners ask when something is unclear.
    pub contact: EmailAddress,
    /// Where the agency's own operators are told of what ends.
    pub operators: Option<EmailAddress>,
    /// What `client_id` and `client_secret` begin with.
    pub prefix: Prefix,
    /// The language of pages for a stranger.
    pub language: Language,
}

impl Agency {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let name = section.required("name", text);
        let contact = section.required("contact", text);
        let operators = section.optional("operators", text);
        let prefix = section.required("prefix", text);
        let languages: Vec<_> = Language::ALL.iter().map(|language| (language.as_str(), *language)).collect();
        let language = section.or("language", Language::Sv, word(languages));
        Some(Self { name: name?, contact: contact?, operators: operators?, prefix: prefix?, language: language? })
    }
}
