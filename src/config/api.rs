//! `[[api]]`: what the agency publishes, and the keys that a bundle for it has.

use std::collections::BTreeMap;
use std::time::Duration;

use super::section::Section;
use super::values::{list, text, time, word};
use crate::domain::ids::{ApiName, Environment};
use crate::domain::policy::{AgreementRule, Api};

const DAY: Duration = Duration::from_secs(86_400);

/// One published API with its name.
pub(super) struct PublishedApi {
    name: ApiName,
    api: Api,
}

impl PublishedApi {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let name = section.required("name", text);
        let keys = section.required("keys", list(1, text));
        let words: Vec<_> = Environment::ALL.iter().map(|one| (one.as_str(), *one)).collect();
        let environments = section.or("environments", Environment::ALL.to_vec(), list(1, word(words)));
        let category = section.optional("category", text);
        let rules: Vec<_> = AgreementRule::ALL.iter().map(|rule| (rule.as_str(), *rule)).collect();
        let agreement = section.or("agreement", AgreementRule::Never, word(rules));
        let life = section.optional("life", time(DAY..=DAY * 36_500));
        let api = Api {
            category: category?.or_else(|| "partner".parse().ok())?,
            keys: keys?.into_iter().collect(),
            environments: environments?.into_iter().collect(),
            agreement: agreement?,
            life: life?,
        };
        Some(Self { name: name?, api })
    }
}

/// All of them by name; at least one, and no name twice.
pub(super) fn published(root: &Section<'_>, apis: Vec<PublishedApi>) -> Option<BTreeMap<ApiName, Api>> {
    let mut by_name = BTreeMap::new();
    for PublishedApi { name, api } in apis {
        if by_name.insert(name.clone(), api).is_some() {
            root.fault_at("api", format!("two of them are named {name}"), "name each API once".to_owned());
            return None;
        }
    }
    if by_name.is_empty() {
        root.fault_at("api", "is missing".to_owned(), "name at least one [[api]]".to_owned());
        return None;
    }
    Some(by_name)
}
