//! The arrows between the rooms, read from every path in the source: nothing points back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may name. `cli` reaches `issuance` through the operator socket only.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli", "platform"]),
    ("cli", &["anchor", "config", "daemon", "domain", "http", "journal", "mail", "platform", "store", "witness"]),
    ("daemon", &["anchor", "config", "domain", "http", "issuance", "journal", "mail", "platform", "store", "witness"]),
    ("witness", &["domain", "http", "journal", "platform"]),
    ("anchor", &["domain", "http", "journal", "platform", "store"]),
    ("config", &["domain", "platform"]),
    ("http", &["domain", "issuance", "journal", "platform", "store"]),
    ("issuance", &["domain", "journal", "mail", "platform", "store"]),
    ("mail", &["domain", "platform"]),
    ("store", &["domain", "journal", "platform"]),
    ("journal", &["domain"]),
    ("platform", &["domain"]),
    ("domain", &[]),
    ("lib", &[]),
];

const LINES_MAX: usize = 500;

/// A Rust file of the repository.
struct File {
    path: PathBuf,
    text: String,
}

fn files_below(root: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(root)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned();
                found.push(File { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "there is no Rust file below {root}");
    found
}

/// The room that a file of `src` belongs to.
fn room(path: &Path) -> String {
    let first = path.components().nth(1).unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// How many modules deep a file's own module is: `src/http/tls/material.rs` is three.
fn depth(path: &Path) -> usize {
    let below_src = path.components().count() - 1;
    if path.ends_with("mod.rs") { below_src - 1 } else { below_src }
}

/// What is wrong with the paths of one file.
fn wrong_arrows(path: &Path, text: &str) -> Vec<String> {
    let here = room(path);
    let allowed = ARROWS.iter().find(|(name, _)| *name == here).map(|(_, allowed)| *allowed);
    let Some(allowed) = allowed else {
        return vec![format!("{}: the room {here} has no line in the test", path.display())];
    };
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect();
    let root = if here == "main" { "tallyd::" } else { "crate::" };
    let mut wrong = Vec::new();
    for (place, _) in code.match_indices(root) {
        if code[..place].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        for there in rooms_named(&code[place + root.len()..]) {
            if there != here && !allowed.contains(&there.as_str()) {
                wrong.push(format!("{}: {here} names {there}", path.display()));
            }
        }
    }
    // A chain of `super` that is as long as the module is deep ends outside of the room. What stands in a module inside
    // of the file, as unit tests do, is one deeper.
    let outermost = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let chain = "super::".repeat(depth(path));
    if !["main", "lib"].contains(&here.as_str()) && outermost.contains(&chain) {
        wrong.push(format!("{}: a chain of super leaves the room", path.display()));
    }
    wrong
}

/// The first names after `crate::`, of which a group in braces has several.
fn rooms_named(after: &str) -> Vec<String> {
    let name =
        |text: &str| -> String { text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(group) = after.strip_prefix('{') else { return vec![name(after)] };
    let mut open = 1;
    let mut names = vec![String::new()];
    for character in group.chars() {
        match character {
            '{' => open += 1,
            '}' => open -= 1,
            ',' if open == 1 => {
                names.push(String::new());
                continue;
            }
            _ => {}
        }
        if open == 0 {
            break;
        }
        names.last_mut().unwrap().push(character);
    }
    names.iter().map(|text| name(text)).filter(|name| !name.is_empty()).collect()
}

#[test]
fn nothing_points_back() {
    let wrong: Vec<_> = files_below("src").iter().flat_map(|file| wrong_arrows(&file.path, &file.text)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_arrow_would_be_found() {
    for (path, text) in [
        ("src/store/writer.rs", "use crate::issuance::desk::Desk;"),
        ("src/domain/time.rs", "fn now() { crate::platform::clock::SystemClock.now() }"),
        ("src/journal/tree.rs", "use crate::{domain::ids::Label, store::{row, batch}};"),
        ("src/http/tls/material.rs", "use super::super::super::config::Config;"),
        ("src/cli/list.rs", "use crate::issuance::desk::Desk;"),
        ("src/mail/mod.rs", "use super::config::Config;"),
        ("src/main.rs", "use tallyd::store::handle::Store;"),
        ("src/helpers/mod.rs", ""),
    ] {
        assert_eq!(wrong_arrows(Path::new(path), text).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        (
            "src/store/writer.rs",
            "use crate::journal::{entry::Entry, fact::Fact};\n// crate::http knows\nuse super::batch;",
        ),
        ("src/http/tls/material.rs", "use super::super::caller::Caller;"),
        ("src/main.rs", "use tallyd::platform::memory::ALLOCATOR;"),
    ] {
        assert_eq!(wrong_arrows(Path::new(path), text), [""; 0], "{path}: {text}");
    }
}

#[test]
fn every_arrow_of_the_table_has_its_room() {
    let rooms: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let there: Vec<_> = files_below("src").iter().map(|file| room(&file.path)).collect();
    for (room, allowed) in rooms.iter() {
        assert!(there.contains(&(*room).to_owned()), "{room} does not exist any more");
        // An arrow in both directions would be a circle.
        for other in *allowed {
            assert!(!rooms[other].contains(room), "{room} and {other} may name each other");
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_none_is_too_long() {
    let (src, tests) = (files_below("src"), files_below("tests"));
    let silent = src.iter().chain(&tests).filter(|file| !file.text.starts_with("//! "));
    let silent: Vec<_> = silent.map(|file| file.path.display().to_string()).collect();
    assert!(silent.is_empty(), "without //! at their beginning: {}", silent.join(", "));
    let long = src.iter().filter(|file| file.text.lines().count() > LINES_MAX);
    let long: Vec<_> = long.map(|file| file.path.display().to_string()).collect();
    assert!(long.is_empty(), "longer than {LINES_MAX} lines: {}", long.join(", "));
}

#[test]
fn no_module_is_a_drawer_for_everything() {
    let drawers = ["common", "util", "utils", "helper", "helpers", "manager", "misc"];
    for file in files_below("src").iter().chain(&files_below("tests")) {
        let names = file.path.iter().map(|part| part.to_str().unwrap().trim_end_matches(".rs"));
        let found: Vec<_> = names.filter(|name| drawers.contains(name)).collect();
        assert_eq!(found, [""; 0], "{}", file.path.display());
    }
}
