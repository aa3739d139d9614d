//! Tests that need the insides of the crate.

mod restored;
mod suite;
