//! The page for a person with a browser: what it shows of a delivery, in both languages. Names are escaped by the
//! templates; the one thing of value that a page can hold is part 2, and only when it was fetched without a script.

use std::collections::BTreeMap;

use askama::Template;
use http::StatusCode;

use super::super::Response;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::{Authorised, RequestId};
use super::asset::{SCRIPT_INTEGRITY, STYLE_INTEGRITY};
use super::policy::guarded;
use super::visitor;
use super::{gone, replaced_by};
use crate::domain::contact::{EmailAddress, Language};
use crate::domain::credential::CredentialState;
use crate::domain::digest::Fingerprint;
use crate::domain::ids::{ApiName, ClientId, Environment, Label};
use crate::domain::mistake::Mistake;
use crate::domain::name::Name;
use crate::domain::programs::{NODE, POWERSHELL, PYTHON};
use crate::domain::time::Timestamp;
use crate::issuance::desk::PickedUp;
use crate::store::contract::Fetch;
use crate::store::queries::DeliveryView;

/// Who issues, as pages show it.
#[derive(Debug, Clone)]
pub struct Masthead {
    /// Its name.
    pub agency: Name,
    /// Whom to ask.
    pub contact: EmailAddress,
    /// The language of those who ask for none of ours.
    pub language: Language,
    /// The addresses of the pickup doors, without a slash at the end.
    pub addresses: BTreeMap<Environment, String>,
}

/// What every page has around its content.
pub(super) struct Frame<'a> {
    masthead: &'a Masthead,
    language: Language,
    path: String,
    script_integrity: &'static str,
    style_integrity: &'static str,
    request: RequestId,
}

impl<'a> Frame<'a> {
    /// For one request, when its answer is to be a page.
    pub(super) fn of<C>(request: &Authorised<C>, masthead: &'a Masthead, path: String) -> Result<Self, Problem> {
        Ok(Self {
            masthead,
            language: visitor::language(request, masthead.language)?,
            path,
            script_integrity: &SCRIPT_INTEGRITY,
            style_integrity: &STYLE_INTEGRITY,
            request: request.id(),
        })
    }

    /// What awaits the caller's organisation.
    pub(super) fn list(&self, deliveries: &[Shown]) -> Result<Response, Problem> {
        match self.language {
            Language::Sv => page(StatusCode::OK, SvList { f: self, deliveries }),
            Language::En => page(StatusCode::OK, EnList { f: self, deliveries }),
        }
    }

    /// One delivery.
    pub(super) fn delivery(&self, d: &Shown) -> Result<Response, Problem> {
        match self.language {
            Language::Sv => page(StatusCode::OK, SvDelivery { f: self, d }),
            Language::En => page(StatusCode::OK, EnDelivery { f: self, d }),
        }
    }

    /// A refusal's code in words.
    fn why(&self, code: &str) -> String {
        why(code, self.language)
    }

    /// A refusal, with the status and the header fields that a program would get.
    pub(super) fn problem(&self, problem: Problem) -> Result<Response, Problem> {
        let (status, code, request) = (problem.status(), problem.code(), self.request.as_str());
        let fields = problem.into_response(&self.request).into_parts().0.headers;
        let mut response = match self.language {
            Language::Sv => page(status, SvProblem { f: self, code, request }),
            Language::En => page(status, EnProblem { f: self, code, request }),
        }?;
        for name in [http::header::RETRY_AFTER, http::header::CONNECTION] {
            if let Some(value) = fields.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(response)
    }
}

/// A delivery as its page shows it.
pub(super) struct Shown {
    reference: String,
    plain: String,
    software: Name,
    organisation: Option<Name>,
    environment: Environment,
    application: String,
    apis: String,
    agreement_until: Option<String>,
    window_ends: String,
    pinned: bool,
    standing: Standing,
    replaced_by: Option<Newer>,
    fetches: Vec<ShownFetch>,
    fetches_left: u32,
    keys: Vec<(Label, ClientId)>,
    parts: Option<Vec<Part>>,
    url: String,
}

/// Where a delivery stands.
enum Standing {
    /// Part 2 can be fetched.
    Open,
    /// The mail is on its way.
    NotYet,
    /// Confirmed.
    Active { since: String },
    /// Nothing more can be done with it; the code of the refusal says why.
    Over { code: &'static str },
}

struct Newer {
    reference: String,
    plain: String,
    at: String,
}

struct ShownFetch {
    time: String,
    address: String,
    same: bool,
    certificate: Fingerprint,
}

/// Part 2 of one pair.
struct Part {
    label: Label,
    share: zeroize::Zeroizing<String>,
}

impl Shown {
    /// As `own`, the caller's certificate, sees it.
    pub(super) fn of(
        view: DeliveryView,
        own: Fingerprint,
        fetches_max: u32,
        now: Timestamp,
        masthead: &Masthead,
    ) -> Self {
        let newer = replaced_by(&view).map(|newer| Newer {
            reference: newer.reference.to_string(),
            plain: newer.reference.plain().to_owned(),
            at: newer.time.to_the_minute(),
        });
        let DeliveryView { client, credential, fetches, organisation } = view;
        let standing = match credential.state {
            CredentialState::Mailed if now >= credential.window_ends => Standing::Over { code: "window-closed" },
            CredentialState::Mailed if !client.is_agreed(now) => Standing::Over { code: "agreement-ended" },
            CredentialState::Mailed => Standing::Open,
            CredentialState::Generated => Standing::NotYet,
            CredentialState::Active { since } => Standing::Active { since: since.to_the_minute() },
            CredentialState::Retiring { .. } | CredentialState::Abandoned { .. } | CredentialState::Ended { .. } => {
                Standing::Over { code: gone(credential.state).code() }
            }
        };
        let apis: Vec<_> = client.apis.iter().map(ApiName::as_str).collect();
        Self {
            reference: credential.reference.to_string(),
            plain: credential.reference.plain().to_owned(),
            apis: apis.join(", "),
            agreement_until: client.agreement_until().map(Timestamp::to_the_minute),
            window_ends: credential.window_ends.to_the_minute(),
            pinned: !client.pins.is_empty(),
            standing,
            replaced_by: newer,
            fetches: fetches.iter().map(|fetch| ShownFetch::of(fetch, own)).collect(),
            fetches_left: fetches_max.saturating_sub(credential.fetches),
            url: masthead.addresses.get(&client.environment).cloned().unwrap_or_default(),
            organisation: organisation.map(|organisation| organisation.name),
            software: client.software,
            environment: client.environment,
            application: client.application.to_string(),
            keys: client.keys.into_iter().collect(),
            parts: None,
        }
    }

    /// The same with part 2, for a browser without scripts.
    pub(super) fn with_parts(mut self, picked_up: &PickedUp, own: Fingerprint) -> Self {
        let part = |(label, _, token): &(Label, ClientId, crate::domain::share::ShareToken)| Part {
            label: label.clone(),
            share: token.release().to_owned().into(),
        };
        self.parts = Some(picked_up.shares.iter().map(part).collect());
        self.fetches = picked_up.earlier.iter().map(|fetch| ShownFetch::of(fetch, own)).collect();
        self.fetches_left = picked_up.fetches_left;
        self
    }

    fn is_open(&self) -> bool {
        match self.standing {
            Standing::Open => true,
            Standing::NotYet | Standing::Active { .. } | Standing::Over { .. } => false,
        }
    }
}

impl ShownFetch {
    fn of(fetch: &Fetch, own: Fingerprint) -> Self {
        Self {
            time: fetch.time.to_the_minute(),
            address: fetch.network.clone(),
            same: fetch.certificate == own,
            certificate: fetch.certificate,
        }
    }
}

macro_rules! template {
    ($name:ident, $path:literal, $($field:ident: $kind:ty),*) => {
        #[derive(Template)]
        #[template(path = $path, config = "src/http/pickup/templates/askama.toml")]
        struct $name<'a> {
            f: &'a Frame<'a>,
            $($field: $kind),*
        }
    };
}

template!(SvList, "list.sv.html", deliveries: &'a [Shown]);
template!(EnList, "list.en.html", deliveries: &'a [Shown]);
template!(SvDelivery, "delivery.sv.html", d: &'a Shown);
template!(EnDelivery, "delivery.en.html", d: &'a Shown);
template!(SvProblem, "problem.sv.html", code: &'static str, request: &'a str);
template!(EnProblem, "problem.en.html", code: &'static str, request: &'a str);

macro_rules! why {
    ($name:ident, $path:literal) => {
        #[derive(Template)]
        #[template(path = $path, config = "src/http/pickup/templates/askama.toml")]
        struct $name<'a> {
            code: &'a str,
        }
    };
}

why!(SvWhy, "why.sv.txt");
why!(EnWhy, "why.en.txt");

/// A refusal's code in words: on pages, in the answers to programs, and on the recipient's command line.
pub fn why(code: &str, language: Language) -> String {
    let words = match language {
        Language::Sv => SvWhy { code }.render(),
        Language::En => EnWhy { code }.render(),
    };
    // Plain words have nothing in them that could fail.
    words.unwrap_or_default()
}

/// What the script may be refused with; the last one stands for all others.
const CODES: [&str; 25] = [
    "not-found",
    "superseded",
    "revoked",
    "agreement-ended",
    "unclaimed",
    "window-closed",
    "bounced",
    "proofs-spent",
    "mail-failed",
    "state-lost",
    "share-lost",
    "fetches-spent",
    "confirmed",
    "wrong-proof",
    "too-many-requests",
    "unavailable",
    "lost",
    "over",
    "not-yet",
    "not-collected",
    "replaced",
    "compromised",
    "expired",
    "cross-site",
    "other",
];

fn page(status: StatusCode, page: impl Template) -> Result<Response, Problem> {
    // Of its final size, so that growing leaves no copies of a part behind.
    let mut text = String::with_capacity(64 * 1024);
    page.render_into(&mut text).map_err(|error| {
        tracing::error!(%error, "a page could not be written");
        Problem::unavailable(std::time::Duration::from_secs(5))
    })?;
    Ok(guarded(reply::with_body(status, "text/html; charset=utf-8", text)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::issuance::desk::DeskError;

    const SCRIPT: &str = include_str!("assets/page.js");

    /// What stands between `before` and the next quote, everywhere.
    fn quoted<'t>(text: &'t str, before: &str) -> BTreeSet<&'t str> {
        text.split(before).skip(1).filter_map(|after| after.split('"').next()).collect()
    }

    #[test]
    fn the_script_has_all_its_sentences_from_the_page_in_both_languages() {
        let [sv, en] = [include_str!("templates/words.sv.inc"), include_str!("templates/words.en.inc")]
            .map(|words| quoted(words, "<p data-word=\""));
        assert_eq!(sv, en);
        let of_mistakes = Mistake::ALL.iter().map(|mistake| mistake.as_str());
        let known: BTreeSet<_> = en.into_iter().filter(|name| !name.contains('{')).chain(of_mistakes).collect();
        let used = quoted(SCRIPT, "word(\"");
        assert_eq!(used.difference(&known).collect::<Vec<_>>(), [&""; 0]);
        // What the script finds wrong with a paste, it names by the word of that mistake.
        let wrong: BTreeSet<_> = quoted(SCRIPT, "wrong: [\"").into_iter().chain(quoted(SCRIPT, "why: \"")).collect();
        assert_eq!(wrong.difference(&known).collect::<Vec<_>>(), [&""; 0]);
        assert!(used.len() > 10 && wrong.len() > 2, "{used:?} {wrong:?}");
    }

    #[test]
    fn programs_are_told_the_same_as_people() {
        let lost = super::super::not_now(DeskError::<()>::ShareLost, |()| Problem::not_found());
        assert_eq!(lost.detail(), why("share-lost", Language::En));
        assert!(why("not-found", Language::En).starts_with(Problem::not_found().detail()));
        let gone = super::super::gone(CredentialState::Retiring { until: Timestamp::EPOCH });
        assert_eq!(gone.detail(), why("replaced", Language::En));
    }

    #[test]
    fn every_refusal_has_words_of_its_own_in_both_languages() {
        for language in Language::ALL {
            let other = why("other", *language);
            let spoken = CODES.iter().filter(|code| **code != "other");
            let silent: Vec<_> = spoken.filter(|code| why(code, *language) == other).collect();
            assert_eq!(silent, [&""; 0]);
        }
    }
}
