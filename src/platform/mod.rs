//! The only door to clock, randomness, files and process memory.
