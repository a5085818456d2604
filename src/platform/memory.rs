//! What the process leaves in memory: freed heap blocks, dead stack frames, vector registers, core dumps. It does not
//! know which bytes are secret; it wipes them all.
//!
//! Three measures belong together and none is enough alone. Freed heap blocks are wiped by the [`Allocator`]. Dead
//! stack and registers are overwritten by [`scrub_parked_stack`], called when a worker thread goes to sleep, and by
//! [`scrub_stack`] after every poll of a [`Scrubbed`] future. The kernel is told by [`harden_process`] to write no core and to let nobody look.
//! It rests on `black_box` and on glibc's memcpy, so a test reads a core of the running daemon.

use std::alloc::System;
use std::future::Future;
use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use tokio::signal::unix::SignalKind;
use zeroizing_alloc::ZeroAlloc;

/// A heap whose blocks are wiped when they are freed. `main` makes it the global allocator.
pub type Allocator = ZeroAlloc<System>;

/// The one value of [`Allocator`].
pub const ALLOCATOR: Allocator = ZeroAlloc(System);

/// How much of the stack below a [`Scrubbed`] future is overwritten. Scans of full cores found nothing with half of it.
const SCRUBBED_BYTES: usize = 64 * 1024;

/// How much of the stack of a worker that goes to sleep is overwritten: all that a task can have used. The deepest one,
/// a gateway's check in a build without optimisation, was found 90 KiB below the top.
const PARKED_BYTES: usize = 128 * 1024;

/// Overwrites the stack below the caller and the vector registers with zeroes.
#[inline(never)]
pub fn scrub_stack() {
    scrub::<SCRUBBED_BYTES>();
}

/// The same over everything that a worker's tasks have used, for when it has nothing to do.
#[inline(never)]
pub fn scrub_parked_stack() {
    scrub::<PARKED_BYTES>();
}

#[inline(never)]
fn scrub<const LENGTH: usize>() {
    let mut below = [0_u8; LENGTH];
    black_box(&mut below);
    clear_vector_registers(&mut below);
    black_box(&below);
}

/// memcpy moves short blocks through vector registers and leaves them there; copies of zeroes in each of its size
/// classes leave zeroes instead.
#[inline(never)]
fn clear_vector_registers(scratch: &mut [u8]) {
    let (from, to) = scratch.split_at_mut(scratch.len() / 2);
    for length in [16, 32, 64, 128, 256, 512, 1024] {
        if let (Some(from), Some(to)) = (from.get(..black_box(length)), to.get_mut(..black_box(length))) {
            to.copy_from_slice(black_box(from));
            black_box(to);
        }
    }
}

/// A future whose traces on the stack are overwritten after every poll; for the tasks that see plaintext.
///
/// The future itself lies on the heap, so that the allocator wipes its locals when it is done.
#[must_use = "futures do nothing unless polled"]
pub struct Scrubbed<F>(Pin<Box<F>>);

impl<F: Future> Scrubbed<F> {
    /// Takes the future to the heap.
    pub fn new(future: F) -> Self {
        let scrubbed = Self(Box::pin(future));
        // The move left a copy of what the future captured.
        scrub_stack();
        scrubbed
    }
}

impl<F: Future> Future for Scrubbed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let outcome = self.0.as_mut().poll(context);
        scrub_stack();
        outcome
    }
}

/// A measure that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {measure}: {cause}")]
pub struct HardeningFailed {
    /// What was tried.
    pub measure: &'static str,
    /// What the kernel said.
    pub cause: io::Error,
}

/// Closes the process to core dumps, debuggers of the same user and privileges by exec, and survives full disks and
/// closed pipes. To be called first in `main`, while there is one thread: `no_new_privs` is inherited by threads made
/// later, not by those that run.
///
/// SIGPIPE is ignored by Rust's runtime already. SIGXFSZ (a file grew past its limit) ends a process unless caught;
/// caught, the write fails with EFBIG and is dealt with where it stands.
pub fn harden_process() -> Result<(), HardeningFailed> {
    let failed = |measure: &'static str| move |cause: io::Error| HardeningFailed { measure, cause };
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| failed("forbid core dumps and debuggers")(errno.into()))?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|errno| failed("set the limit for core dumps to zero")(errno.into()))?;
    rustix::thread::set_no_new_privs(true).map_err(|errno| failed("give up new privileges")(errno.into()))?;
    catch_file_size_signal().map_err(failed("catch SIGXFSZ"))
}

/// Tokio is the one safe way to a signal handler in the tree. The handler stays when the small runtime is gone.
fn catch_file_size_signal() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    tokio::signal::unix::signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Command;

    use super::*;

    /// Leaves a pattern on the stack and says where.
    #[inline(never)]
    fn leave_pattern() -> usize {
        let mut frame = [0_u8; 4096];
        for byte in &mut frame {
            *byte = black_box(0xa5);
        }
        black_box(frame.as_ptr().addr())
    }

    /// How much of the pattern is still in the dead frame, in stretches of eight: an address that lies on the stack may
    /// have one such byte by chance. Read by way of the kernel, which needs no unsafe.
    fn pattern_left(address: usize) -> usize {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; 4096];
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        memory.read_exact_at(&mut bytes, address as u64).unwrap();
        bytes.chunks(8).filter(|stretch| stretch.iter().all(|&byte| byte == 0xa5)).count()
    }

    #[test]
    fn a_dead_frame_is_overwritten_and_without_the_scrub_it_is_not() {
        let control = leave_pattern();
        assert!(pattern_left(control) > 128, "the test cannot see what it looks for");
        let scrubbed = leave_pattern();
        scrub_stack();
        assert_eq!(pattern_left(scrubbed), 0);
    }

    #[test]
    fn a_scrubbed_future_gives_what_its_future_gives() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(Scrubbed::new(async {
            tokio::task::yield_now().await;
            7
        }));
        assert_eq!(answer, 7);
    }

    #[test]
    fn the_process_is_closed_and_a_full_file_limit_is_an_error() {
        // In a process of its own: the measures cannot be taken back.
        let itself = std::env::current_exe().unwrap();
        let child = Command::new("sh")
            .args(["-c", "ulimit -f 8; exec \"$0\" --exact platform::memory::tests::in_a_hardened_process --ignored"])
            .arg(itself)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{:?}: {said}", child.status);
    }

    #[test]
    #[ignore = "run by the test above in a process of its own"]
    fn in_a_hardened_process() {
        let path = std::env::temp_dir().join(format!("tallyd-file-size-{}", std::process::id()));
        harden_process().unwrap();
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(rustix::process::getrlimit(Resource::Core).current, Some(0));
        assert!(rustix::thread::no_new_privs().unwrap());
        let mut file = std::fs::File::create(&path).unwrap();
        let outcome = (0..64).try_for_each(|_| file.write_all(&[0; 4096]));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
