//! The programs with which a recipient puts both parts of a secret together without ours: one text each, which the mail,
//! the page and the README print.
//!
//! The first two read part 1 and part 2 of one pair, in any order, from standard input, with whatever white space a mail
//! program put into them, and print the `client_secret` and its proof. Tests run them as they are printed.

/// For Python 3, in a POSIX shell.
pub const PYTHON: &str = include_str!("programs/combine.py.txt");

/// For Node, in a POSIX shell.
pub const NODE: &str = include_str!("programs/combine.js.txt");

/// For PowerShell 7 and Windows PowerShell 5.1, after a line that sets `$delivery` to the address of the delivery: fetches
/// part 2, takes part 1 from the clipboard, shows the credential and confirms when that is kept.
///
/// What both versions have to do with a certificate, a body and JSON is in the documentation of `Get-PfxCertificate` and
/// `Invoke-RestMethod`; only 5.1 reads the line about TLS, for systems whose .NET does not leave the choice to Windows.
pub const POWERSHELL: &str = include_str!("programs/pickup.ps1.txt");

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::domain::dice::Dice;
    use crate::domain::ids::{Environment, Label};
    use crate::domain::reference::Reference;
    use crate::domain::secret::ClientSecret;

    fn output_of(program: &str, input: &str) -> String {
        let mut shell = Command::new("sh");
        let mut shell = shell.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = shell.wait_with_output().unwrap();
        assert!(output.status.success(), "python3 and node must be installed");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_printed_programs_combine_the_parts_and_make_the_proof_however_lines_were_broken() {
        let (reference, label): (Reference, Label) = ("K7QF-2M9D".parse().unwrap(), "oauth2".parse().unwrap());
        let random = Dice::new(7);
        let secret = ClientSecret::generate(&"exmp".parse().unwrap(), Environment::Production, &random).unwrap();
        let right = format!("{}\n{}\n", secret.reveal_to_recipient(), secret.proof(&reference).to_hex());
        let (one, two) = secret.split(&random).unwrap();
        let (one, two) = (one.into_token(&reference, &label), two.into_token(&reference, &label));
        let (one, two) = (one.release(), two.release());
        let (head, tail) = one.split_at(64);
        for input in [
            format!("{one}\n{two}\n"),
            format!("{two}\r\n{one}"),
            format!("  {head}\n{tail}\n\n{two}\n"),
            format!("{head} {tail} {two}"),
        ] {
            for program in [PYTHON, NODE] {
                assert_eq!(output_of(program, &input), right, "{program}\n{input}");
            }
        }
    }

    #[test]
    fn the_printed_programs_fit_into_a_mail() {
        for program in [PYTHON, NODE, POWERSHELL] {
            assert!(program.lines().all(|line| line.len() <= 78 && line.is_ascii()), "{program}");
            assert!(!program.ends_with('\n'));
        }
    }

    #[test]
    fn the_program_for_powershell_has_the_formats_in_it_and_no_secret_on_a_command_line() {
        for word in ["tally1\\.", "\\.mail\\.", "tallyd confirm v1`n", "-bxor", "HMACSHA256", "/collect", "/confirm"] {
            assert!(POWERSHELL.contains(word), "{word}");
        }
        assert!(!POWERSHELL.contains("-Password"), "the password is asked for");
    }
}
