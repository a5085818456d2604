//! What stays in the daemon's memory: cores of the running daemon, taken by gdb at the points where something has just
//! passed through, and searched for parts and secrets in every form (DESIGN, invariant 9; STACK, "Memory").
//!
//! Everybody here closes the connection after each request. While one lives, its receive buffers hold what came last: a
//! gateway's kept connection holds the head of its last check, and lets go of it when it ends.
//!
//! Two controls. While the relay keeps us waiting for its 250, the mail's part is in memory and must be, so the search
//! must find it there. And the same daemon without the allocator that wipes must be found dirty.

mod needles;

use std::path::{Path, PathBuf};
use std::process::Command;

use tallyd::domain::ids::Environment;

use self::needles::{Needles, Piece, What};
use crate::harness::approval::Approval;
use crate::harness::keys::Keys;
use crate::harness::mailbox::PartOne;
use crate::harness::{Harness, operator, release_build};
use crate::process::Process;
use crate::sink::Behaviour;

/// A page of zeroes holds nothing, and most of a core are such pages.
const PAGE: usize = 4096;

/// The memory of the daemon at one point.
struct Core {
    point: &'static str,
    bytes: Vec<u8>,
}

impl Core {
    /// Stops the process for a moment and copies everything: heap, stacks, registers. Only root may, because the process
    /// has closed itself to its own user.
    fn of(point: &'static str, harness: &Harness, daemon: &Process) -> Self {
        let path = harness.path().join("outside/core");
        let mut gcore = Command::new("gcore");
        gcore.args(["-a", "-o"]).arg(&path).arg(daemon.pid().to_string());
        let ran = operator::finish(gcore);
        let file = path.with_extension(daemon.pid().to_string());
        let core = std::fs::read(&file)
            .unwrap_or_else(|cause| panic!("no core, which only root can take ({cause}): {}{}", ran.out, ran.err));
        std::fs::remove_file(file).unwrap();
        let zeroes = [0_u8; PAGE];
        let bytes = core.chunks(PAGE).filter(|page| *page != &zeroes[..page.len()]).flatten().copied().collect();
        Self { point, bytes }
    }
}

/// Every point, and what passed through the daemon before.
struct Walk {
    cores: Vec<Core>,
    needles: Needles,
}

/// One issuance that goes well and one mail that is refused, with a core after each step. gdb takes a second for each, so
/// that a worker has gone to sleep by then, as it has whenever somebody comes to look.
fn walk(program: &Path) -> Walk {
    let harness = Harness::prepare(|_| {});
    harness.run(&["init"]).expect_exit(0);
    let mut daemon = Process::of(&harness, program);
    assert!(daemon.ready(&harness), "{}", harness.log());
    let mut walk = Walk { cores: Vec::new(), needles: Needles::default() };
    let mut needles = Needles::default();
    let approval = Approval::new();

    harness.sink().behave(Behaviour::Late250);
    harness.approve(&approval);
    let pending = harness.until("mail without an answer", || harness.sink().refused_mails().pop());
    walk.core(PENDING, &harness, &daemon);
    harness.sink().behave(Behaviour::Ok);

    let part_one = harness.part_one(approval.technical(), 0);
    assert_eq!(PartOne::read(&pending.raw).unwrap().reference, part_one.reference, "the mail that was waited for");
    needles.share(What::MailShare, &part_one.shares["oauth2"]);
    harness.until("notice", || harness.notices(approval.administrative()).pop());
    walk.core("after the mail", &harness, &daemon);

    let recipient = harness.recipient(Environment::Test);
    let collected = recipient.collect(&part_one.reference).json();
    needles.share(What::PickupShare, collected["shares"][0]["share"].as_str().unwrap());
    walk.core("after the pickup", &harness, &daemon);

    let keys = Keys::combine(&part_one, &collected);
    let pair = keys.only();
    needles.secret(&pair.secret);
    assert_eq!(recipient.confirm(&part_one.reference, &keys.proofs()).status, 200);
    walk.core("after the confirmation", &harness, &daemon);

    assert_eq!(harness.gateway().verify(&pair.client_id, &pair.secret), 204);
    walk.core("after a verification", &harness, &daemon);

    harness.sink().behave(Behaviour::Content552);
    let refused = Approval::new();
    harness.approve(&refused);
    let refused = harness.until("refused mail", || harness.sink().refused_mails().pop());
    needles.share(What::MailShare, &PartOne::read(&refused.raw).unwrap().shares["oauth2"]);
    harness.until("verdict", || harness.log().contains("did not go out").then_some(()));
    walk.core("after a refused mail", &harness, &daemon);

    assert!(daemon.stop().success());
    walk.needles = needles;
    walk
}

const PENDING: &str = "with the mail pending";

impl Walk {
    fn core(&mut self, point: &'static str, harness: &Harness, daemon: &Process) {
        self.cores.push(Core::of(point, harness, daemon));
    }

    /// What is left in the cores, but for what must be in one of them.
    fn left_behind(&self) -> Vec<(&'static str, Piece)> {
        let pieces = |core: &Core| {
            self.needles.search(&core.bytes).into_iter().map(|piece| (core.point, piece)).collect::<Vec<_>>()
        };
        let all = self.cores.iter().flat_map(pieces);
        all.filter(|(point, piece)| *point != PENDING || piece.what != What::MailShare).collect()
    }
}

#[test]
fn nothing_of_a_secret_stays_in_memory() {
    nothing_stays_in(Path::new(env!("CARGO_BIN_EXE_tallyd")));
}

/// The optimiser decides anew what lies in registers, on stacks, and which wipe it thinks nobody needs.
#[test]
fn nothing_of_a_secret_stays_in_memory_of_the_release_build() {
    if let Some(program) = release_build("nothing of a secret in the memory of the release build") {
        nothing_stays_in(&program);
    }
}

fn nothing_stays_in(program: &Path) {
    let walk = walk(program);
    let pending = walk.cores.iter().find(|core| core.point == PENDING).unwrap();
    let there = walk.needles.search(&pending.bytes).into_iter().any(|piece| piece.what == What::MailShare);
    assert!(there, "control: the part that is being mailed must be in memory, and the search must find it");
    let left = walk.left_behind();
    assert!(left.is_empty(), "left in memory: {left:#?}");
}

#[test]
fn control_without_the_wiping_allocator_something_stays() {
    let left = walk(&dirty_daemon()).left_behind();
    assert!(!left.is_empty(), "the search finds nothing in a daemon that wipes nothing");
}

/// Built by `cargo test` beside the tests.
fn dirty_daemon() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().with_file_name("examples/dirty-daemon");
    assert!(path.exists(), "{} is missing: cargo build --example dirty-daemon", path.display());
    path
}

/// The text, and what is made of it on its way into the armour.
#[cfg(feature = "openpgp")]
#[test]
fn openpgp_leaves_nothing_of_an_encrypted_mail_in_memory() {
    let harness = Harness::prepare(|_| {});
    harness.run(&["init"]).expect_exit(0);
    let mut daemon = Process::of(&harness, Path::new(env!("CARGO_BIN_EXE_tallyd")));
    assert!(daemon.ready(&harness), "{}", harness.log());
    let gnupg = crate::openpgp::gnupg::GnuPg::new(&harness);
    let key = gnupg.exported(&gnupg.key("ed25519", Some("cv25519"), "never", ""));
    let approval = Approval::new().with("/contacts/0/openpgp_key", key);
    harness.approve(&approval);
    let is_to_the_technical = |mail: &crate::sink::Mail| mail.to == [approval.technical()];
    let mail = harness.until("mail", || harness.sink().mails().into_iter().find(is_to_the_technical));
    let (part_one, _) = gnupg.open(&mail.raw);
    harness.remember(&part_one);
    harness.until("notice", || harness.notices(approval.administrative()).pop());
    let core = Core::of("after the encrypted mail", &harness, &daemon);
    let mut needles = Needles::default();
    needles.share(What::MailShare, &part_one.shares["oauth2"]);
    assert_eq!(needles.search(&core.bytes), [], "of the part");
    assert!(daemon.stop().success());
}
