//! `tallyd man DIR`: the manual pages of all commands, made from their definitions, so that packagers need the binary alone
//! and no page says what the command does not. What a definition cannot say stands in `man/more.rs`.

mod more;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::output::{Exit, Failure, Output};
use crate::platform::clock::released;
use more::More;

/// Section 1 of the manual: commands.
const SECTION: &str = "1";

/// The pages are data: they are read with `man`, from wherever they were written to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
For all users of the machine, as root:
  tallyd man /usr/share/man/man1

To read one without installing it:
  tallyd man /tmp/tallyd-man && man -l /tmp/tallyd-man/tallyd-pickup.1")]
pub struct Args {
    /// Where to write them; made when it does not exist. Pages that are there already are replaced.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the pages, and prints their paths.
pub fn run(args: &Args, command: Command, output: &mut Output) -> Result<Exit, Failure> {
    let failed = |path: &Path, cause: io::Error| {
        let hint = "name a directory that you may write to";
        Failure::new("write the manual to", path.display(), cause).hint(hint).exit(Exit::Refused)
    };
    fs::create_dir_all(&args.dir).map_err(|cause| failed(&args.dir, cause))?;
    for page in pages(command).map_err(|cause| failed(&args.dir, cause))? {
        let path = args.dir.join(format!("{}.{SECTION}", page.name));
        write(&path, &page.text).map_err(|cause| failed(&path, cause))?;
        output.data(path.display());
    }
    Ok(Exit::Done)
}

/// All may read it; what is a link to elsewhere is not followed.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644).custom_flags(no_follow);
    options.open(path)?.write_all(text)
}

/// One page.
struct Page {
    /// `tallyd-audit-verify`.
    name: String,
    text: Vec<u8>,
}

fn pages(command: Command) -> io::Result<Vec<Page>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, None, &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, parent: Option<&str>, pages: &mut Vec<Page>) -> io::Result<()> {
    let name = name(command);
    pages.push(Page { text: page(command, &name, parent)?, name: name.clone() });
    for below in visible(command) {
        add(below, Some(&name), pages)?;
    }
    Ok(())
}

fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set())
}

fn page(command: &Command, name: &str, parent: Option<&str>) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .section(SECTION)
        .date(released().date())
        .source(format!("tallyd {}", env!("CARGO_PKG_VERSION")))
        .manual("tallyd");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    let more = More::about(name);
    paragraphs(&[more.description]).to_writer(&mut text)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut text)?;
    }
    if visible(command).next().is_some() {
        man.render_subcommands_section(&mut text)?;
    }
    // The codes of the main command's notes have a section of their own.
    if let (Some(notes), Some(_)) = (command.get_after_help(), parent) {
        section("NOTES", paragraphs(&notes.to_string().split("\n\n").collect::<Vec<_>>()), &mut text)?;
    }
    let exits = more.exits.iter().map(|exit| (exit.code().to_string(), exit.meaning()));
    section("EXIT STATUS", tagged(exits), &mut text)?;
    section("FILES", tagged(more.files.iter().map(|(path, what)| ((*path).to_owned(), *what))), &mut text)?;
    section("SECURITY", paragraphs(more.security), &mut text)?;
    section("EXAMPLES", examples(more.examples), &mut text)?;
    let own = parent.into_iter().map(str::to_owned).chain(visible(command).map(self::name));
    section("SEE ALSO", see_also(own, more.see), &mut text)?;
    Ok(tidy(&String::from_utf8_lossy(&text)).into_bytes())
}

/// The longest line of text that the readers of manuals take without a remark, in bytes.
const LINE_BYTES_MAX: usize = 78;

/// The same page without what the readers of manuals remark on: long lines and white space at their ends, and requests that
/// have no effect where they stand.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len() + text.len() / 8);
    let (mut is_verbatim, mut before) = (false, "");
    let mut lines = text.lines().map(str::trim_end).peekable();
    while let Some(line) = lines.next() {
        let is_space = |line: &str| matches!(line, "" | ".sp");
        match line {
            ".br" if is_space(before) || lines.peek().is_some_and(|next| is_space(next)) => continue,
            ".PP" if before.starts_with(".SH") => continue,
            ".EX" => is_verbatim = true,
            ".EE" => is_verbatim = false,
            _ => {}
        }
        match line {
            "" if !is_verbatim => tidied.push_str(".sp\n"),
            // The tag of a paragraph is one line, however long.
            _ if is_verbatim || before == ".TP" || line.starts_with(['.', '\'']) => {
                tidied.push_str(line);
                tidied.push('\n');
            }
            _ => fill(line, &mut tidied),
        }
        before = line;
    }
    tidied
}

/// Breaks a line of text where it may be broken. A word that begins as a request does is no request.
fn fill(line: &str, tidied: &mut String) {
    // The readers spell out what is not ASCII: `\[u2026]`.
    let bytes = |word: &str| word.chars().map(|character| if character.is_ascii() { 1 } else { 8 }).sum::<usize>();
    let mut length = 0;
    for word in line.split(' ') {
        if length > 0 && length + 1 + bytes(word) > LINE_BYTES_MAX {
            tidied.push('\n');
            length = 0;
            if word.starts_with(['.', '\'']) {
                tidied.push_str("\\&");
            }
        } else if length > 0 {
            tidied.push(' ');
            length += 1;
        }
        tidied.push_str(word);
        length += bytes(word);
    }
    tidied.push('\n');
}

/// Nothing, if there is nothing in it.
fn section(heading: &str, content: Roff, text: &mut Vec<u8>) -> io::Result<()> {
    if content == Roff::new() {
        return Ok(());
    }
    let mut roff = Roff::new();
    roff.control("SH", [heading]).extend([content]);
    roff.to_writer(text)
}

/// Text; lines that begin with two spaces stand as they are.
fn paragraphs(texts: &[&str]) -> Roff {
    let mut roff = Roff::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        roff.control("PP", []);
        let mut is_verbatim = false;
        for line in text.lines() {
            if line.starts_with("  ") != is_verbatim {
                is_verbatim = !is_verbatim;
                roff.control(if is_verbatim { "EX" } else { "EE" }, []);
            }
            roff.text([roman(line)]);
        }
        if is_verbatim {
            roff.control("EE", []);
        }
    }
    roff
}

fn tagged<'a>(entries: impl Iterator<Item = (String, &'a str)>) -> Roff {
    let mut roff = Roff::new();
    for (tag, text) in entries {
        roff.control("TP", []).text([bold(tag)]).text([roman(text)]);
    }
    roff
}

fn examples(examples: &[(&str, &str)]) -> Roff {
    let mut roff = Roff::new();
    for (what, command) in examples {
        roff.control("PP", []).text([roman(*what)]).control("PP", []).control("EX", []);
        command.lines().for_each(|line| {
            roff.text([roman(format!("  {line}"))]);
        });
        roff.control("EE", []);
    }
    roff
}

/// Own pages first, then others, which name their section.
fn see_also(own: impl Iterator<Item = String>, others: &[&str]) -> Roff {
    let own = own.map(|name| (name, SECTION.to_owned()));
    let others = others.iter().map(|other| match other.split_once('(') {
        Some((name, section)) => (name.to_owned(), section.trim_end_matches(')').to_owned()),
        None => ((*other).to_owned(), SECTION.to_owned()),
    });
    let all: Vec<_> = own.chain(others).collect();
    let mut roff = Roff::new();
    for (place, (name, section)) in all.iter().enumerate() {
        let comma = if place + 1 < all.len() { "," } else { "" };
        roff.control("BR", [name.as_str(), format!("({section}){comma}").as_str()]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn text(page: &Page) -> String {
        String::from_utf8(page.text.clone()).unwrap()
    }

    #[test]
    fn every_command_has_a_page_and_every_page_that_is_named_exists() {
        let pages = pages(Cli::command()).unwrap();
        let names: Vec<_> = pages.iter().map(|page| page.name.as_str()).collect();
        for name in ["tallyd", "tallyd-pickup", "tallyd-audit", "tallyd-audit-verify", "tallyd-contacts-forget"] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        for page in &pages {
            let text = text(page);
            let (_, see) = text.rsplit_once(".SH \"SEE ALSO\"").unwrap();
            for line in see.lines().filter(|line| line.starts_with(".BR tallyd")) {
                let named = line.split(' ').nth(1).unwrap();
                assert!(names.contains(&named), "{}: there is no page {named}", page.name);
            }
            assert!(text.contains(".SH \"EXIT STATUS\"") && text.contains(".SH OPTIONS"), "{}", page.name);
        }
        for name in More::names() {
            assert!(names.contains(&name), "there is no command {name}");
        }
    }

    #[test]
    fn the_files_of_the_manual_are_those_that_are_shipped() {
        let shipped = [include_str!("../../deploy/tallyd.toml"), include_str!("../../deploy/tallyd.service")];
        for name in More::names() {
            for (path, _) in More::about(name).files {
                let path = path.trim_end_matches('/');
                let known =
                    shipped.iter().any(|file| file.contains(path)) || path == "/etc/ssl/certs/ca-certificates.crt";
                assert!(known, "{name}: {path}");
            }
        }
    }

    #[test]
    fn the_help_and_the_manual_name_the_same_exit_codes() {
        let help = Cli::command().get_after_help().unwrap().to_string();
        for exit in Exit::ALL.into_iter().filter(|exit| *exit != Exit::TryLater) {
            assert!(help.contains(&format!("{} ", exit.code())), "{exit:?} in {help}");
        }
    }
}
