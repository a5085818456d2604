//! The organisation's certificate with its key, from the files that people have: PKCS#12, PEM in two files, PEM in one,
//! with a password or without. What is wrong with a file is told in words that say what to do. It opens no connection.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::super::output::{Exit, Failure};
use super::choice::choose;
use super::elliptic;
use super::password::PasswordFrom;
use super::pkcs12::{self, NotOpened, Password, Sealed};

/// A system's list of authorities has some 250 KiB.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// As the command line names it.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Named<'a> {
    /// PKCS#12, or PEM with intermediate certificates after the organisation's own.
    pub(in crate::cli) cert: &'a Path,
    /// The private key, where the first file does not hold it.
    pub(in crate::cli) key: Option<&'a Path>,
    /// Which one of several in a PKCS#12 file.
    pub(in crate::cli) chosen: Option<&'a str>,
    /// Where a password comes from.
    pub(in crate::cli) password: &'a PasswordFrom,
}

/// A certificate with its chain, its key, and what is to be said about the files.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// Sentences for the user; nothing is refused for them.
    pub(super) warnings: Vec<String>,
}

impl Identity {
    /// Reads the files, and asks for a password if one is needed.
    pub(super) fn read(named: Named<'_>) -> Result<Self, Failure> {
        let bytes = read(named.cert)?;
        let mut warnings: Vec<_> = open_to_others(named.key.unwrap_or(named.cert)).into_iter().collect();
        if is_binary(&bytes) {
            let (chain, key) = of_pkcs12(named, &bytes)?;
            warnings.extend(password_open_to_others(named.password));
            return Ok(Self { chain, key, warnings });
        }
        if named.chosen.is_some() {
            let cause = "it is PEM, whose first certificate is the one that is used";
            return Err(refused(named.cert, cause).hint("--identity is for PKCS#12 files").exit(Exit::Usage));
        }
        let chain = certificates_in(named.cert, &bytes)?;
        let (path, key) = match named.key {
            Some(path) => (path, private_key(path, &read(path)?, named.password)?),
            None => (named.cert, private_key(named.cert, &bytes, named.password)?),
        };
        let key = key.ok_or_else(|| match named.key {
            Some(path) => no_pem(path, "PRIVATE KEY"),
            None => refused(path, "there is no PRIVATE KEY in it")
                .hint("name the file of the private key with --key, or a PKCS#12 file (.p12, .pfx), which holds both, with --cert"),
        })?;
        let key = of_certificate(key, path, named.cert, &chain)?;
        Ok(Self { chain, key, warnings })
    }
}

/// The key as it can be used; one on an elliptic curve may come without what the certificate has of it.
fn of_certificate(
    key: PrivateKeyDer<'static>,
    path: &Path,
    cert: &Path,
    chain: &[CertificateDer<'static>],
) -> Result<PrivateKeyDer<'static>, Failure> {
    if !elliptic::lacks_public_key(&key) {
        return Ok(key);
    }
    let certificate = chain.first().and_then(|der| X509Certificate::from_der(der).ok());
    let completed = certificate.and_then(|(_, parsed)| elliptic::completed(&key, parsed.public_key()));
    completed.ok_or_else(|| not_its_key(path, cert))
}

/// All certificates of a PEM file, in its order; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    certificates_in(path, &read(path)?)
}

fn certificates_in(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|cause| refused(path, format_args!("{cause:?}")))?;
    if found.is_empty() { Err(no_pem(path, "CERTIFICATE")) } else { Ok(found) }
}

/// Whether it begins as a sequence in DER or BER does, of more bytes than text can say.
fn is_binary(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0xFF, ..])
}

type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn of_pkcs12(named: Named<'_>, bytes: &[u8]) -> Result<ChainAndKey, Failure> {
    let path = named.cert;
    if let Some(key) = named.key {
        let cause = format!("it holds the private key already, and --key names {} as well", key.display());
        return Err(refused(path, cause).hint("leave --key out with a PKCS#12 file").exit(Exit::Usage));
    }
    if bytes.len() > pkcs12::FILE_BYTES_MAX {
        let cause = format!("it is longer than {} bytes", pkcs12::FILE_BYTES_MAX);
        return Err(refused(path, cause).hint("have the certificate exported again, alone"));
    }
    let sealed = Sealed::read(bytes).map_err(|why| {
        let is_lone = matches!(why, NotOpened::Damaged(_)) && x509_parser::parse_x509_certificate(bytes).is_ok();
        if is_lone { lone_certificate(path) } else { explained(path, &why) }
    })?;
    let opened = with_password(path, named.password, |password| sealed.open(password))?;
    choose(path, opened, named.chosen)
}

/// The private key in a PEM file, if there is one.
fn private_key(path: &Path, bytes: &[u8], password: &PasswordFrom) -> Result<Option<PrivateKeyDer<'static>>, Failure> {
    if let Ok(key) = PrivateKeyDer::from_pem_slice(bytes) {
        return Ok(Some(key));
    }
    if is_binary(bytes) {
        let hint =
            "a key in DER is made readable with openssl pkey -inform DER; a PKCS#12 file is named with --cert alone";
        return Err(refused(path, "it is not PEM; it looks like PKCS#12 or DER").hint(hint));
    }
    let mut sections = Pem::iter_from_buffer(bytes).filter_map(Result::ok);
    if let Some(encrypted) = sections.find(|section| section.label == "ENCRYPTED PRIVATE KEY") {
        return with_password(path, password, |password| pkcs12::open_key(&encrypted.contents, password)).map(Some);
    }
    // What OpenSSL wrote before the year 2010: a head of its own, and a derivation by MD5.
    if bytes.windows(b"Proc-Type: 4,ENCRYPTED".len()).any(|window| window == b"Proc-Type: 4,ENCRYPTED") {
        return Err(refused(path, "the key is encrypted in OpenSSL's old form, which protects it badly").hint(format!(
            "umask 077; openssl pkcs8 -topk8 -in {0} -out {0}.new, and use that with --key; it asks for the same password",
            path.display()
        )));
    }
    Ok(None)
}

fn with_password<T>(
    path: &Path,
    from: &PasswordFrom,
    open: impl Fn(&Password) -> Result<T, NotOpened>,
) -> Result<T, Failure> {
    let mut tries = from.tries();
    loop {
        tries -= 1;
        match open(&from.ask(path)?) {
            Err(NotOpened::Password) if tries > 0 => {}
            outcome => return outcome.map_err(|why| explained(path, &why)),
        }
    }
}

fn explained(path: &Path, why: &NotOpened) -> Failure {
    let hint = match why {
        NotOpened::Password => {
            "ask whoever made the file for its password. If you are sure of it, the file may be damaged: have it exported again"
                .to_owned()
        }
        NotOpened::Damaged(_) => {
            "copy or download the file again, in binary form; if that does not help, have it exported again".to_owned()
        }
        NotOpened::Scheme(_) => format!(
            "openssl writes it anew in the usual form: openssl pkcs12 -legacy -in {0} -nodes | openssl pkcs12 -export -out new.p12",
            path.display()
        ),
        NotOpened::TooMuchWork | NotOpened::TooMany => "have the certificate exported again, alone".to_owned(),
    };
    refused(path, why).hint(hint)
}

fn lone_certificate(path: &Path) -> Failure {
    refused(path, "it is a certificate in DER, without its private key").hint(format!(
        "openssl x509 -inform DER -in {} -out organisation.pem makes PEM of it; name its key with --key",
        path.display()
    ))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed =
        |cause: std::io::Error| refused(path, cause).hint("name the file that the certificate's issuer gave you");
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    // One allocation, because a buffer that grows leaves copies.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length.min(FILE_BYTES_MAX)).unwrap_or(0) + 1));
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn open_to_others(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.mode() & 0o7777;
    let path = path.display();
    (mode & 0o044 != 0).then(|| {
        format!(
            "warning: {path} has mode {mode:04o}, so other users of this machine can read the key: chmod 600 {path}"
        )
    })
}

fn password_open_to_others(password: &PasswordFrom) -> Option<String> {
    let (path, mode) = password.open_mode()?;
    let path = path.display();
    Some(format!(
        "warning: {path} has mode {mode:04o}, so other users of this machine can read the password: chmod 600 {path}"
    ))
}

/// The key is sound, and another's.
pub(super) fn not_its_key(path: &Path, cert: &Path) -> Failure {
    refused(path, format_args!("it does not belong to the certificate in {}", cert.display()))
        .hint("the first certificate in --cert must be the organisation's own")
}

pub(super) fn refused(path: &Path, cause: impl std::fmt::Display) -> Failure {
    Failure::new("use", path.display(), cause).exit(Exit::Refused)
}

fn no_pem(path: &Path, wanted: &str) -> Failure {
    let hint = format!("a PEM file has a line -----BEGIN {wanted}-----");
    refused(path, format_args!("there is no {wanted} in it")).hint(hint)
}
