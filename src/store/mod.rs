//! Durable state: the contract, the writer, the embedded backend.
