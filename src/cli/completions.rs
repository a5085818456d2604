//! `tallyd completions SHELL`: what a shell needs to complete commands and options, made from their definitions. It knows
//! nothing of what they do.

use clap_complete::Shell;

use super::output::{Exit, Failure, Output};

/// Packagers install it where the shell looks for it; anybody can try it with `source`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
For all users of the machine, as root:
  tallyd completions bash > /usr/share/bash-completion/completions/tallyd
  tallyd completions zsh > /usr/share/zsh/site-functions/_tallyd
  tallyd completions fish > /usr/share/fish/vendor_completions.d/tallyd.fish

In this shell only (bash):
  source <(tallyd completions bash)")]
pub struct Args {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints it.
pub fn run(args: &Args, mut command: clap::Command, output: &mut Output) -> Result<Exit, Failure> {
    let mut script = Vec::with_capacity(256 * 1024);
    clap_complete::generate(args.shell, &mut command, "tallyd", &mut script);
    output.data(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Done)
}
