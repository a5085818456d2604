//! A directory for one row: a fresh PKI and room for states. It is removed when it is dropped.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tallyd::cli::certs::pki::{Issued, Leaf, Pki};
use tallyd::domain::time::Timestamp;
use tallyd::platform::clock::{Clock, SystemClock};

/// The one organisation of all approvals.
pub(crate) const ORGANISATION: &str = "5590000005";

const DAY: Duration = Duration::from_secs(86_400);

pub(crate) struct Place {
    dir: PathBuf,
    pki: Pki,
    now: Timestamp,
}

impl Place {
    /// On the same disk as the build, never in memory: durable writes are what is measured.
    pub(crate) fn new(row: &str) -> Result<Self> {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ceilings-{row}-{}", std::process::id()));
        DirBuilder::new().mode(0o700).recursive(true).create(&dir)?;
        let now = SystemClock.now();
        let mut pki = Pki::new(now)?;
        let server = pki.servers.issue(&Leaf::server(["localhost"], now))?;
        let systems_crl = pki.systems.crl(now, now.after(30 * DAY))?;
        let partners_crl = pki.partners_test.crl(now, now.after(30 * DAY))?;
        let place = Self { dir, pki, now };
        place.write("server.crt", &server.certificate)?;
        place.write("server.key", &server.key)?;
        place.write("servers-ca.crt", &place.pki.servers.certificate())?;
        place.write("systems-ca.crt", &place.pki.systems.certificate())?;
        place.write("systems-ca.crl", &systems_crl)?;
        place.write("partners-ca.crt", &place.pki.partners_test.certificate())?;
        place.write("partners-ca.crl", &partners_crl)?;
        Ok(place)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a file that nobody else may read.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.path(name);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(content.as_bytes())?;
        Ok(path)
    }

    /// A certificate for one of the agency's systems, known by its DNS name.
    pub(crate) fn system(&self, name: &str) -> Result<Issued> {
        Ok(self.pki.systems.issue(&Leaf::system(name, self.now))?)
    }

    /// A certificate of the organisation. Each call makes another one: rates are limited by certificate.
    pub(crate) fn partner(&self) -> Result<Issued> {
        let leaf = Leaf::organisation("Exempel AB", &format!("16{ORGANISATION}"), self.now);
        Ok(self.pki.partners_test.issue(&leaf)?)
    }

    /// Copies a state directory that no daemon has open.
    pub(crate) fn copy_state(&self, from: &str, to: &str) -> Result<()> {
        copy(&self.path(from), &self.path(to))
    }

    /// Removes a state directory.
    pub(crate) fn remove_state(&self, name: &str) -> Result<()> {
        fs::remove_dir_all(self.path(name)).with_context(|| format!("remove {name}"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left over lies in the build directory, where nobody minds.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            // Copies the mode as well.
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
