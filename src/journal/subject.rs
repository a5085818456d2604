//! What an entry is about.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::domain::agreement::AgreementKey;
use crate::domain::client::Client;
use crate::domain::credential::Credential;
use crate::domain::ids::{AgreementId, ApplicationId, CampaignId, IssuanceId};
use crate::domain::organisation::Party;
use crate::domain::reference::Reference;
use crate::domain::request::{Request, RequestId};

/// The ids that an entry is found by. Each kind of fact has one kind of subject; see [`super::fact::Fact::fits`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Members")]
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

/// The members of each in the order of the canonical form, so that nobody has to sort them.
impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Subject", 5)?;
        match self {
            Self::Service {} => members.serialize_field("of", &Of::Service)?,
            Self::Agreement { party, agreement } => {
                members.serialize_field("agreement", agreement)?;
                members.serialize_field("of", &Of::Agreement)?;
                members.serialize_field("party", party)?;
            }
            Self::Campaign { campaign } => {
                members.serialize_field("campaign", campaign)?;
                members.serialize_field("of", &Of::Campaign)?;
            }
            Self::Request { request, application } => {
                members.serialize_field("application", application)?;
                members.serialize_field("of", &Of::Request)?;
                members.serialize_field("request", request)?;
            }
            Self::Application { application } => {
                members.serialize_field("application", application)?;
                members.serialize_field("of", &Of::Application)?;
            }
            Self::Issuance { application, issuance } => {
                members.serialize_field("application", application)?;
                members.serialize_field("issuance", issuance)?;
                members.serialize_field("of", &Of::Issuance)?;
            }
            Self::Credential { application, issuance, version, reference } => {
                members.serialize_field("application", application)?;
                members.serialize_field("issuance", issuance)?;
                members.serialize_field("of", &Of::Credential)?;
                members.serialize_field("reference", reference)?;
                members.serialize_field("version", version)?;
            }
        }
        members.end()
    }
}

/// The members of any subject. serde would put them aside until it has come to `of`, which stands among the others.
#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    agreement: Option<AgreementId>,
    application: Option<ApplicationId>,
    campaign: Option<CampaignId>,
    issuance: Option<IssuanceId>,
    of: Option<Of>,
    party: Option<Party>,
    reference: Option<Reference>,
    request: Option<RequestId>,
    version: Option<u32>,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Of {
    Service,
    Agreement,
    Campaign,
    Request,
    Application,
    Issuance,
    Credential,
}

impl Members {
    /// Takes those that belong to the subject.
    fn subject(&mut self) -> Option<Subject> {
        Some(match self.of.take()? {
            Of::Service => Subject::Service {},
            Of::Agreement => Subject::Agreement { party: self.party.take()?, agreement: self.agreement.take()? },
            Of::Campaign => Subject::Campaign { campaign: self.campaign.take()? },
            Of::Request => Subject::Request { request: self.request.take()?, application: self.application.take() },
            Of::Application => Subject::Application { application: self.application.take()? },
            Of::Issuance => {
                Subject::Issuance { application: self.application.take()?, issuance: self.issuance.take()? }
            }
            Of::Credential => Subject::Credential {
                application: self.application.take()?,
                issuance: self.issuance.take()?,
                version: self.version.take()?,
                reference: self.reference.take()?,
            },
        })
    }
}

impl TryFrom<Members> for Subject {
    type Error = &'static str;

    fn try_from(mut members: Members) -> Result<Self, &'static str> {
        let subject = members.subject().ok_or("a subject lacks a member")?;
        if members == Members::default() { Ok(subject) } else { Err("a subject has a member that is not its own") }
    }
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
