//! Files that `openssl pkcs12` and NSS's `pk12util` wrote, opened with the right password and with wrong ones, damaged in
//! every place, and made to keep the machine busy.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;

pub(in crate::cli::pickup) const PASSWORD: &str = "blåbärs-sylt 1";

/// A directory with a key, its certificate, and an intermediate authority; programs are run in it.
pub(in crate::cli::pickup) struct Bench(pub(in crate::cli::pickup) PathBuf);

impl Bench {
    pub(in crate::cli::pickup) fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("tallyd-pkcs12-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let bench = Self(directory);
        bench.run(
            "openssl req -x509 -newkey rsa:2048 -nodes -subj '/CN=Exempel CA' -keyout ca.key -out ca.pem -days 30
             openssl req -newkey rsa:2048 -nodes -subj '/O=Exempel AB/serialNumber=165590000005' -keyout own.key -out own.csr
             openssl x509 -req -in own.csr -CA ca.pem -CAkey ca.key -set_serial 7 -out own.pem -days 30",
        );
        bench
    }

    pub(in crate::cli::pickup) fn run(&self, script: &str) {
        let mut command = Command::new("bash");
        command.args(["-euc", script]).current_dir(&self.0).env("PW", PASSWORD).stdin(Stdio::null());
        let ran = command.env("LC_ALL", "C.UTF-8").output().unwrap();
        assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    /// What `openssl pkcs12 -export` writes with these options.
    pub(in crate::cli::pickup) fn exported(&self, options: &str) -> Vec<u8> {
        self.run(&format!("openssl pkcs12 -export -inkey own.key -in own.pem -passout env:PW -out own.p12 {options}"));
        fs::read(self.0.join("own.p12")).unwrap()
    }

    fn key(&self) -> Vec<u8> {
        self.run("openssl pkcs8 -topk8 -nocrypt -in own.key -outform DER -out own.der");
        fs::read(self.0.join("own.der")).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn password(text: &str) -> Password {
    Password::new(Zeroizing::new(text.to_owned()))
}

fn opened(file: &[u8], with: &str) -> Result<Opened, NotOpened> {
    Sealed::read(file)?.open(&password(with))
}

fn why(file: &[u8], with: &str) -> NotOpened {
    opened(file, with).err().expect("it was opened")
}

fn subjects(opened: &Opened) -> Vec<String> {
    let subject = |der: &CertificateDer<'static>| X509Certificate::from_der(der).unwrap().1.subject().to_string();
    opened.certificates.iter().map(|certificate| subject(&certificate.it)).collect()
}

#[test]
fn what_openssl_exports_is_opened_in_every_form_and_a_wrong_password_is_told() {
    let bench = Bench::new("openssl");
    let key = bench.key();
    for options in [
        "-name 'Exempel AB'",
        "-certfile ca.pem -name 'Exempel AB'",
        "-legacy -name 'Exempel AB'",
        "-legacy -certpbe PBE-SHA1-3DES -name 'Exempel AB'",
        "-legacy -keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-RC2-128 -name 'Exempel AB'",
        "-keypbe AES-128-CBC -certpbe AES-192-CBC -macalg sha384 -name 'Exempel AB'",
        "-keypbe DES-EDE3-CBC -macalg sha512 -iter 1000 -name 'Exempel AB'",
        "-keypbe NONE -name 'Exempel AB'",
        "-certpbe NONE -nomac -name 'Exempel AB'",
        "-noiter -nomaciter -name 'Exempel AB'",
    ] {
        let file = bench.exported(options);
        let opened = opened(&file, PASSWORD).unwrap_or_else(|why| panic!("{options}: {why}"));
        assert_eq!(opened.keys.len(), 1, "{options}");
        assert_eq!(opened.keys[0].it.secret_der(), key, "{options}");
        assert_eq!(opened.keys[0].name.as_deref(), Some("Exempel AB"), "{options}");
        let expected = if options.contains("ca.pem") { 2 } else { 1 };
        assert_eq!(subjects(&opened).len(), expected, "{options}");
        assert!(subjects(&opened).iter().any(|subject| subject.contains("O=Exempel AB")), "{options}");
        for wrong in ["blabars-sylt 1", "Blåbärs-sylt 1", "", " "] {
            assert_eq!(why(&file, wrong), NotOpened::Password, "{options} {wrong:?}");
        }
    }
}

#[test]
fn what_nss_exports_is_opened() {
    let bench = Bench::new("nss");
    bench.exported("-name 'Exempel AB' -certfile ca.pem");
    bench.run(
        "mkdir db; certutil -N -d sql:db --empty-password
         pk12util -i own.p12 -d sql:db -W \"$PW\" -K ''
         pk12util -o nss.p12 -n 'Exempel AB' -d sql:db -W \"$PW\" -K ''",
    );
    let file = fs::read(bench.0.join("nss.p12")).unwrap();
    assert_eq!(file[1], 0x80, "NSS writes lengths that are not told beforehand");
    let opened = opened(&file, PASSWORD).unwrap();
    assert_eq!((opened.keys.len(), opened.certificates.len()), (1, 2));
    assert_eq!(opened.keys[0].name.as_deref(), Some("Exempel AB"));
    assert_eq!(why(&file, "wrong"), NotOpened::Password);
}

#[test]
fn no_password_is_an_empty_one() {
    let bench = Bench::new("empty");
    for options in ["-passout pass:", "-legacy -passout pass:"] {
        bench.run(&format!("openssl pkcs12 -export -inkey own.key -in own.pem -out own.p12 {options}"));
        let file = fs::read(bench.0.join("own.p12")).unwrap();
        assert_eq!(opened(&file, "").unwrap().keys.len(), 1, "{options}");
        assert_eq!(why(&file, "something"), NotOpened::Password, "{options}");
    }
}

#[test]
fn a_damaged_file_is_told_from_a_wrong_password_and_a_cut_one_before_the_password_is_asked_for() {
    let bench = Bench::new("damaged");
    let file = bench.exported("-iter 1");
    for length in [0, 1, 2, 20, 40, 500, file.len() / 2, file.len() - 1] {
        assert!(matches!(Sealed::read(&file[..length]), Err(NotOpened::Damaged(_))), "{length}");
    }
    let (mut damaged, mut wrong, mut told) = (0, 0, 0);
    for place in (0..file.len()).step_by(7) {
        let mut changed = file.clone();
        changed[place] ^= 0x20;
        match opened(&changed, PASSWORD) {
            // A name in the attributes is covered by the checksum too, so nothing that was changed is ever used.
            Ok(_) => panic!("the change at {place} was not found"),
            Err(NotOpened::Damaged(_)) => damaged += 1,
            Err(NotOpened::Password) => wrong += 1,
            Err(NotOpened::Scheme(_) | NotOpened::TooMuchWork | NotOpened::TooMany) => told += 1,
        }
    }
    assert!(damaged > 10 * (wrong + told), "{damaged} {wrong} {told}");
    assert!(matches!(Sealed::read(b"-----BEGIN CERTIFICATE-----"), Err(NotOpened::Damaged(_))));
}

#[test]
fn a_file_that_asks_for_too_much_work_is_refused_at_once() {
    let bench = Bench::new("work");
    let mut file = bench.exported("-iter 65537");
    assert!(opened(&file, PASSWORD).is_ok(), "a careful user is no attacker");
    // The number of rounds stands in three places; each is raised to more than eight million.
    let rounds = [0x02, 0x03, 0x01, 0x00, 0x01];
    let places: Vec<_> = file.windows(5).enumerate().filter(|(_, bytes)| *bytes == rounds).map(|(at, _)| at).collect();
    assert_eq!(places.len(), 3);
    places.iter().for_each(|place| file[place + 2] = 0x7F);
    let began = std::time::Instant::now();
    assert_eq!(Sealed::read(&file).err(), Some(NotOpened::TooMuchWork));
    assert!(began.elapsed().as_millis() < 500, "{:?}", began.elapsed());
}

#[test]
fn an_encrypted_key_of_a_pem_file_is_opened() {
    let bench = Bench::new("pem");
    let key = bench.key();
    for options in ["-v2 aes-256-cbc", "-v2 aes-128-cbc -v2prf hmacWithSHA512", "-v2 des3", "-v1 PBE-SHA1-3DES"] {
        bench.run(&format!("openssl pkcs8 -topk8 -in own.key -outform DER -out locked.der -passout env:PW {options}"));
        let locked = fs::read(bench.0.join("locked.der")).unwrap();
        assert_eq!(open_key(&locked, &password(PASSWORD)).unwrap().secret_der(), key, "{options}");
        assert_eq!(open_key(&locked, &password("wrong")).err(), Some(NotOpened::Password), "{options}");
    }
    bench.run("openssl pkcs8 -topk8 -in own.key -outform DER -out locked.der -passout env:PW -scrypt");
    let locked = fs::read(bench.0.join("locked.der")).unwrap();
    let refused = open_key(&locked, &password(PASSWORD)).err();
    assert_eq!(refused, Some(NotOpened::Scheme("1.3.6.1.4.1.11591.4.11".to_owned())));
}

#[test]
fn any_bytes_are_read_without_panic() {
    let bench = Bench::new("any");
    let file = bench.exported("-iter 1 -legacy");
    let dice = crate::domain::dice::Dice::new(7);
    let mut noise = [0; 4];
    for _ in 0..3000 {
        crate::domain::random::Randomness::fill(&dice, &mut noise).unwrap();
        let place = usize::from(u16::from_be_bytes([noise[0], noise[1]])) % file.len();
        let mut changed = file.clone();
        changed[place] = noise[2];
        changed.truncate(file.len() - usize::from(noise[3] / 32));
        let _ = opened(&changed, PASSWORD);
    }
}
