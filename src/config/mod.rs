//! The configuration: TOML in, typed values out.
