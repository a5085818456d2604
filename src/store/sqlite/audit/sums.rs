//! The sums over the rows that the journal adds up to, and over those that the tables hold.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::cell::Kind;
use super::row::{self, Row};
use super::rows::{self, Compared};
use crate::domain::agreement::Agreement;
use crate::domain::campaign::Campaign;
use crate::domain::client::Client;
use crate::domain::ids::ApplicationId;
use crate::domain::issuance::Issuance;
use crate::domain::notice::Notice;
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::request::Request;
use crate::journal::fold::SeenEvent;
use crate::journal::stream::Settled;
use crate::journal::world::Fetched;
use crate::store::audit::{Secret, Summing, Sums};
use crate::store::sqlite::fault::Failure;

/// Bytes of rows that are handed on together.
const BATCH: usize = 64 * 1024;

/// Batches that wait.
const WAITING: usize = 4;

/// Adds up what it is told of. Another thread makes the digests.
pub(super) struct Expecting<'a> {
    key: Option<&'a Pseudonyms>,
    /// Whether the tables are to hold sealed shares.
    shares: bool,
    batch: Batch,
    adding: Adding,
}

impl<'a> Expecting<'a> {
    pub(super) fn new(secret: Secret, key: Option<&'a Pseudonyms>, shares: bool) -> Self {
        Self { key, shares, batch: Batch::new(), adding: Adding::begin(secret) }
    }

    fn add(&mut self, table: usize, row: &Row<'_>) {
        for cell in row {
            cell.spell(&mut self.batch.text);
        }
        self.batch.end_row(table);
        if self.batch.text.len() >= BATCH {
            self.adding.add(std::mem::replace(&mut self.batch, Batch::new()));
        }
    }
}

impl Summing for Expecting<'_> {
    fn sums(self: Box<Self>) -> Option<Sums> {
        let Self { batch, adding, .. } = *self;
        adding.add(batch);
        adding.end()
    }
}

/// The place of a table among all.
macro_rules! table {
    ($name:literal) => {
        const { rows::place($name) }
    };
}

impl Settled for Expecting<'_> {
    fn event(&mut self, event: &SeenEvent) {
        self.add(table!("event"), &row::event(event));
    }

    fn case(&mut self, granted: &ApplicationId, owner: &ApplicationId) {
        self.add(table!("client_case"), &row::case(granted, owner));
    }

    fn order(&mut self, number: u64, owner: &ApplicationId, issuance: &Issuance) {
        self.add(table!("issuance"), &row::issuance(number, owner, issuance));
    }

    fn notice(&mut self, owner: &ApplicationId, notice: &Notice) {
        self.add(table!("notice"), &row::notice(owner, notice));
    }

    fn fetch(&mut self, owner: &ApplicationId, version: u32, number: u32, fetched: &Fetched) {
        self.add(table!("fetch"), &row::fetch(owner, version, number, fetched, self.key));
    }

    fn client(&mut self, number: u64, client: &Client, epoch: u32) {
        let shares = self.shares;
        self.add(table!("client"), &row::client(number, client));
        for row in row::keys(client) {
            self.add(table!("client_key"), &row);
        }
        for contact in row::kept(client) {
            self.add(table!("contact"), &row::contact(&client.application, contact, self.key));
        }
        for credential in client.credentials.values() {
            self.add(table!("credential"), &row::credential(client, credential));
            for row in row::digests(client, credential) {
                self.add(table!("credential_key"), &row);
            }
            for row in row::shares(client, credential, Some(epoch)).filter(|_| shares) {
                self.add(table!("share"), &row);
            }
        }
    }

    fn agreement(&mut self, agreement: &Agreement) {
        self.add(table!("agreement"), &row::agreement(agreement));
    }

    fn campaign(&mut self, campaign: &Campaign) {
        self.add(table!("campaign"), &row::campaign(campaign));
    }

    fn request(&mut self, number: u64, request: &Request) {
        self.add(table!("request"), &row::request(number, request));
        if let Some(row) = row::asked_address(request, self.key) {
            self.add(table!("request_address"), &row);
        }
    }
}

/// Adds up the rows that are there, as the tables hold them: no index has a say in it. Another thread makes the digests.
pub(super) fn found(sql: &Connection, secret: Secret, key: Option<&Pseudonyms>) -> Result<Sums, Failure> {
    let adding = Adding::begin(secret);
    for (place, Compared { table, .. }) in rows::ALL.iter().enumerate().filter(|(_, it)| it.summed) {
        let kinds: Vec<Kind> = table.columns.iter().map(|column| Kind::of(table.name, column)).collect();
        let query = format!("SELECT {} FROM {} NOT INDEXED", table.columns.join(", "), table.name);
        let mut statement = sql.prepare(&query)?;
        let mut rows = statement.query([])?;
        let mut batch = Batch::new();
        while let Some(row) = rows.next()? {
            for (column, kind) in kinds.iter().enumerate() {
                kind.spell(row.get_ref(column)?, key, &mut batch.text);
            }
            batch.end_row(place);
            if batch.text.len() >= BATCH {
                adding.add(std::mem::replace(&mut batch, Batch::new()));
            }
        }
        adding.add(batch);
    }
    adding.end().ok_or_else(|| Failure::damaged("all", "the thread that adds up the rows panicked"))
}

/// Rows in one piece of memory: the table of each, and where it ends.
struct Batch {
    text: Vec<u8>,
    rows: Vec<(usize, usize)>,
}

impl Batch {
    fn new() -> Self {
        Self { text: Vec::with_capacity(BATCH + 4096), rows: Vec::with_capacity(BATCH / 128) }
    }

    fn end_row(&mut self, table: usize) {
        self.rows.push((table, self.text.len()));
    }
}

/// The thread that makes digests and adds them up.
struct Adding {
    batches: SyncSender<Batch>,
    thread: JoinHandle<Sums>,
}

impl Adding {
    fn begin(secret: Secret) -> Self {
        let (batches, to_add) = sync_channel(WAITING);
        let thread = thread::spawn(move || add_up(Sums::new(secret, rows::ALL.len()), &to_add));
        Self { batches, thread }
    }

    /// It takes all until nothing more comes; what panicked is told at the end.
    fn add(&self, batch: Batch) {
        let _ = self.batches.send(batch);
    }

    /// `None`: it panicked.
    fn end(self) -> Option<Sums> {
        drop(self.batches);
        self.thread.join().ok()
    }
}

fn add_up(mut sums: Sums, batches: &Receiver<Batch>) -> Sums {
    while let Ok(batch) = batches.recv() {
        let mut from = 0;
        for (table, end) in batch.rows {
            sums.add(table, batch.text.get(from..end).unwrap_or_default());
            from = end;
        }
    }
    sums
}
