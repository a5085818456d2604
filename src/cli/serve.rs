//! `tallyd serve`: the daemon. It creates nothing; `tallyd init` does.

use std::path::Path;

use super::output::{Exit, Failure};
use crate::config::Config;
use crate::daemon::serve::serve;
use crate::platform::logging;

/// Takes the configuration's word for everything.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs until it is told to stop.
pub fn run(_args: &Args, config: &Path) -> Result<Exit, Failure> {
    let config = Config::load(config)?;
    let log = logging::start(config.log.format, config.log.level)
        .map_err(|cause| Failure::new("start the log", "", cause))?;
    let ended = serve(&config);
    log.flush();
    ended.map(|()| Exit::Done).map_err(Failure::from)
}
