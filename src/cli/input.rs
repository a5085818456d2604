//! Standard input, for commands that are given a text that may hold a secret: bounded, and wiped when it was used. It
//! knows nothing of what is in it.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;

use zeroize::Zeroizing;

use super::output::{Failure, Output};

/// The longest text that people paste or programs pipe in: an e-mail, a log, a file that was leaked.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How much more than is looked at is read and thrown away, so that the one who writes it is not cut off.
const REST_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// All of standard input as text. People are told what to paste; the terminal shows it, as it shows the e-mail.
pub(super) fn text(prompt: &str, hint: &str, output: &mut Output) -> Result<Zeroizing<String>, Failure> {
    if io::stdin().is_terminal() {
        output.say(prompt);
    }
    read_text(unbuffered()?, hint)
}

/// The first bytes of standard input; whatever is beyond them is read and thrown away.
pub(super) fn beginning(bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_beginning(unbuffered()?, bytes_max)
}

/// The library's own reader of standard input keeps what it read in a buffer that is never wiped.
pub(super) fn unbuffered() -> Result<File, Failure> {
    let descriptor = io::stdin().as_fd().try_clone_to_owned();
    descriptor.map(File::from).map_err(|cause| Failure::new("read", "standard input", cause))
}

fn read_text(input: impl Read, hint: &str) -> Result<Zeroizing<String>, Failure> {
    let bytes = read_up_to(input, TEXT_BYTES_MAX + 1)?;
    if bytes.len() > TEXT_BYTES_MAX {
        let cause = format!("it is longer than {TEXT_BYTES_MAX} bytes");
        return Err(Failure::new("read", "standard input", cause).hint(hint));
    }
    // What is looked for is ASCII; whatever else the text is written in does not matter.
    Ok(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

fn read_beginning(mut input: impl Read, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bytes = read_up_to(&mut input, bytes_max)?;
    let mut spent = Zeroizing::new([0; 16 * 1024]);
    let mut rest = input.take(REST_BYTES_MAX);
    while rest.read(spent.as_mut_slice()).is_ok_and(|length| length > 0) {}
    Ok(bytes)
}

fn read_up_to(input: impl Read, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    let read = input.take(bytes_max as u64).read_to_end(&mut bytes);
    read.map_err(|cause| Failure::new("read", "standard input", cause))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_read_and_too_many_are_refused() {
        assert_eq!(read_text(&b"\xff\xfetally1\xe5"[..], "").unwrap().matches("tally1").count(), 1);
        let failure = read_text(io::repeat(b'a'), "less").unwrap_err();
        assert!(
            failure.to_string().contains("longer than") && failure.to_string().ends_with("hint: less"),
            "{failure}"
        );
    }

    #[test]
    fn a_beginning_is_bounded_and_the_rest_is_read_all_the_same() {
        let mut long = io::repeat(b'a').take(100_000);
        assert_eq!(read_beginning(&mut long, 1000).unwrap().len(), 1000);
        assert_eq!(long.limit(), 0);
        assert_eq!(read_beginning(&b"abc"[..], 1000).unwrap().as_slice(), b"abc");
    }
}
