//! Making and opening the database file. Opening creates nothing, sets every setting that durability and erasure rest
//! on, reads each back, and refuses when one did not take.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::queries::Reader;
use super::schema::{self, APPLICATION_ID};
use super::write::SqliteWriter;
use crate::platform::files::{self, FileRefused, Why};
use crate::store::backend::Instance;

/// The name of the file in the state directory.
const NAME: &str = "tallyd.db";

/// How long to wait for another process that holds the database.
pub(super) const BUSY: Duration = Duration::from_secs(2);

/// Prepared statements kept per connection; there are fewer in all.
const STATEMENTS: usize = 128;

/// Settings and the value that each reads back as. Each stands for a row of FAULTS or a measured loss:
/// FULL, because NORMAL loses acknowledged commits in a power cut; secure_delete, because erased shares would stay in
/// free pages; no memory map, because a truncated file would kill the process; 16 MiB of pages, because with fewer the
/// inner pages of ten thousand clients are read again for each; the rest against hostile files.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("synchronous", "FULL", "2"),
    ("secure_delete", "ON", "1"),
    ("foreign_keys", "ON", "1"),
    ("trusted_schema", "OFF", "0"),
    ("cell_size_check", "ON", "1"),
    ("mmap_size", "0", "0"),
    ("temp_store", "MEMORY", "2"),
    ("cache_size", "-16384", "-16384"),
];

/// The database is not used, and why.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be looked at or made.
    #[error("database {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The file cannot be made.
    #[error("database {0}")]
    Refused(#[from] FileRefused),
    /// Something else is at its place, or others may read it.
    #[error("database {}: {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is a database, but not one of ours.
    #[error("the database is not one of tallyd's (application id {found:#x})")]
    Foreign {
        /// Whose it says it is.
        found: i32,
    },
    /// A setting did not take.
    #[error("the database's setting {setting} is {found}, it must be {wanted}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The integrity check found something.
    #[error("the database is corrupt: {0}")]
    Corrupt(String),
    /// A newer program made it.
    #[error("the database has schema version {found}, this program knows {known}")]
    SchemaNewer {
        /// Its version.
        found: usize,
        /// The newest version known.
        known: usize,
    },
    /// A schema version in it is not the one that this program knows by that number.
    #[error("the database's schema version {version} is not the one that this program knows")]
    SchemaChanged {
        /// Which.
        version: usize,
    },
    /// SQLite refused.
    #[error("the database cannot be opened: {0}")]
    Sql(#[from] rusqlite::Error),
}

impl OpenError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::File { cause, .. } if cause.kind() == io::ErrorKind::NotFound => {
                "run `tallyd init` once, or correct the state directory in the configuration".to_owned()
            }
            Self::File { .. } => "run the command as the user of the service".to_owned(),
            Self::Refused(FileRefused { why: Why::System { cause, .. }, .. })
                if cause.kind() == io::ErrorKind::AlreadyExists =>
            {
                "tallyd init was run already, and once is enough: go on with tallyd check. Nothing was overwritten"
                    .to_owned()
            }
            Self::Refused(refused) => refused.hint(),
            Self::Unfit { path, .. } => format!("chmod 0600 {}, and see that it is a regular file", path.display()),
            Self::Foreign { .. } => "name the right state directory in the configuration".to_owned(),
            Self::Setting { .. } => "use a local file system that supports shared memory maps and locks".to_owned(),
            Self::Corrupt(_) => RESTORE.to_owned(),
            // Damage in some places is met before the check for it has come there.
            Self::Sql(error) if is_damage(error) => RESTORE.to_owned(),
            Self::SchemaNewer { .. } => "run the newer program that last used it".to_owned(),
            Self::SchemaChanged { .. } => "run the program that made it; this build was altered".to_owned(),
            Self::Sql(_) => "see that nothing else has it open and that the disk is writable and not full".to_owned(),
        }
    }
}

/// What to do about damage.
const RESTORE: &str = "keep the files for examination and restore the newest backup";

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Makes an empty database in the state directory. It must not be there.
pub(in crate::store) fn create(state: &Path, instance: Instance) -> Result<(), OpenError> {
    let path = state.join(NAME);
    files::write_new(&path, b"")?;
    let mut sql = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    sql.pragma_update(None, "application_id", APPLICATION_ID)?;
    log_ahead(&sql)?;
    configure(&sql)?;
    schema::bring_up_to_date(&mut sql)?;
    let head = "INSERT INTO head (id, instance, size, time, frontier, checkpoint) VALUES (1, ?1, 0, 0, ?2, '')";
    let empty = crate::journal::tree::Frontier::new().to_bytes();
    sql.execute(head, (instance.as_bytes(), empty))?;
    sql.close().map_err(|(_, error)| error.into())
}

/// Opens the database in the state directory: one connection that writes, one that reads.
pub(in crate::store) fn open(state: &Path) -> Result<(SqliteWriter, Reader), OpenError> {
    let path = state.join(NAME);
    check_file(&path)?;
    let mut sql = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let found: i32 = sql.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if found != APPLICATION_ID {
        return Err(OpenError::Foreign { found });
    }
    log_ahead(&sql)?;
    configure(&sql)?;
    // Closing must not copy the log into the database: nobody would see that copying fail. `purge` has done it.
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    quick_check(&sql)?;
    schema::bring_up_to_date(&mut sql)?;
    let reading = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    reading.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    configure(&reading)?;
    let writing = SqliteWriter::new(sql, path)?;
    Ok((writing, Reader::new(reading)))
}

/// Opens the database in the state directory for reading only, beside whoever writes to it. Root may look at anybody's.
pub(in crate::store) fn open_reading(state: &Path) -> Result<Reader, OpenError> {
    Ok(Reader::new(connect_reading(state)?))
}

/// Opens a copy that lies in a file of its own, for reading only.
pub(in crate::store) fn open_copy(file: &Path) -> Result<Reader, OpenError> {
    Ok(Reader::new(reading_at(file)?))
}

/// Opens the database of a connection once more, for reading what that one sees. `None`: that cannot be had, or the database
/// was written to meanwhile.
pub(super) fn open_beside(sql: &Connection) -> Option<Reader> {
    // What a connection has written and not committed, it alone sees.
    sql.is_readonly("main").ok().filter(|readonly| *readonly)?;
    // One in memory has no path.
    let path = sql.path().filter(|path| !path.is_empty())?;
    let beside = reading_at(Path::new(path)).ok()?;
    beside.execute_batch("BEGIN").ok()?;
    // Every commit changes it.
    let head = |sql: &Connection| -> Option<(i64, i64, String)> {
        let query = "SELECT size, time, checkpoint FROM head";
        sql.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).ok()
    };
    let (theirs, ours) = (head(&beside)?, head(sql)?);
    (theirs == ours).then(|| Reader::new(beside))
}

pub(super) fn connect_reading(state: &Path) -> Result<Connection, OpenError> {
    reading_at(&state.join(NAME))
}

fn reading_at(path: &Path) -> Result<Connection, OpenError> {
    let reading = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let found: i32 = reading.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if found != APPLICATION_ID {
        return Err(OpenError::Foreign { found });
    }
    configure(&reading)?;
    // Whoever reads a whole database once has no use for more.
    reading.execute_batch("PRAGMA cache_size = -4096")?;
    schema::refuse_unknown(&reading)?;
    Ok(reading)
}

pub(super) fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, OpenError> {
    // Neither CREATE nor URI: a missing file stays missing, and a strange name is only a name.
    let sql = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    sql.busy_timeout(BUSY)?;
    sql.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise SQLite plans a statement again, text and all, whenever a value is bound that a partial index might be
    // chosen by: at almost every execution of a kept statement.
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(sql)
}

fn log_ahead(sql: &Connection) -> Result<(), OpenError> {
    let mode: String = sql.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::Setting { setting: "journal_mode", wanted: "wal", found: mode });
    }
    Ok(())
}

fn configure(sql: &Connection) -> Result<(), OpenError> {
    for (setting, value, wanted) in SETTINGS {
        sql.execute_batch(&format!("PRAGMA {setting} = {value}"))?;
        let found: i64 = sql.pragma_query_value(None, setting, |row| row.get(0))?;
        if found.to_string() != *wanted {
            return Err(OpenError::Setting { setting, wanted, found: found.to_string() });
        }
    }
    Ok(())
}

fn quick_check(sql: &Connection) -> Result<(), OpenError> {
    let found: String = sql.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(OpenError::Corrupt(found)) }
}

fn check_file(path: &Path) -> Result<(), OpenError> {
    let looked = fs::symlink_metadata(path);
    let metadata = looked.map_err(|cause| OpenError::File { path: path.to_owned(), cause })?;
    let unfit = |why| OpenError::Unfit { path: path.to_owned(), why };
    if !metadata.is_file() {
        return Err(unfit("is not a regular file"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(unfit("may be read or written by others"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(unfit("belongs to another user"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::Scratch;

    fn created(name: &str) -> Scratch {
        let scratch = Scratch::new(name);
        create(scratch.path(), Instance::from_bytes([1; 16])).unwrap();
        scratch
    }

    fn error(state: &Path) -> OpenError {
        open(state).map(drop).unwrap_err()
    }

    #[test]
    fn opening_creates_nothing_and_creating_overwrites_nothing() {
        let scratch = Scratch::new("sqlite-create");
        assert!(error(scratch.path()).hint().contains("tallyd init"));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        create(scratch.path(), Instance::from_bytes([1; 16])).unwrap();
        assert!(create(scratch.path(), Instance::from_bytes([2; 16])).is_err());
        open(scratch.path()).unwrap();
    }

    #[test]
    fn the_files_are_private() {
        let scratch = created("sqlite-modes");
        let _open = open(scratch.path()).unwrap();
        for name in [NAME, "tallyd.db-wal", "tallyd.db-shm"] {
            let mode = fs::metadata(scratch.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "{name}");
        }
        fs::set_permissions(scratch.path().join(NAME), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(error(scratch.path()), OpenError::Unfit { .. }));
    }

    #[test]
    fn another_programs_database_and_a_damaged_one_are_refused() {
        let scratch = created("sqlite-foreign");
        let path = scratch.path().join(NAME);
        let sql = Connection::open(&path).unwrap();
        sql.pragma_update(None, "application_id", 7).unwrap();
        drop(sql);
        assert!(matches!(error(scratch.path()), OpenError::Foreign { found: 7 }));

        let scratch = created("sqlite-damaged");
        let path = scratch.path().join(NAME);
        let mut bytes = fs::read(&path).unwrap();
        for byte in bytes.iter_mut().skip(4096) {
            *byte ^= 0x5a;
        }
        fs::write(&path, bytes).unwrap();
        assert!(matches!(error(scratch.path()), OpenError::Corrupt(_) | OpenError::Sql(_)));
    }

    #[test]
    fn a_setting_that_does_not_take_is_refused() {
        let sql = Connection::open_in_memory().unwrap();
        let refused = log_ahead(&sql).unwrap_err();
        assert!(matches!(refused, OpenError::Setting { setting: "journal_mode", .. }), "{refused}");
    }
}
