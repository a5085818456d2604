//! The organisation's certificate as people have it: in a PKCS#12 file of OpenSSL or NSS, with its password typed at a
//! terminal, in a file, or on standard input.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{delivered, value};
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::desk::Desk;

const PASSWORD: &str = "blåbärs-sylt 1";

/// What makes a PKCS#12 file of the desk's PEM files.
const EXPORT: &str =
    "openssl pkcs12 -export -in organisation.pem -inkey organisation.key -name 'Exempel AB' -passout env:PW";

fn made(desk: &Desk<'_>, script: &str) {
    desk.shell(&format!("set -eu; umask 077; export LC_ALL=C.UTF-8; {script}"), &[("PW", PASSWORD)], "").expect_exit(0);
}

fn pickup(harness: &Harness, reference: &str, options: &str) -> String {
    format!("tallyd pickup --url https://localhost:{} {options} {reference}", harness.ports.pickup_test)
}

#[test]
fn a_pkcs12_file_of_openssl_and_of_nss_is_all_that_it_takes() {
    let harness = Harness::start();
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    made(
        &desk,
        &format!("{EXPORT} -out modern.p12; {EXPORT} -legacy -out legacy.pfx; printf '%s\\n' \"$PW\" > password"),
    );
    made(
        &desk,
        "mkdir db; certutil -N -d sql:db --empty-password
         pk12util -i modern.p12 -d sql:db -W \"$PW\" -K ''
         pk12util -o nss.p12 -n 'Exempel AB' -d sql:db -W \"$PW\" -K ''",
    );
    for file in ["modern.p12", "legacy.pfx", "nss.p12"] {
        let part_one = delivered(&harness, &Approval::new());
        let command = pickup(&harness, &part_one.reference, &format!("--cert {file} --password-file password"));
        let ran = desk.tallyd(&command, &[], &part_one.text).expect_exit(0);
        assert!(ran.err.starts_with("[1/5] "), "{file}: nothing is to be warned of: {}", ran.err);
        let secret = value(&ran.out, "CLIENT_SECRET");
        harness.remember_secret(&secret);
        assert_eq!(harness.gateway().verify(&value(&ran.out, "CLIENT_ID"), &secret), 204, "{file}");
    }
    let part_one = delivered(&harness, &Approval::new());
    let command = pickup(&harness, &part_one.reference, "--cert modern.p12 --password-file -");
    let ran = desk.tallyd(&command, &[], &format!("{PASSWORD}\r\n{}", part_one.text)).expect_exit(0);
    harness.remember_secret(&value(&ran.out, "CLIENT_SECRET"));
}

#[test]
fn pem_may_hold_the_key_as_well_and_the_key_may_be_encrypted() {
    let harness = Harness::start();
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    made(
        &desk,
        "cat organisation.key organisation.pem > both.pem; printf '%s' \"$PW\" > password
         openssl pkcs8 -topk8 -in organisation.key -out locked.key -passout env:PW -v2 aes-256-cbc
         openssl ec -in organisation.key -out old.key -aes128 -passout env:PW
         openssl ec -in organisation.key -no_public -out lone.key
         openssl pkcs12 -export -in organisation.pem -inkey lone.key -passout env:PW -out java.p12
         openssl ecparam -name P-256 -genkey -noout | openssl ec -no_public -out other.key",
    );
    for options in [
        "--cert both.pem",
        "--cert organisation.pem --key locked.key --password-file password",
        "--cert organisation.pem --key lone.key",
        "--cert java.p12 --password-file password",
    ] {
        desk.tallyd(&pickup(&harness, "", options), &[], "").expect_exit(0);
    }
    let old = desk.tallyd(&pickup(&harness, "", "--cert organisation.pem --key old.key"), &[], "").expect_exit(3);
    assert!(old.err.contains("hint: umask 077; openssl pkcs8 -topk8 -in old.key"), "{}", old.err);
    let other = desk.tallyd(&pickup(&harness, "", "--cert organisation.pem --key other.key"), &[], "").expect_exit(3);
    assert!(other.err.contains("it does not belong to the certificate in organisation.pem"), "{}", other.err);
    let none = desk.tallyd(&pickup(&harness, "", "--cert organisation.pem"), &[], "").expect_exit(3);
    assert!(none.err.contains("there is no PRIVATE KEY in it\nhint: name the file of the private key"), "{}", none.err);
}

#[test]
fn what_is_wrong_with_a_certificates_file_is_told_apart() {
    let harness = Harness::start();
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    made(
        &desk,
        &format!(
            "{EXPORT} -out own.p12; {EXPORT} -keypbe AES-256-CBC -certpbe NONE -nokeys -out certificate.p12
             echo wrong > wrong; printf '%s' \"$PW\" > password; chmod 644 password; head -c 1000 own.p12 > cut.p12
             openssl x509 -in organisation.pem -outform DER -out own.der; head -c 2000000 /dev/zero | tr '\\0' 0 > zero
             {{ printf '\\x30\\x82'; head -c 2000000 /dev/zero; }} > huge.p12"
        ),
    );
    for (options, exit, says) in [
        (
            "--cert own.p12 --password-file wrong",
            3,
            "cannot use own.p12: the password is wrong\nhint: ask whoever made",
        ),
        ("--cert cut.p12 --password-file password", 3, "cannot use cut.p12: it is damaged: its structure"),
        ("--cert cut.p12", 3, "cannot use cut.p12: it is damaged: its structure"),
        ("--cert huge.p12", 3, "it is longer than 1048576 bytes"),
        ("--cert certificate.p12 --password-file password", 3, "there is no private key in it"),
        ("--cert own.p12 --key organisation.key", 2, "leave --key out with a PKCS#12 file"),
        ("--cert organisation.pem --key own.p12", 3, "it looks like PKCS#12 or DER"),
        ("--cert own.der --key organisation.key", 2, "leave --key out"),
        ("--cert own.der", 3, "it is a certificate in DER, without its private key"),
        ("--cert zero", 3, "there is no CERTIFICATE in it"),
        ("--cert organisation.pem --key organisation.key --identity x", 2, "--identity is for PKCS#12 files"),
        (
            "--cert own.p12 --password-file password --identity 'Annat AB'",
            3,
            "none of its identities is called so:\n  \"Exempel AB\": ",
        ),
        ("--cert own.p12 --password-file missing", 3, "cannot read the password from missing: "),
        ("--cert own.p12", 1, "in a script, name a file with the password"),
    ] {
        let ran = desk.shell(&format!("setsid -w {}", pickup(&harness, "", options)), &[], "");
        assert!(ran.exit == exit && ran.err.contains(says) && ran.err.contains("hint: "), "{options}: {ran:?}");
        assert!(!ran.err.contains(PASSWORD), "{options}: the password is told");
    }
    let ran = desk.tallyd(&pickup(&harness, "", "--cert own.p12 --password-file password"), &[], "").expect_exit(0);
    assert!(ran.err.contains("other users of this machine can read the password: chmod 600 password"), "{}", ran.err);
    fs::set_permissions(desk.directory.join("own.p12"), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = desk.tallyd(&pickup(&harness, "", "--cert own.p12 --password-file password"), &[], "").expect_exit(0);
    assert!(ran.err.contains("can read the key: chmod 600 own.p12"), "{}", ran.err);
}

/// Runs a command at a pseudo-terminal of its own with standard input from a file, and types a line whenever the text of a
/// question stands there anew. Prints what the terminal showed, its echo afterwards, and the exit code.
const TERMINAL: &str = r#"
import os, pty, select, sys, termios
command, question, *lines = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "-c", command])
shown, answered = b"", 0
while True:
    ready, _, _ = select.select([terminal], [], [], 60)
    try:
        more = os.read(terminal, 4096) if ready else b""
    except OSError:
        break
    if not more:
        break
    shown += more
    if lines and shown.count(question.encode()) > answered:
        answered += 1
        attributes = termios.tcgetattr(terminal)
        assert not attributes[3] & termios.ECHO, "the terminal shows what is typed"
        os.write(terminal, lines.pop(0).encode().decode("unicode_escape").encode("latin-1"))
print(shown.decode())
print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

#[test]
fn a_password_is_typed_at_the_terminal_unseen_while_the_mail_comes_from_a_file() {
    let harness = Harness::start();
    let part_one = delivered(&harness, &Approval::new());
    let desk = Desk::with(&harness, &harness.files.organisation_test);
    made(&desk, &format!("{EXPORT} -out own.p12"));
    fs::write(desk.directory.join("terminal.py"), TERMINAL).unwrap();
    fs::write(desk.directory.join("mail"), &part_one.text).unwrap();
    let trusted = harness.files.server_ca();
    let pickup = pickup(&harness, &part_one.reference, "--cert own.p12 --out keys.env");
    let command =
        format!("{pickup} --ca {} < mail; code=$?; stty -a | grep -o ' -\\?echo '; exit $code", trusted.display());
    let at_terminal = |lines: &[&str]| {
        let lines: String = lines.iter().map(|line| format!(" '{line}'")).collect();
        desk.shell(
            &format!("python3 terminal.py \"$COMMAND\" 'Password of own.p12: '{lines}"),
            &[("COMMAND", &command)],
            "",
        )
    };
    // Latin-1 spelling of UTF-8, which Python turns back into bytes.
    let typed: String = PASSWORD.bytes().map(|byte| format!("\\x{byte:02x}")).collect();

    let stopped = at_terminal(&["half\\x03"]).expect_exit(0).out;
    assert!(
        stopped.contains("stopped at the keyboard") && stopped.contains(" echo ") && stopped.contains("exit 1"),
        "{stopped}"
    );
    let thrice = at_terminal(&["wrong\\n", "\\n", "wrong again\\n", "never\\n"]).expect_exit(0).out;
    assert!(thrice.contains("the password is wrong") && thrice.contains("exit 3"), "{thrice}");
    assert_eq!((thrice.matches("Password of own.p12: ").count(), thrice.matches("wrong again").count()), (3, 0));
    let done = at_terminal(&["wrong\\n", &format!("{typed}\\n")]).expect_exit(0).out;
    assert!(done.contains("[5/5] Confirmed") && done.contains(" echo ") && done.contains("exit 0"), "{done}");
    assert!(!done.contains(PASSWORD) && !done.contains("wrong\r"), "{done}");
    harness.remember_secret(&value(&fs::read_to_string(desk.directory.join("keys.env")).unwrap(), "CLIENT_SECRET"));
}
