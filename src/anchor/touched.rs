//! What a loss of entries touches, as far as it can be known from the state that is left.

use crate::domain::client::Client;
use crate::domain::credential::CredentialState;
use crate::domain::ids::ApplicationId;
use crate::domain::issuance::IssuanceState;
use crate::domain::reference::Reference;
use crate::store::queries::{ClientFilter, Queries, ReadError};

/// Clients that are read at a time.
const AT_A_TIME: u32 = 500;

/// What may have gone on in the entries that are missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Touched {
    /// Deliveries that are on their way here: they may have been picked up, or taken back.
    pub deliveries: Vec<(ApplicationId, Reference)>,
    /// Orders that are queued here: they may have been delivered, or called off.
    pub orders: Vec<ApplicationId>,
    /// Credentials that verify here, by version: their end may be among what is missing.
    pub verifying: Vec<(ApplicationId, u32)>,
}

impl Touched {
    /// Gathers it from the tables.
    pub fn gather(queries: &mut dyn Queries) -> Result<Self, ReadError> {
        let mut touched = Self::default();
        let mut after = None;
        loop {
            let page = queries.clients(&ClientFilter::default(), after.as_ref(), AT_A_TIME)?;
            let Some(last) = page.last() else { return Ok(touched) };
            after = Some(last.client.application.clone());
            page.iter().for_each(|view| touched.add(&view.client));
        }
    }

    /// Every application whose deliveries and orders are to be given up.
    pub fn in_flight(&self) -> impl Iterator<Item = &ApplicationId> {
        self.deliveries.iter().map(|(application, _)| application).chain(&self.orders)
    }

    fn add(&mut self, client: &Client) {
        let application = || client.application.clone();
        if let Some(credential) = client.on_its_way() {
            self.deliveries.push((application(), credential.reference));
        } else if is_under_way(client.issuance.state) {
            self.orders.push(application());
        }
        let live = client.credentials.values().filter(|credential| match credential.state {
            CredentialState::Active { .. } | CredentialState::Retiring { .. } => true,
            CredentialState::Generated
            | CredentialState::Mailed
            | CredentialState::Abandoned { .. }
            | CredentialState::Ended { .. } => false,
        });
        self.verifying.extend(live.map(|credential| (application(), credential.version)));
    }
}

/// Whether an order would be gone on with by itself. One that waits for its agreement is not, until an event comes.
fn is_under_way(state: IssuanceState) -> bool {
    match state {
        IssuanceState::Queued { .. } | IssuanceState::Delivering { .. } | IssuanceState::AwaitingPickup { .. } => true,
        IssuanceState::WaitingForAgreement
        | IssuanceState::Completed { .. }
        | IssuanceState::Failed { .. }
        | IssuanceState::Cancelled { .. } => false,
    }
}
