//! Randomness as an argument: the trait that the pure core asks, implemented by `platform` and by tests.

/// A source of random bytes fit for keys.
pub trait Randomness: Send + Sync {
    /// Fills `buffer` from the operating system's generator, one call per secret: a cached generator in
    /// user space would repeat itself in a cloned machine.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomnessFailed>;
}

/// The operating system gave no random bytes. Nothing may be issued; there is no fallback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomnessFailed;
