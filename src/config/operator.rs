//! `[operator]`: the Unix socket of the command line, and who may use it.

use std::path::PathBuf;

use super::limits::Limits;
use super::section::Section;
use super::values::{Account, account, list, path};

/// Where the command line is heard.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The socket.
    pub socket: PathBuf,
    /// Users that are operators, by the kernel's word.
    pub users: Vec<Account>,
    /// Groups whose members are operators.
    pub groups: Vec<Account>,
    /// What it grants.
    pub limits: Limits,
}

impl Operator {
    pub(super) fn read(section: &mut Section<'_>, limits: Limits) -> Option<Self> {
        let socket = section.or("socket", PathBuf::from("/run/tallyd/operator.sock"), path);
        let admitted = admitted(section);
        let (users, groups) = admitted?;
        Some(Self { socket: socket?, users, groups, limits })
    }
}

/// `users` and `groups` of a Unix socket: nobody is let in who is not named, root neither.
pub(super) fn admitted(section: &mut Section<'_>) -> Option<(Vec<Account>, Vec<Account>)> {
    let users = section.or("users", Vec::new(), list(0, account));
    let groups = section.or("groups", Vec::new(), list(0, account));
    let (users, groups) = (users?, groups?);
    if users.is_empty() && groups.is_empty() {
        section.fault_at("users", "lets nobody in".to_owned(), "name at least one user or group".to_owned());
        return None;
    }
    Some((users, groups))
}
