//! The composition root: start order, shutdown, reload.
