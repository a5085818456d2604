//! The anchors of the configuration, and what they say of a state that is at rest.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::refused::Refused;
use crate::anchor::file::FileAnchor;
use crate::anchor::hold::Quorum;
use crate::anchor::rounds::Rules;
use crate::anchor::standing::{Claim, Contradiction, Kind as Wrong, is_given_up, standing};
use crate::anchor::witness::{Said, Unusable, WitnessAnchor};
use crate::anchor::{Anchor, Kind};
use crate::config::Config;
use crate::domain::ids::PeerName;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::key::{VerifyingKey, WitnessKey};
use crate::journal::witnessing::Submission;
use crate::platform::files;
use crate::store::archive::Archive;
use crate::store::queries::ReadError;

/// What was learnt from the anchors.
#[derive(Debug, Default)]
pub struct Asked {
    /// Those that go with the journal, each with how many entries it vouches for.
    pub agree: Vec<(PeerName, u64)>,
    /// Those that contradict it.
    pub contradict: Vec<Contradiction>,
    /// Those that could not be asked: why, and what to do.
    pub silent: Vec<(PeerName, String, String)>,
}

/// The anchors that are configured.
pub(super) fn of(config: &Config, key: &VerifyingKey) -> Result<Vec<Anchor>, Refused> {
    let file = |file: &crate::config::FileAnchor| {
        let anchor = FileAnchor::new(file.path.clone(), key.clone());
        Anchor { name: file.name.clone(), kind: Kind::File(Arc::new(anchor)) }
    };
    let log = |log: &crate::config::LogAnchor| Anchor { name: log.name.clone(), kind: Kind::Log(log.to.clone()) };
    let mut all: Vec<Anchor> = config.anchors.files.iter().map(file).collect();
    all.extend(config.anchors.logs.iter().map(log));
    for anchor in &config.anchors.witnesses {
        all.push(Anchor { name: anchor.name.clone(), kind: Kind::Witness(Arc::new(witness(anchor, config)?)) });
    }
    Ok(all)
}

/// The public keys of the witnesses.
pub(super) fn witness_keys(config: &Config) -> Result<Vec<WitnessKey>, Refused> {
    config.anchors.witnesses.iter().map(witness_key).collect()
}

fn witness_key(anchor: &crate::config::WitnessAnchor) -> Result<WitnessKey, Refused> {
    anchor.key.parse().map_err(|error| {
        let hint = "it is what tallyd witness init printed; ask the witness's operator";
        Refused::files("use the key of witness", &anchor.name, error, hint)
    })
}

fn witness(anchor: &crate::config::WitnessAnchor, config: &Config) -> Result<WitnessAnchor, Refused> {
    let wrong = |cause: String| {
        Refused::files("reach witness", &anchor.name, cause, "correct anchors.witness in the configuration")
    };
    let url: http::Uri =
        anchor.url.as_str().parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let pem = super::serve::without_examples(files::read_public(&anchor.ca)?, config)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    if roots.is_empty() {
        return Err(wrong(format!("there is no authority in {}", anchor.ca)));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let prefix = url.path().trim_end_matches('/').to_owned();
    let key = witness_key(anchor)?;
    Ok(WitnessAnchor { host, port: url.port_u16().unwrap_or(443), prefix, tls: Arc::new(tls), key })
}

/// When checkpoints are sent to them.
pub(super) fn rules(config: &Config) -> Rules {
    Rules { every: config.anchors.every, entries: config.anchors.entries }
}

/// What stops issuing.
pub(super) fn quorum(config: &Config) -> Quorum {
    let anchors = &config.anchors;
    let (stop_after, stop_after_entries) = (anchors.stop_after, anchors.stop_after_entries);
    Quorum { witnesses: anchors.quorum, stop_after, stop_after_entries }
}

/// Whether witnesses are asked as well: it takes the network, and no runtime around the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Witnesses {
    /// They are.
    Asked,
    /// They are left out.
    LeftOut,
}

/// Asks those that can answer about a state that nobody changes meanwhile, and adds nothing.
pub(super) fn ask(
    anchors: &[Anchor],
    archive: &mut Archive,
    key: &VerifyingKey,
    witnesses: Witnesses,
) -> Result<Asked, ReadError> {
    let mut asked = Asked::default();
    for anchor in anchors {
        match &anchor.kind {
            Kind::File(file) => ask_file(anchor, file, archive, key, &mut asked)?,
            Kind::Witness(witness) if witnesses == Witnesses::Asked => {
                ask_witness(anchor, witness, archive, key, &mut asked)?;
            }
            Kind::Witness(_) | Kind::Log(_) => {}
        }
    }
    Ok(asked)
}

fn ask_file(
    anchor: &Anchor,
    file: &FileAnchor,
    archive: &mut Archive,
    key: &VerifyingKey,
    asked: &mut Asked,
) -> Result<(), ReadError> {
    let held = match file.newest() {
        Ok(Some(held)) => held,
        Ok(None) => {
            asked.agree.push((anchor.name.clone(), 0));
            return Ok(());
        }
        Err(trouble) => {
            asked.silent.push((anchor.name.clone(), trouble.to_string(), trouble.hint()));
            return Ok(());
        }
    };
    let contradiction = archive.ask(|queries| {
        let head = head(queries.checkpoint()?, key)?;
        Ok(Contradiction::of(anchor, head.size, standing(queries, &head, &anchor.name, &held)?))
    })?;
    match contradiction {
        Some(contradiction) => asked.contradict.push(contradiction),
        None => asked.agree.push((anchor.name.clone(), held.size)),
    }
    Ok(())
}

/// What is submitted is what it has if it has come this far, so that asking moves nothing.
fn ask_witness(
    anchor: &Anchor,
    witness: &WitnessAnchor,
    archive: &mut Archive,
    key: &VerifyingKey,
    asked: &mut Asked,
) -> Result<(), ReadError> {
    let note = archive.ask(|queries| queries.checkpoint())?;
    let head = head(note.clone(), key)?;
    let submission = Submission { old: head.size, proof: Vec::new(), note };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let said = match runtime {
        Ok(runtime) => runtime.block_on(witness.submit(&submission)),
        Err(cause) => Err(Unusable { cause: cause.to_string(), hint: "see the limits of the machine".to_owned() }),
    };
    let (size, kind) = match said {
        Ok(Said::Size(size)) if size < head.size => {
            asked.agree.push((anchor.name.clone(), size));
            return Ok(());
        }
        Ok(Said::Size(size)) if size > head.size => (size, Wrong::Behind),
        Ok(Said::Size(size)) => (size, Wrong::Forked),
        Ok(Said::Cosigned(_) | Said::ProofFails) => {
            asked.agree.push((anchor.name.clone(), head.size));
            return Ok(());
        }
        Err(Unusable { cause, hint }) => {
            asked.silent.push((anchor.name.clone(), cause, hint));
            return Ok(());
        }
    };
    let claim = Claim { size, root: None };
    if archive.ask(|queries| is_given_up(queries, &anchor.name, &claim))? {
        let cause = format!("it has cosigned {size} entries that were given up here, and cosigns nothing else");
        let hint = "tell its operator of the recovery; he has it forget this journal: tallyd witness forget".to_owned();
        asked.silent.push((anchor.name.clone(), cause, hint));
    } else {
        asked.contradict.push(Contradiction { anchor: anchor.name.clone(), had: head.size, claim, kind });
    }
    Ok(())
}

/// The newest checkpoint of the tables, which the journal's key must have signed.
pub(super) fn head(note: String, key: &VerifyingKey) -> Result<Checkpoint, ReadError> {
    let damaged = |error| ReadError::Damaged { table: "head", what: format!("checkpoint: {error}") };
    Checkpoint::verify(&note, key).map_err(damaged)
}
