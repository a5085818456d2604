//! A minimal Debian as a directory. It is put together once, out of packages, and kept as an archive under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::operator::{finish, finish_within};

/// Beside what every Debian has: systemd as the first process, and the commands that make accounts.
const PACKAGES: &str = "systemd-sysv,passwd";

/// How long the packages may take to be fetched and put together.
const FETCHED: Duration = Duration::from_secs(600);

/// Where apt of this machine finds its packages; mmdebstrap takes either.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];

/// Unpacks one.
pub(super) fn unpack(directory: &Path) {
    let archive = archive();
    fs::create_dir_all(directory).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(directory).arg("-xf").arg(archive);
    finish(tar).expect_exit(0);
}

/// Below this build's `target/`, which outlives a test and lies on a disk.
pub(super) fn workplace() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("service");
    fs::create_dir_all(&place).unwrap();
    place
}

fn archive() -> PathBuf {
    let release = fs::read_to_string("/etc/os-release").unwrap();
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).expect("this is a Debian");
    let archive = workplace().join(format!("{codename},{PACKAGES}.tar"));
    if archive.exists() {
        return archive;
    }
    let sources = SOURCES.iter().find(|path| Path::new(path).exists()).expect("apt has sources");
    let made = archive.with_extension("part.tar");
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.args(["--quiet", "--variant=essential", "--dpkgopt=force-unsafe-io"]);
    mmdebstrap.arg(format!("--include={PACKAGES}")).arg(codename).arg(&made).arg(sources);
    finish_within(mmdebstrap, FETCHED).expect_exit(0);
    fs::rename(made, &archive).unwrap();
    archive
}
