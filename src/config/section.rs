//! Reads keys out of one table and gathers what is wrong with them. It does not know what any key means.
//!
//! A method that reads answers `None` when it has put a fault on the list; a section's reader reads all of its keys
//! first and only then gives up with `?`.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{ConfigRefused, Fault};

/// Why a value is refused: what it is, and what to write.
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) hint: String,
}

/// The file that is read and what was found wrong so far.
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    pub(super) faults: RefCell<Vec<Fault>>,
}

impl Document<'_> {
    /// A fault of the TOML itself, found before any key has a meaning.
    pub(super) fn syntax_fault(&self, span: Option<Range<usize>>, message: &str) {
        let line = span.map(|span| self.line(span.start));
        let hint = "the file is TOML: see https://toml.io".to_owned();
        self.push(Fault { line, key: String::new(), reason: message.replace('\n', ", "), hint });
    }

    /// The faults, in the order of the file.
    pub(super) fn refused(self, file: &Path) -> ConfigRefused {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        ConfigRefused { file: file.to_owned(), faults }
    }

    fn push(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
    }
}

/// One table of the file; an absent one reads as empty, so that its missing keys are named.
pub(super) struct Section<'a> {
    document: &'a Document<'a>,
    path: String,
    line: Option<usize>,
    table: Option<&'a DeTable<'a>>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn root(document: &'a Document<'a>, table: &'a DeTable<'a>) -> Self {
        Self { document, path: String::new(), line: None, table: Some(table), known: Vec::new() }
    }

    /// A value that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Refusal>,
    ) -> Option<T> {
        let value = self.optional(key, read)?;
        if value.is_none() {
            self.fault_at(key, "is missing".to_owned(), "the example configuration shows what to write".to_owned());
        }
        value
    }

    /// A value that is `default` when it is not there.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl Fn(&DeValue<'_>) -> Result<T, Refusal>,
    ) -> Option<T> {
        Some(self.optional(key, read)?.unwrap_or(default))
    }

    /// A value that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Refusal>,
    ) -> Option<Option<T>> {
        let Some(value) = self.find(key) else { return Some(None) };
        match read(value.get_ref()) {
            Ok(value) => Some(Some(value)),
            Err(refusal) => {
                self.fault_at(key, refusal.reason, refusal.hint);
                None
            }
        }
    }

    /// A table; when it is absent, `read` sees an empty one.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.find(key) {
            Some(value) => self.table_at(self.full(key), value, read),
            None => {
                let mut absent = Section {
                    document: self.document,
                    path: self.full(key),
                    line: None,
                    table: None,
                    known: Vec::new(),
                };
                read(&mut absent)
            }
        }
    }

    /// A table that may be left out.
    pub(super) fn optional_section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.find(key) {
            Some(value) => self.table_at(self.full(key), value, read).map(Some),
            None => Some(None),
        }
    }

    /// An array of tables (`[[key]]`), empty when there is none.
    pub(super) fn sections<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(value) = self.find(key) else {
            return Some(Vec::new());
        };
        let Some(entries) = value.get_ref().as_array() else {
            let hint = format!("write it as [[{}]]", self.full(key));
            self.fault_at(key, format!("is a {}", value.get_ref().type_str()), hint);
            return None;
        };
        // Not `map(..).collect()`: it would stop at the first entry with a fault.
        let mut all = Some(Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            let read = self.table_at(format!("{}[{place}]", self.full(key)), entry, &mut read);
            all = all.zip(read).map(|(mut all, one)| {
                all.push(one);
                all
            });
        }
        all
    }

    /// Refuses keys that mean nothing without `needed`, which is absent.
    pub(super) fn refuse_without(&mut self, needed: &str, keys: &[&'static str]) -> Option<()> {
        let mut all_absent = Some(());
        for key in keys {
            if self.find(key).is_some() {
                self.fault_at(
                    key,
                    format!("means nothing without {needed}"),
                    format!("add {needed}, or remove the key"),
                );
                all_absent = None;
            }
        }
        all_absent
    }

    /// Puts a fault on the list, at the key's line or else at the table's.
    pub(super) fn fault_at(&self, key: &str, reason: String, hint: String) {
        let at = self.table.and_then(|table| table.iter().find(|(name, _)| name.get_ref().as_ref() == key));
        let line = at.map(|(name, _)| self.document.line(name.span().start)).or(self.line);
        self.document.push(Fault { line, key: self.full(key), reason, hint });
    }

    /// Refuses what nobody asked for, with the key that was probably meant. To be called when all keys were read.
    pub(super) fn refuse_unknown(&self) {
        let names = self.table.iter().flat_map(|table| table.keys()).map(|name| name.get_ref().as_ref());
        for unknown in names.filter(|name| !self.known.contains(name)) {
            let meant = self.known.iter().find(|known| distance(known, unknown) <= 2);
            let mut known = self.known.clone();
            known.sort_unstable();
            known.dedup();
            let known = known.join(", ");
            let hint = match meant {
                Some(meant) => format!("did you mean {meant}? Known here: {known}"),
                None => format!("known here: {known}"),
            };
            self.fault_at(unknown, "is not a known key".to_owned(), hint);
        }
    }

    fn table_at<T>(
        &self,
        path: String,
        value: &'a Spanned<DeValue<'a>>,
        read: impl FnOnce(&mut Section<'a>) -> Option<T>,
    ) -> Option<T> {
        let line = Some(self.document.line(value.span().start));
        let Some(table) = value.get_ref().as_table() else {
            let hint = format!("write it as a table, [{path}]");
            let reason = format!("is a {}", value.get_ref().type_str());
            self.document.push(Fault { line, key: path, reason, hint });
            return None;
        };
        let mut section = Section { document: self.document, path, line, table: Some(table), known: Vec::new() };
        let read = read(&mut section);
        section.refuse_unknown();
        read
    }

    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        let table = self.table?;
        table.iter().find(|(name, _)| name.get_ref().as_ref() == key).map(|(_, value)| value)
    }

    fn full(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// How many letters must be put in, taken out or exchanged (Levenshtein), counted in one row.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.bytes().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (cell, against) in row.iter_mut().skip(1).zip(other.bytes()) {
            let replaced = diagonal + usize::from(letter != against);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn a_slip_of_the_finger_is_near_and_another_word_is_not() {
        assert_eq!(distance("listen", "listen"), 0);
        assert_eq!(distance("listen", "lisen"), 1);
        assert_eq!(distance("listen", "litsen"), 2);
        assert!(distance("listen", "certificate") > 2);
        assert_eq!(distance("", "ab"), 2);
    }
}
