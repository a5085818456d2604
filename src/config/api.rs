//! `[[api]]`: what the agency publishes, and the keys that a bundle for it has.

use std::collections::BTreeMap;

use super::section::Section;
use super::values::{list, text, word};
use crate::domain::ids::{ApiName, Environment};
use crate::domain::policy::Api;

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
        let api = Api { keys: keys?.into_iter().collect(), environments: environments?.into_iter().collect() };
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
