//! stub to check against; replaced by the store's own
use super::contract::SealedShare;
use crate::domain::ids::*;
use crate::domain::random::*;
use crate::domain::share::ShareToken;
/// x
pub struct Sealer;
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct SealError;
impl Sealer {
    /// x
    pub fn seal(
        &self,
        _: &ApplicationId,
        _: u32,
        _: &Label,
        _: &ShareToken,
        _: &dyn Randomness,
    ) -> Result<SealedShare, SealError> {
        Err(SealError)
    }
}
