//! What a verification asks, answered on the reading connection.

use std::ops::ControlFlow;

use super::{Expecting, TemporaryShelf};
use crate::domain::ids::ApplicationId;
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::time::Timestamp;
use crate::journal::stream::{LastEntries, LeftOpen, Shelf};
use crate::journal::tree::Frontier;
use crate::journal::world::World;
use crate::store::audit::{Difference, Expected, Secret, Shares, Stored, Summing, Sums, Tables};
use crate::store::queries::ReadError;
use crate::store::sqlite::connection;
use crate::store::sqlite::fault::Failure;
use crate::store::sqlite::queries::Reader;

type Read<T> = Result<T, ReadError>;

impl Tables for Reader {
    fn beside(&mut self) -> Read<Option<Box<dyn Tables + Send>>> {
        let reader = connection::open_beside(self.connection());
        Ok(reader.map(|reader| Box::new(reader) as Box<dyn Tables + Send>))
    }

    fn each_entry(&mut self, from: u64, take: &mut dyn FnMut(Stored<'_>) -> ControlFlow<()>) -> Read<()> {
        Ok(super::each_entry(self.connection(), from, take)?)
    }

    fn last_entries(&mut self) -> Read<LastEntries> {
        Ok(super::last_entries(self.connection())?)
    }

    fn shelf(&mut self) -> Read<Box<dyn Shelf>> {
        Ok(Box::new(TemporaryShelf::make().map_err(Failure::from)?))
    }

    fn expecting<'a>(
        &mut self,
        secret: Secret,
        key: Option<&'a Pseudonyms>,
        shares: Shares,
    ) -> Read<Box<dyn Summing + 'a>> {
        let left_out = shares == Shares::MayBeLeftOut && super::has_no_shares(self.connection())?;
        Ok(Box::new(Expecting::new(secret, key, !left_out)))
    }

    fn found(&mut self, secret: Secret, key: Option<&Pseudonyms>) -> Read<Sums> {
        Ok(super::found(self.connection(), secret, key)?)
    }

    fn first_difference_around(&mut self, tree: &Frontier, latest: Option<Timestamp>) -> Read<Option<Difference>> {
        Ok(super::first_difference_around(self.connection(), tree, latest)?)
    }

    fn is_left_open(&mut self, open: &LeftOpen, key: Option<&Pseudonyms>) -> Read<bool> {
        Ok(super::is_left_open(self.connection(), open, key)?)
    }

    fn disorder(&mut self) -> Read<Option<String>> {
        Ok(super::disorder(self.connection())?)
    }

    fn holds_about(&mut self, world: &World, application: &ApplicationId, key: Option<&Pseudonyms>) -> Read<bool> {
        Ok(super::holds_about(self.connection(), world, application, key)?)
    }

    fn first_difference(&mut self, expected: Expected<'_>) -> Read<Option<Difference>> {
        Ok(super::first_difference(self.connection(), expected)?)
    }
}
