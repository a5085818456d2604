//! `tallyd admit`: a way in for each account of the configuration that the kernel hides from the daemon. The service does
//! it before it starts.

use std::path::Path;

use super::output::{Exit, Failure, Output, Reader};
use crate::config::Config;
use crate::daemon::own_doors;

/// Takes the configuration's word for everything.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Makes them, and prints whose there are.
pub fn run(_args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let config = Config::load(config)?;
    for uid in own_doors::make(&config)? {
        let directory = config.own_doors.join(uid.to_string());
        match output.reader() {
            Reader::People => output.data(directory.display()),
            Reader::Programs => output.json(&serde_json::json!({ "uid": uid, "directory": directory })),
        }
    }
    Ok(Exit::Done)
}
