//! The chunked transfer coding (RFC 9112, section 7.1), without extensions and trailers: no client of ours sends any, and
//! readers that disagree about them are a known way to smuggle a request.

use super::Violation;

/// Where in a chunked body the connection stands.
#[derive(Debug)]
pub(super) struct Chunked(Place);

#[derive(Debug, Clone, Copy)]
enum Place {
    Size { digits: u8, value: u64 },
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    EndCr,
    EndLf,
    Finished,
}

/// Fifteen digits cannot overflow a u64 and are more than any body cap.
const SIZE_DIGITS_MAX: u8 = 15;

impl Default for Chunked {
    fn default() -> Self {
        Self(Place::Size { digits: 0, value: 0 })
    }
}

impl Chunked {
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.0, Place::Finished)
    }

    /// Takes bytes up to the end of the body; says how many.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            if let Place::Data(left) = self.0 {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let left = left - here as u64;
                self.0 = if left == 0 { Place::DataCr } else { Place::Data(left) };
                taken += here;
                continue;
            }
            let Some(&byte) = rest.first() else { break };
            self.0 = match self.0.after(byte) {
                Ok(next) => next,
                // What came before the fault is passed on first, however the bytes were cut; the fault is met again.
                Err(_) if taken > 0 => break,
                Err(violation) => return Err(violation),
            };
            taken += 1;
            if self.is_finished() {
                break;
            }
        }
        Ok(taken)
    }
}

impl Place {
    fn after(self, byte: u8) -> Result<Self, Violation> {
        match (self, byte) {
            (Self::Size { digits, value }, b'\r') if digits > 0 => Ok(Self::SizeLf(value)),
            (Self::Size { digits, value }, _) if digits < SIZE_DIGITS_MAX => {
                let digit = (byte as char).to_digit(16).ok_or(Violation::BadChunk)?;
                Ok(Self::Size { digits: digits + 1, value: value * 16 + u64::from(digit) })
            }
            (Self::SizeLf(0), b'\n') => Ok(Self::EndCr),
            (Self::SizeLf(size), b'\n') => Ok(Self::Data(size)),
            (Self::DataCr, b'\r') => Ok(Self::DataLf),
            (Self::DataLf, b'\n') => Ok(Self::Size { digits: 0, value: 0 }),
            (Self::EndCr, b'\r') => Ok(Self::EndLf),
            (Self::EndCr, b'\n') => Err(Violation::BadChunk),
            (Self::EndCr, _) => Err(Violation::Trailer),
            (Self::EndLf, b'\n') => Ok(Self::Finished),
            _ => Err(Violation::BadChunk),
        }
    }
}
