//! `[operator]`: the Unix socket of the command line, and who may use it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::limits::Limits;
use super::section::Section;
use super::values::{Account, account, list, path, time, word};
use crate::domain::request::Governed;

/// Where the command line is heard.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The socket.
    pub socket: PathBuf,
    /// Users that are operators, by the kernel's word.
    pub users: Vec<Account>,
    /// Groups whose members are operators.
    pub groups: Vec<Account>,
    /// Commands that need a second person.
    pub four_eyes: BTreeSet<Governed>,
    /// Commands that need a case number.
    pub case_required: BTreeSet<Governed>,
    /// How long a request waits for the second person.
    pub request_life: Duration,
    /// What it grants.
    pub limits: Limits,
}

/// The shortest and the longest life of a request: time to be read, and no time to be forgotten.
const LIFE: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_hours(24 * 30);

impl Operator {
    pub(super) fn read(section: &mut Section<'_>, limits: Limits) -> Option<Self> {
        let socket = section.or("socket", PathBuf::from("/run/tallyd/operator.sock"), path);
        let admitted = admitted(section);
        let commands: Vec<_> = Governed::ALL.iter().map(|command| (command.as_str(), *command)).collect();
        let four_eyes = section.or("four_eyes", Vec::new(), list(0, word(commands.clone())));
        let case_required = section.or("case_required", Vec::new(), list(0, word(commands)));
        let request_life = section.or("request_life", Duration::from_hours(24), time(LIFE));
        let (users, groups) = admitted?;
        Some(Self {
            socket: socket?,
            users,
            groups,
            four_eyes: four_eyes?.into_iter().collect(),
            case_required: case_required?.into_iter().collect(),
            request_life: request_life?,
            limits,
        })
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
