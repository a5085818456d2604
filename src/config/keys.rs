//! `[journal]`, `[sealing]` and `[pseudonyms]`: which file holds which key. No key is read here.

use super::section::Section;
use super::values::{Origin, text};
use crate::platform::files::FileSource;

/// The journal's name and key.
#[derive(Debug, Clone)]
pub struct Journal {
    /// What its checkpoints call it. It cannot be changed later.
    pub origin: Origin,
    /// The Ed25519 key that signs checkpoints.
    pub signing_key: FileSource,
}

impl Journal {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let origin = section.required("origin", text);
        let signing_key = section.required("signing_key", text);
        Some(Self { origin: origin?, signing_key: signing_key? })
    }
}

/// The keys that no listener and no signature needs.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Seals pickup shares.
    pub sealing: FileSource,
    /// Makes pseudonyms of personal data for the journal.
    pub pseudonyms: FileSource,
}

impl Keys {
    pub(super) fn read(root: &mut Section<'_>) -> Option<Self> {
        let sealing = root.section("sealing", |section| section.required("key", text));
        let pseudonyms = root.section("pseudonyms", |section| section.required("key", text));
        Some(Self { sealing: sealing?, pseudonyms: pseudonyms? })
    }
}
