//! What a machine does to a daemon (FAULTS, section 2.2): disks that fail or are full, a database that others lock,
//! change, take away or damage, state that cannot be read, signals, too few descriptors, a log that cannot be written.

mod database;
mod disk;
mod process;
mod reading;
