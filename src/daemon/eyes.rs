//! Four eyes need people who can be told apart. Where commands take a second person and the kernel does not say whose
//! account calls, or where there is nobody who could be the second, the daemon does not start.

use super::accounts::Admitted;
use super::own_doors;
use super::refused::Refused;
use crate::config::Config;
use crate::domain::request::NOBODY;
use crate::platform::user_ids::{UserIds, of_the_unmapped};

/// The first account that a person has, by the usual login.defs. Who is of a group by his own entry alone stands in no list
/// that could be asked, and is one of these.
const FIRST_PERSON: u32 = 1000;

const TRIED: &str = "keep four eyes over";

/// Whether two operators can be told apart, where it matters.
pub(super) fn open(config: &Config) -> Result<(), Refused> {
    if config.operator.four_eyes.is_empty() {
        return Ok(());
    }
    let admitted = Admitted::find(&config.operator.users, &config.operator.groups)?;
    let unknown = |cause| Refused::failed(TRIED, "operators", cause, "see that /proc is mounted");
    let (told, unmapped) = (UserIds::of_this_process().map_err(unknown)?, of_the_unmapped().map_err(unknown)?);
    judge(&admitted, &told, unmapped)?;
    for uid in admitted.users.iter().copied().filter(|uid| !told.tells(*uid)) {
        own_doors::checked(config, uid, own_doors::OPERATOR)?;
    }
    Ok(())
}

fn judge(admitted: &Admitted, told: &UserIds, unmapped: u32) -> Result<(), Refused> {
    if let Some(nobody) = [NOBODY, unmapped].iter().find(|uid| admitted.users.contains(uid)) {
        let cause = format!("the user {nobody} is nobody: the kernel calls every account so that it hides");
        return Err(Refused::files(TRIED, "operators", cause, "take that user out of [operator] in the configuration"));
    }
    let of_groups = !admitted.groups.is_empty() && told.tells(FIRST_PERSON);
    if admitted.users.len() < 2 && !of_groups {
        let cause = "fewer than two accounts are let in, so that nobody could ever approve anything";
        let hint = "name another user in [operator], or have the group in it list its members (gpasswd -a)";
        return Err(Refused::files(TRIED, "operators", cause, hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(users: &[u32], groups: &[u32], map: &str, unmapped: u32) -> Option<String> {
        let admitted = Admitted { users: users.iter().copied().collect(), groups: groups.iter().copied().collect() };
        judge(&admitted, &UserIds::parse(map).unwrap(), unmapped).err().map(|refused| refused.cause)
    }

    const WHOLE: &str = "0 0 4294967295";
    const PRIVATE: &str = "0 0 1\n998 998 1";

    #[test]
    fn two_accounts_are_enough() {
        for (users, groups, map) in [
            (&[1000, 1001][..], &[][..], WHOLE),
            (&[0, 1000], &[], PRIVATE),
            (&[1000, 1001], &[997], PRIVATE),
            (&[0], &[998], WHOLE),
            (&[], &[998], "0 0 65536"),
        ] {
            assert_eq!(cause(users, groups, map, NOBODY), None, "{users:?} {groups:?} {map}");
        }
    }

    #[test]
    fn with_nobody_as_a_second_person_nobody_starts() {
        for (users, groups, map, unmapped, why) in [
            (&[0][..], &[][..], WHOLE, NOBODY, "fewer than two accounts"),
            (&[0], &[997], PRIVATE, NOBODY, "fewer than two accounts"),
            (&[0, NOBODY], &[], WHOLE, NOBODY, "the user 65534 is nobody"),
            (&[0, 1000, 4711], &[], WHOLE, 4711, "the user 4711 is nobody"),
            (&[0, 1000, NOBODY], &[], WHOLE, 4711, "the user 65534 is nobody"),
        ] {
            let cause = cause(users, groups, map, unmapped).unwrap_or_default();
            assert!(cause.contains(why), "{users:?} {groups:?} {map}: {cause}");
        }
    }
}
