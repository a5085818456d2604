//! The manual and the completions as packagers make them from the binary, read by the programs that people read them with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_tallyd");

/// A directory with the manual and the completions in it.
struct Package(PathBuf);

impl Package {
    fn made(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("tallyd-manual-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let package = Self(directory);
        package.run(
            "tallyd man man1 > pages; tallyd man man1 | cmp - pages
             for shell in bash zsh fish elvish powershell; do tallyd completions $shell > $shell; done",
        );
        package
    }

    fn pages(&self) -> Vec<PathBuf> {
        let named = fs::read_to_string(self.0.join("pages")).unwrap();
        let pages: Vec<_> = named.lines().map(|line| self.0.join(line)).collect();
        assert!(pages.len() > 30 && pages.iter().all(|page| page.exists()), "{pages:?}");
        pages
    }

    /// What a script prints on both streams.
    fn run(&self, script: &str) -> String {
        let programs = Path::new(BINARY).parent().unwrap().display();
        let ran = Command::new("bash")
            .args(["-euc", &format!("exec 2>&1\n{script}")])
            .current_dir(&self.0)
            .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()))
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", &self.0)
            .env("MANWIDTH", "100")
            .output()
            .unwrap();
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success(), "{script}: {printed}");
        printed
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn no_reader_of_manuals_finds_fault_with_any_page() {
    let package = Package::made("lint");
    for page in package.pages() {
        let page = page.display();
        for reader in [
            format!("mandoc -Tlint -Wstyle {page}"),
            format!("groff -ww -Kutf8 -man -Tutf8 -z {page}"),
            format!("man --warnings=w -l -Tutf8 -Z {page} > /dev/null"),
        ] {
            assert_eq!(package.run(&reader), "", "{reader}");
        }
    }
    // The readers find what there is to be found.
    fs::write(package.0.join("bad.1"), ".TH BAD 1 2026-11-01\n.SH NAME\nbad - x \n.XX\n\\(xx\n").unwrap();
    assert!(package.run("mandoc -Tlint -Wstyle bad.1 || true").contains("bad.1"));
    assert!(package.run("groff -ww -Kutf8 -man -Tutf8 -z bad.1").contains("bad.1"));
}

#[test]
fn a_page_reads_as_a_manual_does() {
    let package = Package::made("read");
    let read = |page: &str| package.run(&format!("man -P cat -l man1/{page}.1 | col -bx"));
    let pickup = read("tallyd-pickup");
    for says in [
        "tallyd-pickup - For recipients: fetch part 2, combine, and confirm",
        "SYNOPSIS",
        "--cert <FILE>",
        "password of a .p12 or .pfx file",
        "EXIT STATUS",
        "tallyd pickup --url https://nycklar.exempel.se/ --cert organisation.p12 --out api-keys.env K7QF-2M9D",
        "tallyd(1), tallyd-combine(1), curl(1)",
    ] {
        assert!(pickup.contains(says), "{says} is not in:\n{pickup}");
    }
    let main = read("tallyd");
    for says in [
        "tallyd-audit(1)",
        "/etc/tallyd/tallyd.toml",
        "3      The configuration or a file was refused",
        "November",
        "2026-11-01",
    ] {
        assert!(says == "November" || main.contains(says), "{says} is not in:\n{main}");
    }
    assert!(!main.contains("tallyd-help"), "{main}");
}

#[test]
fn bash_completes_commands_options_and_values() {
    let package = Package::made("bash");
    for (typed, completed) in [
        ("pick", "pickup"),
        ("audit ver", "verify"),
        ("contacts forg", "forget"),
        ("pickup --ce", "--cert"),
        ("pickup --format j", "json"),
        ("completions fi", "fish"),
    ] {
        let words: Vec<_> = typed.split(' ').collect();
        let (count, last) = (words.len(), words[words.len() - 1]);
        let script = format!(
            "source ./bash; complete -p tallyd > /dev/null; COMP_WORDS=(tallyd {typed}); COMP_CWORD={count}
             _tallyd tallyd '{last}' '{}'; echo \"${{COMPREPLY[@]}}\"",
            words[..count - 1].last().unwrap_or(&"tallyd")
        );
        assert_eq!(package.run(&script).trim(), completed, "{typed}");
    }
}

#[test]
fn zsh_and_fish_take_their_completions() {
    let package = Package::made("shells");
    package.run("zsh -fn zsh; fish --no-execute fish");
    let offered = package.run("fish --no-config -c 'source fish; complete -C \"tallyd pick\"'");
    assert!(offered.starts_with("pickup\t"), "{offered}");
    package.run("mkdir site; mv zsh site/_tallyd; zsh -fc 'fpath=(site $fpath); autoload -U compinit; compinit -u -D; [[ $_comps[tallyd] = _tallyd ]]'");
}
