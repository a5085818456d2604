//! The closed set of facts, their canonical bytes, the tree over them, and its verification.
