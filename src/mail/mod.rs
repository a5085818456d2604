//! The relay: messages, and our own connection to it.
