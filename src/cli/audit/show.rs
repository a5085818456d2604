//! `tallyd audit show`: entries, as lines for people or as they are stored.

use std::path::Path;

use serde_json::Value;

use super::super::output::{Exit, Failure, Output, Reader};
use super::{Source, open, timeline};
use crate::domain::ids::ApplicationId;
use crate::journal::entry::Entry;
use crate::journal::fact::Fact;

const AT_A_TIME: u32 = 1_000;

/// Which entries.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only entries about this application.
    #[arg(long, value_name = "ID")]
    application: Option<ApplicationId>,

    /// Only entries of this kind, such as credential.activated.
    #[arg(long, value_parser = kind)]
    kind: Option<String>,

    /// From this entry on.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from: u64,

    #[command(flatten)]
    source: Source,
}

/// A kind that there is: a misspelled one would silently show nothing.
fn kind(text: &str) -> Result<String, String> {
    if Fact::KINDS.contains(&text) { Ok(text.to_owned()) } else { Err("there are no entries of this kind".to_owned()) }
}

/// Shows them, a thousand at a time.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let state = args.source.directory(config)?;
    let mut archive = open(&state)?;
    let failed = |cause: String| Failure::new("read the journal in", state.display(), cause).exit(Exit::NotVerified);
    let mut from = args.from;
    loop {
        let page = archive
            .ask(|queries| match &args.application {
                Some(application) => queries.entries_of(application, from, AT_A_TIME),
                None => queries.entries(from, AT_A_TIME),
            })
            .map_err(|error| failed(error.to_string()))?;
        if page.is_empty() {
            return Ok(Exit::Done);
        }
        for bytes in &page {
            let entry = Entry::parse(bytes).map_err(|error| failed(format!("entry {from} or later is {error}")))?;
            from = entry.seq + 1;
            let value: Value = serde_json::to_value(&entry).map_err(|error| failed(error.to_string()))?;
            if args.kind.as_ref().is_some_and(|kind| value.get("kind").and_then(Value::as_str) != Some(kind)) {
                continue;
            }
            match output.reader() {
                Reader::People => timeline(std::slice::from_ref(&value), output),
                Reader::Programs => output.json(&value),
            }
        }
    }
}
