//! What several test binaries use.

#![allow(clippy::expect_used, reason = "a helper that cannot do its part fails the test")]

pub(crate) mod engine;
