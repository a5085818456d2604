//! What kind of file system a directory lies on, by the magic number of statfs(2). It only names; whoever serves decides.

use std::fmt;
use std::os::fd::AsFd;

/// A kind of file system, by what it promises to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// A disk of this machine: fsync and locks mean what they say.
    Disk,
    /// Memory: gone with the machine.
    Memory,
    /// A container's layer: gone with the container.
    Overlay,
    /// Another machine's disk: locks and fsync depend on it.
    Network,
    /// None of the known ones, with its magic number.
    Other(u64),
}

impl FileSystem {
    /// Of an open file or directory.
    pub fn of(file: impl AsFd) -> std::io::Result<Self> {
        let found = rustix::fs::fstatfs(file)?.f_type;
        // The magic number is 32 bits, which some platforms extend by its sign.
        Ok(Self::from_magic(u64::from((found & 0xffff_ffff) as u32)))
    }

    /// Whether state that was acknowledged here survives a power cut.
    pub fn keeps_state(self) -> bool {
        match self {
            Self::Disk => true,
            Self::Memory | Self::Overlay | Self::Network | Self::Other(_) => false,
        }
    }

    /// The numbers of linux/magic.h.
    fn from_magic(magic: u64) -> Self {
        match magic {
            // ext2/3/4, XFS, Btrfs, F2FS, ZFS, bcachefs
            0xef53 | 0x5846_5342 | 0x9123_683e | 0xf2f5_2010 | 0x2fc1_2fc1 | 0xca45_1a4e => Self::Disk,
            // tmpfs, ramfs
            0x0102_1994 | 0x8584_58f6 => Self::Memory,
            0x794c_7630 => Self::Overlay,
            // NFS, SMB, SMB2, CIFS, 9P, Ceph, AFS, FUSE (most of which are networks)
            0x6969 | 0x517b | 0xfe53_4d42 | 0xff53_4d42 | 0x0102_1997 | 0x00c3_6400 | 0x5346_414f | 0x6573_5546 => {
                Self::Network
            }
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => f.write_str("a local disk"),
            Self::Memory => f.write_str("memory (tmpfs)"),
            Self::Overlay => f.write_str("a container's layer (overlay)"),
            Self::Network => f.write_str("a network file system"),
            Self::Other(magic) => write!(f, "an unknown file system (0x{magic:x})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_from_a_disk() {
        assert_eq!(FileSystem::of(std::fs::File::open("/dev/shm").unwrap()).unwrap(), FileSystem::Memory);
        assert!(!FileSystem::of(std::fs::File::open("/proc").unwrap()).unwrap().keeps_state());
        assert!(FileSystem::from_magic(0xef53).keeps_state());
        assert!(!FileSystem::from_magic(0x6969).keeps_state());
    }
}
