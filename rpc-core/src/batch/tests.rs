//! What the calls of one batch have in common, and what not.
