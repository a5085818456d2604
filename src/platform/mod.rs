//! The only door to clock, randomness, files and process memory.
//!
//! Everything that the rest of the program would otherwise ask the operating system for by the way is asked here, once,
//! with its checks. This room knows the domain's words for what it hands out and nothing of what they are used for.

pub mod clock;
pub mod files;
pub mod filesystem;
pub mod hidden_input;
pub mod logging;
pub mod memory;
pub mod passage;
pub mod privileges;
pub mod random;
pub mod state_directory;
pub mod stop;
pub mod syslog;
pub mod terminal;
pub mod user_ids;
