//! What an entry is about.

use serde::{Deserialize, Serialize};

use crate::domain::client::Client;
use crate::domain::credential::Credential;
use crate::domain::ids::{ApplicationId, IssuanceId};
use crate::domain::reference::Reference;

/// The ids that an entry is found by. Each kind of fact has one kind of subject; see [`super::fact::Fact::fits`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "of", deny_unknown_fields)]
pub enum Subject {
    /// The journal or the service as a whole.
    Service {},
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
            Self::Service {} => None,
            Self::Application { application }
            | Self::Issuance { application, .. }
            | Self::Credential { application, .. } => Some(application),
        }
    }
}
