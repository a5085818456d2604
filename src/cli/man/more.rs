//! What the manual says besides the definitions: files, what is safe and what is not, examples, and where to read on.

use super::super::output::Exit;

/// For one page.
pub(super) struct More {
    /// A paragraph after the definition's own; empty for none.
    pub(super) description: &'static str,
    /// How the command can end.
    pub(super) exits: &'static [Exit],
    /// Paths and what is there.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Paragraphs.
    pub(super) security: &'static [&'static str],
    /// What for, and the command.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// Further pages: own ones by their names, others with their section.
    pub(super) see: &'static [&'static str],
}

const USUAL: &[Exit] = &[Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused];
const VERIFYING: &[Exit] =
    &[Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::NotVerified, Exit::CannotVerify];

const CONFIGURATION: (&str, &str) = ("/etc/tallyd/tallyd.toml", "The configuration, every key with a comment.");
const KEYS: (&str, &str) = (
    "/etc/tallyd/keys/",
    "The keys of the service, one file each, for root alone; systemd hands them over when the service starts.",
);
const STATE: (&str, &str) =
    ("/var/lib/tallyd/", "The state: the database with the journal, the fence, and the epochs of the sealing key.");
const OPERATORS: (&str, &str) =
    ("/run/tallyd/operator.sock", "Where operators' commands reach the daemon. Who calls is the kernel's word.");

const NOTHING: More = More { description: "", exits: USUAL, files: &[], security: &[], examples: &[], see: &[] };

/// A command that asks the daemon.
const OPERATOR: More = More { files: &[CONFIGURATION, OPERATORS], ..NOTHING };

const PAGES: &[(&str, More)] = &[
    (
        "tallyd",
        More {
            description: "\
An approval event comes in over mutual TLS. A client_id and a client_secret are made for each of an application's keys, and \
each secret is split with a one-time pad: part 1 goes out by e-mail, part 2 is fetched with a certificate of the organisation. \
Only when the recipient has proved that both parts are there does the credential verify anywhere. Every step is an entry in \
a journal that outsiders can verify, committed before the step has its effect.",
            exits: &Exit::ALL,
            files: &[CONFIGURATION, KEYS, STATE, OPERATORS],
            security: &[
                "No command shows any part of a secret, but for pickup and combine, which are the recipient's own and run on \
                 the recipient's machine.",
                "Secrets and passwords are read from standard input, from files or at the terminal, never from arguments or \
                 the environment, which other users of a machine may see.",
            ],
            examples: &[("The whole way of a credential on this machine, with nothing left behind:", "tallyd demo")],
            see: &["systemd(1)"],
        },
    ),
    (
        "tallyd-pickup",
        More {
            files: &[("/etc/ssl/certs/ca-certificates.crt", "Whose server certificates are trusted without --ca.")],
            security: &[
                "Part 1 and the secret stay in this process; the server gets a proof, which does not give the secret away. \
                 Part 2 is fetched only when part 1 was found whole, because fetches are counted.",
                "The file of --out is new, of mode 0600, and on the disk before the keys are confirmed. No other file is \
                 overwritten. Who had part 2 before is told at each fetch: if it was nobody of yours, tell the agency.",
            ],
            examples: &[
                (
                    "With a certificate from Windows or a browser; the password and the e-mail are asked for:",
                    "tallyd pickup --url https://nycklar.exempel.se/ --cert organisation.p12 --out api-keys.env K7QF-2M9D",
                ),
                (
                    "In a script, with PEM files and the e-mail in a file:",
                    "tallyd pickup --url https://nycklar.exempel.se/ --cert organisation.pem --key organisation.key \\\n    \
                     --out api-keys.env K7QF-2M9D < e-mail.txt",
                ),
                (
                    "In a script, with the password and the e-mail on standard input:",
                    "cat password e-mail.txt | tallyd pickup --url https://nycklar.exempel.se/ --cert organisation.p12 \\\n    \
                     --password-file - --out api-keys.env K7QF-2M9D",
                ),
                (
                    "What awaits the organisation:",
                    "tallyd pickup --url https://nycklar.exempel.se/ --cert organisation.p12",
                ),
            ],
            see: &["tallyd-combine", "curl(1)", "openssl-pkcs12(1ssl)", "pk12util(1)"],
            ..NOTHING
        },
    ),
    (
        "tallyd-combine",
        More {
            security: &["No connection is opened and no file is read or written. The secrets are printed."],
            examples: &[("Both parts in one file, for a program:", "tallyd combine --json < both-parts.txt")],
            see: &["tallyd-pickup", "curl(1)"],
            ..NOTHING
        },
    ),
    (
        "tallyd-serve",
        More {
            exits: &[Exit::Done, Exit::Failed, Exit::Refused, Exit::NotVerified],
            files: &[CONFIGURATION, KEYS, STATE, OPERATORS],
            security: &[
                "The daemon refuses to start, with the remedy, where a key can be read by others, where the state is not the \
                 one that was left, and where the journal does not verify. An error of the disk ends it; recovery is at the \
                 next start.",
            ],
            see: &["tallyd-init", "tallyd-check", "systemd.service(5)"],
            ..NOTHING
        },
    ),
    ("tallyd-init", More { files: &[CONFIGURATION, KEYS, STATE], see: &["tallyd-check", "tallyd-serve"], ..NOTHING }),
    (
        "tallyd-check",
        More { exits: VERIFYING, files: &[CONFIGURATION, KEYS, STATE], see: &["tallyd-serve"], ..NOTHING },
    ),
    ("tallyd-admit", More { files: &[CONFIGURATION, ("/run/tallyd-accounts", "The ways in.")], ..NOTHING }),
    ("tallyd-list", OPERATOR),
    ("tallyd-show", OPERATOR),
    ("tallyd-reissue", More { see: &["tallyd-campaigns", "tallyd-requests", "tallyd-revoke"], ..OPERATOR }),
    ("tallyd-campaigns", OPERATOR),
    ("tallyd-revoke", More { see: &["tallyd-whose", "tallyd-requests"], ..OPERATOR }),
    (
        "tallyd-whose",
        More {
            security: &["What was pasted stays in this process: the daemon is asked about digests of it."],
            see: &["tallyd-revoke"],
            ..OPERATOR
        },
    ),
    ("tallyd-bounce", More { exits: &[Exit::Done, Exit::TryLater], see: &["aliases(5)"], ..OPERATOR }),
    ("tallyd-requests", More { see: &["tallyd-approve", "tallyd-deny"], ..OPERATOR }),
    ("tallyd-approve", More { see: &["tallyd-requests", "tallyd-deny"], ..OPERATOR }),
    ("tallyd-deny", More { see: &["tallyd-requests", "tallyd-approve"], ..OPERATOR }),
    ("tallyd-contacts", OPERATOR),
    ("tallyd-audit", More { exits: VERIFYING, files: &[CONFIGURATION, STATE], ..NOTHING }),
    (
        "tallyd-audit-verify",
        More {
            exits: VERIFYING,
            files: &[CONFIGURATION, STATE],
            security: &[
                "A journal is only as good as the key that vouches for it, and as the oldest checkpoint of it that somebody \
                 else has kept: keep both on another machine.",
            ],
            see: &["tallyd-audit-checkpoint", "tallyd-audit-export"],
            ..NOTHING
        },
    ),
    (
        "tallyd-audit-show",
        More {
            description: "\
Entry by entry: when (UTC), its number and kind, about whom, what happened, and by whom. With --json the entries as they are \
stored, one a line.",
            exits: &[Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::NotVerified],
            files: &[CONFIGURATION, STATE],
            security: &[
                "What is shown is what is stored. Whether that is what was signed is what tallyd audit verify says.",
            ],
            examples: &[
                (
                    "What became of an organisation's keys in November:",
                    "tallyd audit show --organisation 559000-0005 --kind credential. --since 2026-11-01 --until 2026-11-30",
                ),
                ("What somebody did in the last two days:", "tallyd audit show --actor operator:anna --since 2d"),
                (
                    "Attempts to get at somebody else's keys, as they happen:",
                    "tallyd audit show --follow --kind pickup.refused",
                ),
            ],
            see: &["tallyd-audit-verify", "tallyd-show"],
        },
    ),
    (
        "tallyd-audit-export",
        More {
            exits: VERIFYING,
            files: &[CONFIGURATION, STATE],
            security: &[
                "What was written is read again and verified as it lies there before the command says that it is done. A closed \
                 part (--before) ends with a checkpoint of exactly its size, which takes the journal's signing key.",
            ],
            examples: &[(
                "The years before this one, for the archive:",
                "tallyd audit export /srv/archive --before 2027-01-01",
            )],
            see: &["tallyd-audit-verify"],
            ..NOTHING
        },
    ),
    ("tallyd-audit-prove", More { exits: VERIFYING, files: &[CONFIGURATION, STATE], ..NOTHING }),
    ("tallyd-audit-checkpoint", More { exits: VERIFYING, files: &[CONFIGURATION, STATE], ..NOTHING }),
];

impl More {
    /// What there is to say about a page.
    pub(super) fn about(name: &str) -> &'static Self {
        PAGES.iter().find(|(page, _)| *page == name).map_or(&NOTHING, |(_, more)| more)
    }

    /// The pages that more is said about.
    #[cfg(test)]
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        PAGES.iter().map(|(page, _)| *page)
    }
}
