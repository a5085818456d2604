//! What SQLite said, sorted by what the caller can do about it.

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::store::backend::Fault;
use crate::store::contract::Unavailable;
use crate::store::queries::ReadError;

/// Why a statement gave no rows that can be used.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite refused.
    Sql(rusqlite::Error),
    /// A row holds what it cannot hold.
    Damaged {
        /// The table.
        table: &'static str,
        /// The column or the rule.
        what: String,
    },
}

impl Failure {
    pub(super) fn damaged(table: &'static str, what: impl Into<String>) -> Self {
        let what = what.into();
        Self::Damaged { table, what }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sql(error) => sorted(&error),
            Failure::Damaged { table, what } => {
                Self::Unavailable { why: Unavailable::Damaged, cause: format!("table {table}: {what}") }
            }
        }
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sql(error) => sorted(&error).into(),
            Failure::Damaged { table, what } => Self::Damaged { table, what },
        }
    }
}

/// A failed fsync is forgotten by the next one, so after an input or output error nobody can say what is on the disk.
/// Fatal is therefore the rule, and what is known to have left the files whole is the exception.
pub(super) fn sorted(error: &rusqlite::Error) -> Fault {
    let cause = error.to_string();
    let Some(code) = error.sqlite_error() else {
        // The row was read, but a column is not of the type that its table declares.
        let why = Unavailable::Damaged;
        return Fault::Unavailable { why, cause };
    };
    // The shared-memory file is scratch: when it cannot grow, nothing that lasts was touched.
    if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE {
        let why = Unavailable::Full;
        return Fault::Unavailable { why, cause };
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "SQLite's codes are not our enum; an unknown one is fatal")]
    let why = match code.code {
        ErrorCode::DiskFull => Unavailable::Full,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Unavailable::Locked,
        ErrorCode::ConstraintViolation | ErrorCode::OperationAborted | ErrorCode::TooBig => Unavailable::Rejected,
        _ => return Fault::Fatal(cause),
    };
    Fault::Unavailable { why, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(extended: i32) -> Fault {
        sorted(&rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None))
    }

    #[test]
    fn what_leaves_the_files_whole_is_tried_again_and_everything_else_is_fatal() {
        for (code, why) in [
            (ffi::SQLITE_FULL, Unavailable::Full),
            (ffi::SQLITE_IOERR_SHMSIZE, Unavailable::Full),
            (ffi::SQLITE_BUSY, Unavailable::Locked),
            (ffi::SQLITE_BUSY_SNAPSHOT, Unavailable::Locked),
            (ffi::SQLITE_CONSTRAINT_TRIGGER, Unavailable::Rejected),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, Unavailable::Rejected),
        ] {
            assert!(matches!(of(code), Fault::Unavailable { why: found, .. } if found == why), "{code}");
        }
        for code in [
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_MISUSE,
            ffi::SQLITE_READONLY_DBMOVED,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_ERROR,
        ] {
            assert!(matches!(of(code), Fault::Fatal(_)), "{code}");
        }
    }

    #[test]
    fn what_is_fatal_to_the_writer_is_fatal_to_the_reader_and_a_damaged_row_is_not() {
        let read =
            |extended| ReadError::from(Failure::Sql(rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None)));
        for code in [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_SHORT_READ, ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
            assert!(read(code).fatal().is_some(), "{code}");
        }
        for error in [read(ffi::SQLITE_BUSY), Failure::damaged("client", "environment").into()] {
            assert!(error.fatal().is_none(), "{error}");
        }
    }
}
