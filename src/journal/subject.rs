//! What an entry is about.

use serde::{Deserialize, Serialize};

use crate::domain::agreement::AgreementKey;
use crate::domain::client::Client;
use crate::domain::credential::Credential;
use crate::domain::ids::{AgreementId, ApplicationId, CampaignId, IssuanceId};
use crate::domain::organisation::Party;
use crate::domain::reference::Reference;
use crate::domain::request::{Request, RequestId};

/// The ids that an entry is found by. Each kind of fact has one kind of subject; see [`super::fact::Fact::fits`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "of", deny_unknown_fields)]
pub enum Subject {
    /// The journal or the service as a whole.
    Service {},
    /// An agreement, whoever rests on it.
    Agreement {
        /// With whom.
        party: Party,
        /// What the agency calls it.
        agreement: AgreementId,
    },
    /// A re-issue of many clients.
    Campaign {
        /// Its id.
        campaign: CampaignId,
    },
    /// A request for a second person's word.
    Request {
        /// The request.
        request: RequestId,
        /// The case of the client that it is about; none when it is about several.
        application: Option<ApplicationId>,
    },
    /// An application and its client.
    Application {
        /// The case.
        application: ApplicationId,
    },
    /// An order.
    Issuance {
        /// The case.
        application: ApplicationId,
        /// The order.
        issuance: IssuanceId,
    },
    /// One credential version.
    Credential {
        /// The case.
        application: ApplicationId,
        /// The order that the version was made for.
        issuance: IssuanceId,
        /// The version.
        version: u32,
        /// Its name to people.
        reference: Reference,
    },
}

impl Subject {
    /// An agreement.
    pub fn of_agreement(key: &AgreementKey) -> Self {
        Self::Agreement { party: key.party.clone(), agreement: key.id.clone() }
    }

    /// A request.
    pub fn of_request(request: &Request) -> Self {
        Self::Request { request: request.id, application: request.content.application.clone() }
    }

    /// The client itself.
    pub fn of_client(client: &Client) -> Self {
        Self::Application { application: client.application.clone() }
    }

    /// The client's latest order.
    pub fn of_order(client: &Client) -> Self {
        Self::Issuance { application: client.application.clone(), issuance: client.issuance.id }
    }

    /// One of the client's credentials.
    pub fn of_credential(client: &Client, credential: &Credential) -> Self {
        Self::Credential {
            application: client.application.clone(),
            issuance: credential.issuance,
            version: credential.version,
            reference: credential.reference,
        }
    }

    /// The application, where there is one.
    pub fn application(&self) -> Option<&ApplicationId> {
        match self {
            Self::Service {} | Self::Agreement { .. } | Self::Campaign { .. } => None,
            Self::Request { application, .. } => application.as_ref(),
            Self::Application { application }
            | Self::Issuance { application, .. }
            | Self::Credential { application, .. } => Some(application),
        }
    }

    /// The agreement, where it is about one.
    pub fn agreement(&self) -> Option<AgreementKey> {
        match self {
            Self::Agreement { party, agreement } => Some(AgreementKey { party: party.clone(), id: agreement.clone() }),
            Self::Service {}
            | Self::Campaign { .. }
            | Self::Request { .. }
            | Self::Application { .. }
            | Self::Issuance { .. }
            | Self::Credential { .. } => None,
        }
    }

    /// The request, where it is about one.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::Request { request, .. } => Some(*request),
            Self::Service {}
            | Self::Agreement { .. }
            | Self::Campaign { .. }
            | Self::Application { .. }
            | Self::Issuance { .. }
            | Self::Credential { .. } => None,
        }
    }
}
