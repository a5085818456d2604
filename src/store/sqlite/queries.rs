//! The reading connection and what can be asked of it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Params, Row};

use super::campaigns;
use super::fault::{Failure, sorted};
use super::load::{self, Extent, all, first, readable};
use super::request;
use super::row::{self, Columns, credential_columns, issuance_columns, party_text};
use crate::domain::campaign::{Campaign, Filter};
use crate::domain::client::Client;
use crate::domain::contact::{Contact, ContactReference, EmailAddress};
use crate::domain::contacts::{Contacts, Standing};
use crate::domain::digest::Verifier;
use crate::domain::ids::{
    ApplicationId, CampaignId, ClientId, ContactId, Environment, IssuanceId, MessageId, NoticeId,
};
use crate::domain::organisation::Party;
use crate::domain::reference::Reference;
use crate::domain::request::{Request, RequestId};
use crate::domain::time::Timestamp;
use crate::store::backend::{Fault, Reading};
use crate::store::queries::{
    Behind, ClientFilter, ClientView, Correspondence, DeliveryView, HeldKey, IssuanceView, Mailed, Queries, ReadError,
    RequestFilter,
};

/// The connection that reads.
pub(in crate::store) struct Reader {
    sql: Connection,
}

impl Reader {
    pub(in crate::store) fn new(sql: Connection) -> Self {
        Self { sql }
    }

    /// For what is written beside it: the verification, and the suite, which tampers.
    pub(in crate::store) fn connection(&self) -> &Connection {
        &self.sql
    }
}

impl Reading for Reader {
    fn with(&mut self, body: &mut dyn FnMut(&mut dyn Queries)) -> Result<(), Fault> {
        // One transaction, so that all that is asked in `body` is of one instant.
        let begun = self.run("BEGIN");
        body(self);
        // After some errors SQLite has ended it already.
        let ended = if self.sql.is_autocommit() { Ok(()) } else { self.run("ROLLBACK") };
        begun.and(ended).map_err(|error| sorted(&error))
    }
}

/// Answers by an index alone, however many there are.
const MAIL_BY_MESSAGE_ID: &str = "SELECT application, version FROM credential WHERE message_id = ?1";

type Read<T> = Result<T, ReadError>;

impl Queries for Reader {
    fn issuance(&mut self, id: IssuanceId) -> Read<Option<IssuanceView>> {
        let query = concat!(
            "SELECT c.application, c.environment, ",
            issuance_columns!(),
            " FROM issuance i JOIN client c ON c.application = i.application WHERE i.id = ?1"
        );
        Ok(self.issuance_views(query, [id.to_string()])?.pop())
    }

    fn issuances_of(&mut self, application: &ApplicationId) -> Read<Vec<IssuanceView>> {
        let query = concat!(
            "SELECT c.application, c.environment, ",
            issuance_columns!(),
            " FROM issuance i JOIN client c ON c.application = i.application WHERE i.application = ?1 ORDER BY i.number"
        );
        let Some(application) = load::application_of_case(&self.sql, application)? else {
            return Ok(Vec::new());
        };
        Ok(self.issuance_views(query, [application.as_str()])?)
    }

    fn client(&mut self, application: &ApplicationId) -> Read<Option<ClientView>> {
        match load::application_of_case(&self.sql, application)? {
            Some(application) => Ok(self.client_view(&application)?),
            None => Ok(None),
        }
    }

    fn application_of(&mut self, client_id: &ClientId) -> Read<Option<ApplicationId>> {
        Ok(load::application_of_client_id(&self.sql, client_id)?)
    }

    fn mailed_as(&mut self, message_id: MessageId) -> Read<Option<Mailed>> {
        let id = message_id.to_string();
        let part_one = first(&self.sql, MAIL_BY_MESSAGE_ID, [&id], |row| {
            let mut columns = Columns::of(row, "credential");
            Ok(Mailed::PartOne { application: columns.parsed("application")?, version: columns.plain("version")? })
        })?;
        if part_one.is_some() {
            return Ok(part_one);
        }
        let query = "SELECT application, what FROM notice WHERE id = ?1";
        Ok(first(&self.sql, query, [&id], |row| {
            let mut columns = Columns::of(row, "notice");
            Ok(Mailed::Notice { application: columns.parsed("application")?, what: columns.parsed("what")? })
        })?)
    }

    fn holders_of(&mut self, verifiers: &BTreeSet<Verifier>) -> Read<BTreeMap<Verifier, HeldKey>> {
        if verifiers.is_empty() {
            return Ok(BTreeMap::new());
        }
        let query = "SELECT verifier, application, version, label FROM credential_key";
        let mut found = BTreeMap::new();
        let () = all(&self.sql, query, [], |row| {
            let mut columns = Columns::of(row, "credential_key");
            let verifier = columns.digest("verifier")?;
            if verifiers.contains(&verifier) {
                let (application, version) = (columns.parsed("application")?, columns.plain("version")?);
                found.insert(verifier, HeldKey { application, version, label: columns.parsed("label")? });
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn clients(&mut self, filter: &ClientFilter, after: Option<&ApplicationId>, limit: u32) -> Read<Vec<ClientView>> {
        let query = "SELECT c.application FROM client c JOIN issuance i ON i.id = c.issuance \
                     WHERE c.application > ?1 AND (?2 IS NULL OR c.environment = ?2) \
                     AND (?3 IS NULL OR c.party = ?3) AND (NOT ?4 OR i.state NOT IN ('completed', 'cancelled')) \
                     ORDER BY c.application LIMIT ?5";
        let values = (
            after.map_or("", ApplicationId::as_str),
            filter.environment.map(Environment::as_str),
            filter.party.as_ref().map(party_text),
            filter.unfinished,
            limit,
        );
        let applications: Vec<ApplicationId> = self.applications(query, values)?;
        let views = applications.iter().map(|application| self.client_view(application));
        Ok(views.filter_map(Result::transpose).collect::<Result<_, _>>()?)
    }

    fn deliveries(&mut self, party: &Party, environment: Environment) -> Read<Vec<DeliveryView>> {
        let query = "SELECT v.reference FROM client c JOIN credential v ON v.application = c.application \
                     WHERE c.party = ?1 AND c.environment = ?2 AND v.state = 'mailed' ORDER BY v.generated, v.reference";
        let references: Vec<Reference> = all(&self.sql, query, (party_text(party), environment.as_str()), |row| {
            Columns::of(row, "credential").parsed("reference")
        })?;
        let views = references.into_iter().map(|reference| self.delivery_view(reference));
        Ok(views.filter_map(Result::transpose).collect::<Result<_, _>>()?)
    }

    fn delivery(&mut self, reference: Reference) -> Read<Option<DeliveryView>> {
        Ok(self.delivery_view(reference)?)
    }

    fn contacts(&mut self, application: &ApplicationId) -> Read<Vec<Contact>> {
        let query = "SELECT contacts FROM client WHERE application = ?1";
        let contacts: Option<Contacts> =
            first(&self.sql, query, [application.as_str()], |row| Columns::of(row, "client").json("contacts"))?;
        Ok(contacts.map_or(Ok(Vec::new()), |contacts| self.with_addresses(application, &contacts))?)
    }

    fn correspondence(&mut self, application: &ApplicationId) -> Read<Option<Correspondence>> {
        let Some(client) = load::client(&self.sql, application, Extent::Live)? else {
            return Ok(None);
        };
        let contacts = self.with_addresses(application, &client.contacts)?;
        let organisation = load::organisation(&self.sql, &client.party)?;
        Ok(Some(Correspondence { client, contacts, organisation }))
    }

    fn asked_address(&mut self, request: RequestId) -> Read<Option<EmailAddress>> {
        Ok(request::address(&self.sql, request)?)
    }

    fn requests_bringing(&mut self, address: &EmailAddress) -> Read<Vec<RequestId>> {
        Ok(request::bringing(&self.sql, address)?)
    }

    fn contacts_at(&mut self, address: &EmailAddress) -> Read<Vec<(ApplicationId, ContactId)>> {
        // Every row is looked at: an index would be one more place that an address stands in.
        let query = "SELECT application, id FROM contact WHERE lower(email) = ?1 ORDER BY application, id";
        Ok(all(&self.sql, query, [address.as_str().to_ascii_lowercase()], |row| {
            let mut columns = Columns::of(row, "contact");
            Ok((columns.parsed("application")?, columns.parsed("id")?))
        })?)
    }

    fn live_client(&mut self, application: &ApplicationId) -> Read<Option<Client>> {
        Ok(load::client(&self.sql, application, Extent::Live)?)
    }

    fn campaign(&mut self, id: CampaignId) -> Read<Option<Campaign>> {
        Ok(campaigns::load(&self.sql, id)?)
    }

    fn campaigns(&mut self, open: bool, after: Option<CampaignId>, limit: u32) -> Read<Vec<Campaign>> {
        Ok(campaigns::list(&self.sql, open, after, limit)?)
    }

    fn orders_of_campaign(&mut self, id: CampaignId) -> Read<BTreeMap<(String, Option<String>), u64>> {
        Ok(campaigns::orders(&self.sql, id)?)
    }

    fn candidates(
        &mut self,
        filter: &Filter,
        beside: Option<CampaignId>,
        after: Option<&ApplicationId>,
        limit: u32,
    ) -> Read<Vec<ApplicationId>> {
        Ok(campaigns::candidates(&self.sql, filter, beside, after, limit)?)
    }

    fn request(&mut self, id: RequestId) -> Read<Option<Request>> {
        Ok(request::load(&self.sql, id)?)
    }

    fn requests(&mut self, filter: &RequestFilter, limit: u32) -> Read<Vec<Request>> {
        Ok(request::list(&self.sql, filter, limit)?)
    }

    fn due_requests(&mut self, now: Timestamp, limit: u32) -> Read<Vec<RequestId>> {
        Ok(request::expired(&self.sql, now, limit)?)
    }

    fn due_reports(&mut self, now: Timestamp, limit: u32) -> Read<Vec<RequestId>> {
        Ok(request::to_report(&self.sql, now, limit)?)
    }

    fn due_issuances(&mut self, now: Timestamp, limit: u32) -> Read<Vec<(ApplicationId, IssuanceId)>> {
        Ok(self.due(now, false, limit)?)
    }

    fn due_in_campaigns(&mut self, now: Timestamp, limit: u32) -> Read<Vec<(ApplicationId, IssuanceId)>> {
        Ok(self.due(now, true, limit)?)
    }

    fn due_notices(&mut self, now: Timestamp, limit: u32) -> Read<Vec<(ApplicationId, NoticeId)>> {
        let query = "SELECT application, id FROM notice \
                     WHERE not_before IS NOT NULL AND not_before <= ?1 ORDER BY not_before LIMIT ?2";
        Ok(readable(&self.sql, query, (now.millis(), limit), |row| {
            let mut columns = Columns::of(row, "notice");
            Ok((columns.parsed("application")?, columns.parsed("id")?))
        })?)
    }

    fn due_deadlines(&mut self, now: Timestamp, limit: u32) -> Read<Vec<ApplicationId>> {
        let query = "SELECT application FROM client \
                     WHERE next_deadline IS NOT NULL AND next_deadline <= ?1 ORDER BY next_deadline LIMIT ?2";
        Ok(readable(&self.sql, query, (now.millis(), limit), |row| Columns::of(row, "client").parsed("application"))?)
    }

    fn behind_their_agreement(&mut self, after: u64, limit: u32) -> Read<Behind> {
        // From the agreements that changed to those who rest on them, by two indexes: CROSS JOIN keeps that order.
        let query = "SELECT c.application FROM agreement a CROSS JOIN client c \
                     ON c.party = a.party AND c.agreement = a.id AND c.needs_agreement = 1 \
                     WHERE a.changed > ?1 AND ifnull(c.agreed_as_of, -1) < a.changed ORDER BY a.changed LIMIT ?2";
        let clients = self.applications(query, (after, limit))?;
        let query = "SELECT max(changed) FROM agreement";
        let newest = first(&self.sql, query, [], |row| Columns::of(row, "agreement").plain::<Option<u64>>("changed"))?;
        Ok(Behind { clients, newest: newest.flatten() })
    }

    fn undelivered(&mut self, limit: u32) -> Read<Vec<ApplicationId>> {
        // In the words of the partial index that finds them.
        let query = "SELECT application FROM credential \
                     WHERE state IN ('generated', 'mailed') AND state = 'generated' LIMIT ?1";
        Ok(self.applications(query, [limit])?)
    }

    fn next_due(&mut self) -> Read<Option<Timestamp>> {
        let query = "SELECT min(due) FROM ( \
                     SELECT min(next_attempt) AS due FROM client WHERE in_campaign = 0 AND next_attempt IS NOT NULL UNION ALL \
                     SELECT min(next_attempt) FROM client WHERE in_campaign = 1 AND next_attempt IS NOT NULL UNION ALL \
                     SELECT min(next_deadline) FROM client WHERE next_deadline IS NOT NULL UNION ALL \
                     SELECT min(not_before) FROM notice WHERE not_before IS NOT NULL UNION ALL \
                     SELECT min(expires) FROM request WHERE expires IS NOT NULL UNION ALL \
                     SELECT min(next_report) FROM request WHERE next_report IS NOT NULL)";
        let due = first(&self.sql, query, [], |row| Columns::of(row, "client").instant_or_none("due"))?;
        Ok(due.flatten())
    }

    fn epochs_in_use(&mut self) -> Read<BTreeMap<u32, Timestamp>> {
        let query = "SELECT s.epoch, max(v.window_ends) FROM share s \
                     JOIN credential v ON v.application = s.application AND v.version = s.version GROUP BY s.epoch";
        Ok(all(&self.sql, query, [], |row| {
            let mut columns = Columns::of(row, "share");
            Ok((columns.plain("epoch")?, columns.instant("window_ends")?))
        })?)
    }

    fn entries(&mut self, from: u64, limit: u32) -> Read<Vec<Vec<u8>>> {
        let query = "SELECT bytes FROM entry WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
        Ok(all(&self.sql, query, (from, limit), |row| Columns::of(row, "entry").plain("bytes"))?)
    }

    fn entries_of(&mut self, application: &ApplicationId, from: u64, limit: u32) -> Read<Vec<Vec<u8>>> {
        let query = "SELECT bytes FROM entry WHERE application = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3";
        Ok(all(&self.sql, query, (application.as_str(), from, limit), |row| Columns::of(row, "entry").plain("bytes"))?)
    }

    fn checkpoint(&mut self) -> Read<String> {
        let query = "SELECT checkpoint FROM head WHERE id = 1";
        let checkpoint = first(&self.sql, query, [], |row| Columns::of(row, "head").plain("checkpoint"))?;
        Ok(checkpoint.ok_or_else(|| Failure::damaged("head", "no row"))?)
    }
}

impl Reader {
    fn run(&self, statement: &str) -> Result<(), rusqlite::Error> {
        self.sql.prepare_cached(statement)?.execute([]).map(drop)
    }

    /// Those whose addresses were not erased.
    fn with_addresses(&self, application: &ApplicationId, contacts: &Contacts) -> Result<Vec<Contact>, Failure> {
        let query = "SELECT id, email, openpgp_key FROM contact WHERE application = ?1";
        let mut addresses: BTreeMap<ContactId, _> = all(&self.sql, query, [application.as_str()], |row| {
            let mut columns = Columns::of(row, "contact");
            let id = columns.parsed("id")?;
            Ok((id, (columns.parsed("email")?, columns.parsed_or_none("openpgp_key")?)))
        })?;
        let contact = |(reference, _): (&ContactReference, Standing)| {
            let (email, openpgp_key) = addresses.remove(&reference.id)?;
            Some(Contact { reference: reference.clone(), email, openpgp_key })
        };
        Ok(contacts.all().filter_map(contact).collect())
    }

    fn issuance_views(&self, query: &str, values: impl Params) -> Result<Vec<IssuanceView>, Failure> {
        let mut views: Vec<IssuanceView> = all(&self.sql, query, values, |row: &Row<'_>| {
            let mut columns = Columns::of(row, "issuance");
            Ok(IssuanceView {
                application: columns.parsed("application")?,
                environment: columns.parsed("environment")?,
                issuance: row::issuance(&mut columns)?,
                credentials: Vec::new(),
            })
        })?;
        let query = concat!(
            "SELECT ",
            credential_columns!(),
            " FROM credential WHERE application = ?1 AND issuance = ?2 ORDER BY version"
        );
        for view in &mut views {
            let of = (view.application.as_str(), view.issuance.id.to_string());
            view.credentials = load::credentials(&self.sql, query, &view.application, of)?;
        }
        Ok(views)
    }

    fn client_view(&self, application: &ApplicationId) -> Result<Option<ClientView>, Failure> {
        let Some(client) = load::client(&self.sql, application, Extent::Whole)? else {
            return Ok(None);
        };
        let organisation = load::organisation(&self.sql, &client.party)?;
        let requests = request::waiting_about(&self.sql, &client.application)?;
        Ok(Some(ClientView { client, organisation, requests }))
    }

    fn delivery_view(&self, reference: Reference) -> Result<Option<DeliveryView>, Failure> {
        let Some((application, version)) = load::version_named(&self.sql, reference)? else {
            return Ok(None);
        };
        let client = load::client(&self.sql, &application, Extent::Live)?;
        let client = client.ok_or_else(|| Failure::damaged("credential", "application"))?;
        let credential = load::credential(&self.sql, &application, version)?;
        let credential = credential.ok_or_else(|| Failure::damaged("credential", "version"))?;
        let organisation = load::organisation(&self.sql, &client.party)?;
        Ok(Some(DeliveryView {
            fetches: load::fetches(&self.sql, &application, version)?,
            client,
            credential,
            organisation,
        }))
    }

    fn due(&self, now: Timestamp, in_campaign: bool, limit: u32) -> Result<Vec<(ApplicationId, IssuanceId)>, Failure> {
        let query = "SELECT application, issuance FROM client WHERE in_campaign = ?1 \
                     AND next_attempt IS NOT NULL AND next_attempt <= ?2 ORDER BY next_attempt LIMIT ?3";
        readable(&self.sql, query, (in_campaign, now.millis(), limit), |row| {
            let mut columns = Columns::of(row, "client");
            Ok((columns.parsed("application")?, columns.parsed("issuance")?))
        })
    }

    fn applications(&self, query: &str, values: impl Params) -> Result<Vec<ApplicationId>, Failure> {
        all(&self.sql, query, values, |row| Columns::of(row, "client").parsed("application"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_mail_is_looked_up_by_an_index() {
        let sql = Connection::open_in_memory().unwrap();
        sql.execute_batch(include_str!("migrations/0001_tables.sql")).unwrap();
        let plan: String =
            sql.query_row(&format!("EXPLAIN QUERY PLAN {MAIL_BY_MESSAGE_ID}"), ["x"], |row| row.get("detail")).unwrap();
        assert!(plan.starts_with("SEARCH") && plan.contains("credential_by_message_id"), "{plan}");
    }
}
