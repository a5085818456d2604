//! Which accounts the kernel tells this process rightly. In a user namespace of its own (systemd, `PrivateUsers=yes`) it
//! calls everybody who is not mapped into it by one and the same number, for the other end of a socket as for files.

use std::io;
use std::ops::RangeInclusive;

/// The user ids of one user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserIds(Vec<RangeInclusive<u32>>);

impl UserIds {
    /// Those of this process.
    pub fn of_this_process() -> io::Result<Self> {
        let map = std::fs::read_to_string("/proc/self/uid_map")?;
        Self::parse(&map).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/self/uid_map is not a map"))
    }

    /// Whether an account is told by its own number.
    pub fn tells(&self, uid: u32) -> bool {
        self.0.iter().any(|mapped| mapped.contains(&uid))
    }

    /// Lines of: first id inside, first id outside, how many (user_namespaces(7)). Accounts are known by those inside.
    pub fn parse(map: &str) -> Option<Self> {
        let line = |line: &str| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
            let (first, _outside, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
            Some(first..=first.checked_add(count.checked_sub(1)?)?)
        };
        map.lines().map(line).collect::<Option<Vec<_>>>().map(Self)
    }
}

/// `DEFAULT_OVERFLOWUID` of linux/highuid.h.
const OVERFLOW_DEFAULT: u32 = 65_534;

/// The number by which the kernel calls every account that is not mapped.
pub fn of_the_unmapped() -> io::Result<u32> {
    let text = match std::fs::read_to_string("/proc/sys/kernel/overflowuid") {
        // Hidden from a service (systemd, `ProcSubset=pid`): then the kernel's own default is the best word there is.
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(OVERFLOW_DEFAULT),
        text => text?,
    };
    text.trim().parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "overflowuid is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_told_where_the_map_has_it() {
        let told = |map: &str, uid| UserIds::parse(map).map(|ids| ids.tells(uid));
        let whole = "         0          0 4294967295\n";
        for uid in [0, 1, 65_534, u32::MAX - 1] {
            assert_eq!(told(whole, uid), Some(true), "{uid}");
        }
        let private = "0 0 1\n997 997 1\n";
        for (uid, tells) in [(0, true), (997, true), (996, false), (1000, false), (65_534, false)] {
            assert_eq!(told(private, uid), Some(tells), "{uid}");
        }
        assert_eq!(told("0 100000 65536\n", 65_535), Some(true));
        for bad in ["0 0\n", "0 0 0\n", "4294967295 0 2\n", "a b c\n"] {
            assert_eq!(told(bad, 0), None, "{bad}");
        }
    }

    #[test]
    fn the_unmapped_have_a_number() {
        assert_ne!(of_the_unmapped().unwrap(), 0);
    }

    #[test]
    fn this_process_is_told_rightly_of_itself() {
        assert!(UserIds::of_this_process().unwrap().tells(rustix::process::geteuid().as_raw()));
    }
}
