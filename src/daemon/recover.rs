//! Going on from a state that is older than what the fence or an anchor knows of, because the newer one is gone for good.
//!
//! It is done while no daemon runs, by somebody who can read the keys. The journal must verify as far as it goes. What was in
//! flight is given up first and the recovery is put on record last, so that a crash in between leaves a state that is still
//! refused. Nothing goes out by itself afterwards.

use std::sync::Arc;

use super::anchors::{self, Asked};
use super::keys::Keys;
use super::refused::{Kind, Refused};
use crate::anchor::hold::forget_witnessed;
use crate::anchor::standing::Contradiction;
use crate::anchor::touched::Touched;
use crate::config::Config;
use crate::domain::ids::{EventPart, PeerName};
use crate::domain::name::Name;
use crate::issuance::lost::GiveUpLost;
use crate::issuance::service::Note;
use crate::journal::actor::Actor;
use crate::journal::fact::{Epoch, Fact, GivenUp, JournalRecovered};
use crate::journal::verify::Verifier;
use crate::journal::world::{EpochState, World};
use crate::platform::clock::{Clock, SystemClock, start_check};
use crate::platform::privileges::become_owner_of;
use crate::platform::random::SystemRandomness;
use crate::platform::state_directory::StateDirectory;
use crate::store::archive::Archive;
use crate::store::audit::Shares;
use crate::store::contract::{Command, SubmitError};
use crate::store::fence::{Fence, FenceError};
use crate::store::handle::Store;
use crate::store::mark::Mark;
use crate::store::queries::ReadError;
use crate::store::seal::Sealer;
use crate::store::verification::{Reached, whole};

/// What is known of the loss.
#[derive(Debug)]
pub struct Loss {
    /// Entries that are here.
    pub had: u64,
    /// What the fence says, where it contradicts the journal.
    pub fence: Option<FenceError>,
    /// What the anchors say.
    pub asked: Asked,
    /// What it touches.
    pub touched: Touched,
}

/// Who decides it, and why.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Who.
    pub actor: Actor,
    /// Why.
    pub reason: Name,
    /// The agency's case, where one is given.
    pub case: Option<EventPart>,
}

/// State at rest: locked, verified, and held against fence and anchors.
pub struct AtRest {
    lock: StateDirectory,
    keys: Keys,
    world: World,
    loss: Loss,
}

impl AtRest {
    /// Opens it. `reached` is told now and then how many entries of how many were verified.
    ///
    /// # Errors
    /// Also when there is nothing to recover from.
    pub fn open(config: &Config, reached: &mut dyn FnMut(u64, u64)) -> Result<Self, Refused> {
        start_check(&SystemClock)?;
        let keys = Keys::load(config)?;
        let directory = &config.state.directory;
        become_owner_of(directory).map_err(|cause| {
            let hint = "run it as root, or as the service's user";
            Refused::failed("act as the owner of", directory.display(), cause, hint)
        })?;
        let lock = StateDirectory::open(directory)?;
        let unreadable = |error: ReadError| {
            let hint = "keep the files for examination and put another backup back";
            Refused::files("read the database in", directory.display(), error, hint)
        };
        let mut archive = Archive::open(directory).map_err(crate::store::handle::StartError::from)?;
        let key = keys.journal.verifying_key();
        let verified = archive.ask(|queries| {
            // Only to say how far it is.
            let size = anchors::head(queries.checkpoint()?, &key).map_or(0, |head| head.size);
            let reached = &mut |at| match at {
                Reached::Entries(read) => reached(read, size),
                Reached::Tables | Reached::Searching => reached(size, size),
            };
            whole(queries, Verifier::new(key.clone()), Some(&keys.pseudonyms), Shares::MayBeLeftOut, reached)
        });
        let verified = verified.map_err(unreadable)?.map_err(|found| Refused {
            kind: Kind::Quarantine,
            ..Refused::files(
                "go on from the journal in",
                directory.display(),
                found,
                "only a journal that verifies as far as it goes can be gone on with: put another backup back",
            )
        })?;
        let had = verified.checkpoint.size;
        let fence = Fence::look(directory).and_then(|fenced| fenced.admits(had)).err();
        if let Some(unusable) = fence.as_ref().filter(|error| !error.is_quarantine()) {
            return Err(Refused::files("read the fence in", directory.display(), unusable, unusable.hint()));
        }
        let asked = anchors::ask(&anchors::of(config, &key)?, &mut archive, &key, anchors::Witnesses::Asked);
        let asked = asked.map_err(unreadable)?;
        let touched = archive.ask(Touched::gather).map_err(unreadable)?;
        let loss = Loss { had, fence, asked, touched };
        if loss.fence.is_none() && loss.asked.contradict.is_empty() {
            let cause = "neither the fence nor an anchor that could be asked knows of more than is here";
            return Err(Refused::failed(
                "recover",
                directory.display(),
                cause,
                "start the service: systemctl start tallyd",
            ));
        }
        Ok(Self { lock, keys, world: verified.fold, loss })
    }

    /// What would be given up.
    pub fn loss(&self) -> &Loss {
        &self.loss
    }

    /// Gives it up, on record. When this returns, a daemon can be started.
    pub fn go_on(self, decision: Decision) -> Result<Loss, Refused> {
        let Self { lock, keys, world, loss } = self;
        let no_random =
            |error| Refused::failed("draw random bytes", "", error, "see that the kernel's generator works");
        let random = SystemRandomness::probe().map_err(no_random)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open_past_the_fence(lock.path(), keys.journal, Arc::clone(&clock), Arc::new(|_| {}))?;
        let done = write(&store, lock.path(), &world, &loss, decision, clock.as_ref(), &random);
        store.stop();
        done?;
        Fence::take_its_place(lock.path()).map_err(crate::store::handle::StartError::from)?;
        // What was cosigned before may be among what is given up.
        forget_witnessed(lock.path()).map_err(|cause| {
            Refused::failed(
                "remove the cosigned checkpoint in",
                lock.path().display(),
                cause,
                "remove the file witnessed",
            )
        })?;
        // So may what was verified before.
        Mark::forget(lock.path()).map_err(|cause| {
            let hint = "remove the file verified";
            Refused::failed("remove the mark of the last verification in", lock.path().display(), cause, hint)
        })?;
        Ok(loss)
    }
}

fn write(
    store: &Store,
    state: &std::path::Path,
    world: &World,
    loss: &Loss,
    decision: Decision,
    clock: &dyn Clock,
    random: &SystemRandomness,
) -> Result<(), Refused> {
    for application in loss.touched.in_flight() {
        submit(store, GiveUpLost { application: application.clone() })?;
    }
    let note = |fact| submit(store, Note { actor: decision.actor.clone(), fact });
    let open = world.epochs().iter().filter(|(_, state)| **state == EpochState::Open);
    for (epoch, _) in open {
        note(Fact::EpochDestroyed(Epoch { epoch: *epoch }))?;
    }
    // No number that the lost entries gave out is given out again.
    let known = world.epochs().last_key_value().map_or(0, |(newest, _)| *newest);
    let epoch = known.max(Sealer::highest(state)?.unwrap_or(0)).saturating_add(1);
    note(Fact::EpochOpened(Epoch { epoch }))?;
    Sealer::begin_again(state, epoch, clock.now(), random)?;
    let lost = given_up(loss);
    note(Fact::JournalRecovered(JournalRecovered {
        reason: decision.reason.clone(),
        case: decision.case,
        had: loss.had,
        lost,
    }))
}

fn given_up(loss: &Loss) -> Vec<GivenUp> {
    let by_fence = match (&loss.fence, "fence".parse::<PeerName>()) {
        (Some(FenceError::RolledBack { fence, .. }), Ok(held_by)) => {
            Some(GivenUp { held_by, size: *fence, root: None })
        }
        (Some(_) | None, _) => None,
    };
    by_fence.into_iter().chain(loss.asked.contradict.iter().map(Contradiction::given_up)).collect()
}

fn submit<C: Command<Answer = ()>>(store: &Store, command: C) -> Result<(), Refused> {
    match store.submit_blocking(command) {
        Ok(recorded) => {
            recorded.into_answer();
            Ok(())
        }
        // An earlier run that was interrupted had given it up.
        Err(SubmitError::Refused(_)) => Ok(()),
        Err(SubmitError::Unavailable(why)) => {
            Err(Refused::failed("write the journal", "", why, "free space or repair the disk, then run it again"))
        }
    }
}
