//! Somebody with GnuPG: a home of its own, keys, and what he opens with them.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mail_parser::{MessageParser, MimeHeaders};

use crate::harness::Harness;
use crate::harness::mailbox::PartOne;

/// The program with its home.
pub(crate) struct GnuPg(PathBuf);

/// For a key that is encrypted to itself.
pub(crate) const ITSELF: &str = "itself";

/// What it wrote.
pub(crate) struct Opened {
    pub(crate) out: Vec<u8>,
    /// Its status lines and whatever else it said.
    pub(crate) said: String,
}

impl GnuPg {
    /// On the recipient's side, where the harness does not search for parts.
    pub(crate) fn new(harness: &Harness) -> Self {
        let home = harness.path().join("client/gnupg");
        std::fs::create_dir_all(harness.path().join("client")).unwrap();
        std::fs::DirBuilder::new().mode(0o700).create(&home).unwrap();
        Self(home)
    }

    fn run(&self, arguments: &str, input: &[u8]) -> Opened {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(&self.0).args(["--batch", "--yes", "--no-tty", "--status-fd", "2"]);
        command.args(["--pinentry-mode", "loopback", "--passphrase", ""]).args(arguments.split_whitespace());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "gpg {arguments}: {said}");
        Opened { out: ended.stdout, said }
    }

    /// A key of one algorithm for signatures with another one for encryption, as GnuPG names them, made now or at another
    /// time. Answers with its fingerprint.
    pub(crate) fn key(&self, signs: &str, encrypts: Option<&str>, lasts: &str, options: &str) -> String {
        let name = format!("it-{signs}-{}-{lasts}@exempel.se", encrypts.unwrap_or("none"));
        let usage = if encrypts == Some(ITSELF) { "cert,sign,encr" } else { "cert,sign" };
        let made = self.run(&format!("{options} --quick-gen-key {name} {signs} {usage} {lasts}"), b"");
        let fingerprint = made.said.split("KEY_CREATED P ").nth(1).unwrap().split_whitespace().next().unwrap();
        if let Some(encrypts) = encrypts.filter(|encrypts| *encrypts != ITSELF) {
            self.run(&format!("{options} --quick-add-key {fingerprint} {encrypts} encr {lasts}"), b"");
        }
        fingerprint.to_owned()
    }

    /// Its public key, as it is given to others.
    pub(crate) fn exported(&self, fingerprint: &str) -> String {
        self.text(&format!("--armor --export {fingerprint}"))
    }

    /// Its private key.
    pub(crate) fn exported_with_its_secret(&self, fingerprint: &str) -> String {
        self.text(&format!("--armor --export-secret-keys {fingerprint}"))
    }

    /// Takes a key back, with the certificate that was made with it.
    pub(crate) fn revoke(&self, fingerprint: &str) {
        let certificate = std::fs::read_to_string(self.0.join(format!("openpgp-revocs.d/{fingerprint}.rev"))).unwrap();
        self.run("--import", certificate.replace(":-----BEGIN", "-----BEGIN").as_bytes());
    }

    fn text(&self, arguments: &str) -> String {
        String::from_utf8(self.run(arguments, b"").out).unwrap()
    }

    /// Opens a mail by RFC 3156: two parts, of which the second is the encrypted one. Gives the mail with part 1 as its
    /// reader shows it, and what GnuPG said.
    pub(crate) fn open(&self, raw: &[u8]) -> (PartOne, Opened) {
        let opened = self.run("--decrypt", &message(raw));
        let entity = [b"Subject: opened\r\n", opened.out.as_slice()].concat();
        (PartOne::read(&entity).expect("there is a part in it"), opened)
    }
}

/// The encrypted part of a mail that is as RFC 3156, section 4 has it.
fn message(raw: &[u8]) -> Vec<u8> {
    let mail = MessageParser::default().parse(raw).unwrap();
    let kind = mail.content_type().unwrap();
    assert_eq!((kind.ctype(), kind.subtype()), ("multipart", Some("encrypted")));
    assert_eq!(kind.attribute("protocol"), Some("application/pgp-encrypted"));
    let [_, version, message] = &mail.parts[..] else { panic!("{} parts", mail.parts.len()) };
    assert_eq!(version.content_type().unwrap().subtype(), Some("pgp-encrypted"));
    assert_eq!(version.contents().trim_ascii(), b"Version: 1");
    assert_eq!(message.content_type().unwrap().subtype(), Some("octet-stream"));
    let armour = message.contents();
    assert!(
        armour.is_ascii() && armour.split(|byte| *byte == b'\n').all(|line| line.len() <= 77),
        "lines of seven bits"
    );
    armour.to_vec()
}

impl Drop for GnuPg {
    fn drop(&mut self) {
        // The agent of this home, and nobody else's.
        let _ = Command::new("gpgconf").arg("--homedir").arg(&self.0).args(["--kill", "gpg-agent"]).status();
    }
}
