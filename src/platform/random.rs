//! Random bytes from the operating system. There is no generator of our own and nothing to fall back on.

use ring::rand::{SecureRandom, SystemRandom};

use crate::domain::random::{Randomness, RandomnessFailed};

/// The kernel's generator (`getrandom(2)`), one system call per fill and nothing cached in user space: two clones of
/// one machine draw different secrets.
#[derive(Debug)]
pub struct SystemRandomness(SystemRandom);

impl SystemRandomness {
    /// Opens the source and proves that it gives bytes. Blocks early in boot until the kernel has gathered entropy,
    /// which is why it is done before the service says that it is ready.
    pub fn probe() -> Result<Self, RandomnessFailed> {
        let source = Self(SystemRandom::new());
        let (mut first, mut second) = ([0; 32], [0; 32]);
        source.fill(&mut first)?;
        source.fill(&mut second)?;
        // By chance once in 2^256; in truth a source that repeats itself.
        if first == second { Err(RandomnessFailed) } else { Ok(source) }
    }
}

impl Randomness for SystemRandomness {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomnessFailed> {
        self.0.fill(buffer).map_err(|_| RandomnessFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fill_is_new_and_reaches_the_whole_buffer() {
        let source = SystemRandomness::probe().unwrap();
        let mut buffer = [0; 4096];
        source.fill(&mut buffer).unwrap();
        assert!(buffer.chunks(64).all(|chunk| chunk.iter().any(|&byte| byte != 0)));
        let mut again = [0; 4096];
        source.fill(&mut again).unwrap();
        assert_ne!(buffer, again);
    }
}
