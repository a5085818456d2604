//! Users and groups of this machine, asked through the system's own look-up, so that accounts of a directory service
//! are found as well.

use std::collections::BTreeSet;

use super::refused::Refused;
use crate::config::{Account, Config};

/// Who may call through a socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admitted {
    /// User ids, members of the named groups included.
    pub users: BTreeSet<u32>,
    /// Group ids, for processes whose own group it is.
    pub groups: BTreeSet<u32>,
}

impl Admitted {
    /// Looks every named account up.
    pub fn find(users: &[Account], groups: &[Account]) -> Result<Self, Refused> {
        let mut admitted = Self::default();
        for account in users {
            admitted.users.insert(user_id(account)?);
        }
        for account in groups {
            let group = match account {
                Account::Id(id) => uzers::get_group_by_gid(*id),
                Account::Name(name) => uzers::get_group_by_name(name.as_str()),
            };
            match (group, account) {
                (Some(group), _) => {
                    admitted.groups.insert(group.gid());
                    let members = uzers::os::unix::GroupExt::members(&group).iter();
                    admitted.users.extend(members.filter_map(uzers::get_user_by_name).map(|user| user.uid()));
                }
                // A number needs no entry in the system's files.
                (None, Account::Id(id)) => {
                    admitted.groups.insert(*id);
                }
                (None, Account::Name(name)) => return Err(unknown("group", name.as_str())),
            }
        }
        Ok(admitted)
    }
}

/// Who may call through the operator socket: the operators, and the user ids that hand returned mail over, which are none
/// of theirs.
pub(super) fn operators_and_mail_systems(config: &Config) -> Result<(Admitted, BTreeSet<u32>), Refused> {
    let operators = Admitted::find(&config.operator.users, &config.operator.groups)?;
    let Admitted { users: mail_systems, .. } = Admitted::find(&config.mail.bounce_users, &[])?;
    if let Some(both) = mail_systems.intersection(&operators.users).next() {
        let account = user_name(*both).unwrap_or_else(|| both.to_string());
        let cause = "the same account is an operator's";
        let hint = "give the mail system an account of its own, in none of operator.users and operator.groups";
        return Err(Refused::files("take returned mail from (mail.bounce_users)", account, cause, hint));
    }
    Ok((operators, mail_systems))
}

/// The name of a user, where the system knows one.
pub fn user_name(uid: u32) -> Option<String> {
    uzers::get_user_by_uid(uid).and_then(|user| user.name().to_str().map(str::to_owned))
}

fn user_id(account: &Account) -> Result<u32, Refused> {
    match account {
        Account::Id(id) => Ok(*id),
        Account::Name(name) => match uzers::get_user_by_name(name.as_str()) {
            Some(user) => Ok(user.uid()),
            None => Err(unknown("user", name.as_str())),
        },
    }
}

fn unknown(what: &str, name: &str) -> Refused {
    let cause = format!("this machine knows no {what} of that name");
    Refused::files(&format!("let in the {what}"), name, cause, "create it, or correct the configuration")
}
