//! The documents tell the truth about the code: every test that SECURITY.md names exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[test]
fn every_test_that_security_md_names_exists() {
    let sources = sources();
    let missing: Vec<_> =
        named_tests(&read("SECURITY.md")).into_iter().filter(|name| !defined(&sources, name)).collect();
    assert!(missing.is_empty(), "SECURITY.md names tests that do not exist: {missing:#?}");
}

#[test]
fn a_test_that_does_not_exist_is_missed() {
    assert!(!defined(&sources(), &["a_test_that", "nobody_wrote"].join("_")));
}

#[test]
fn every_invariant_has_a_row_with_a_test() {
    let text = read("SECURITY.md");
    for number in 1..=10 {
        let row = text.lines().find(|line| line.starts_with(&format!("| {number} |")));
        assert!(row.is_some_and(|row| !named_tests(row).is_empty()), "invariant {number} names no test");
    }
}

/// Names in backquotes that have the form of a test's name: several words joined by underscores.
fn named_tests(text: &str) -> BTreeSet<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_test = |name: &&str| {
        name.matches('_').count() >= 2 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    quoted.filter(is_test).map(str::to_owned).collect()
}

fn defined(sources: &[String], name: &str) -> bool {
    // Those of the store's suite are generic over the backend.
    let definitions = [format!("fn {name}("), format!("fn {name}<")];
    sources.iter().any(|source| definitions.iter().any(|definition| source.contains(definition)))
}

fn sources() -> Vec<String> {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    collect(&root().join("tests"), &mut files);
    files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
