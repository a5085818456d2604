//! The doors: listeners, who is calling, what he may ask.

pub mod framing;
