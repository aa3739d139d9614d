//! sled has every property of a backend.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure ends the test")]

use atoll_backend_sled::{SledBackend, SledHome};
use atoll_env::{Rng, Scope, Spawn};
use atoll_state::testing::{Make, conformance as must, simulate};
use atoll_state::{Backend, NativeBackend};

/// Runs a test with a directory of sled for all its backends.
fn with_sled(test: impl FnOnce(Make<'_>)) {
    let dir = tempfile::tempdir().unwrap();
    let home = SledHome::open(&dir.path().join("sled"), 8 << 20).unwrap();
    let spawn = Spawn::simulated(Scope::new(Rng::seeded(1)));
    test(&|native: NativeBackend| -> Box<dyn Backend> {
        Box::new(SledBackend::new(native, &home, spawn.clone()).unwrap())
    });
}

#[test]
fn every_operation_does_what_it_says() {
    with_sled(|sled| simulate(must::every_operation_does_what_it_says(sled)));
}

#[test]
fn the_last_change_of_a_key_counts() {
    with_sled(|sled| simulate(must::the_last_change_of_a_key_counts(sled)));
}

#[test]
fn an_entry_finds_what_it_wrote() {
    with_sled(|sled| simulate(must::an_entry_finds_what_it_wrote(sled)));
}

#[test]
fn keys_and_values_of_all_lengths() {
    with_sled(|sled| simulate(must::keys_and_values_of_all_lengths(sled)));
}

#[test]
fn pages_have_bounds_and_both_ends() {
    with_sled(|sled| simulate(must::pages_have_bounds_and_both_ends(sled)));
}

#[test]
fn views_stay_what_they_were() {
    with_sled(|sled| simulate(must::views_stay_what_they_were(sled)));
}

#[test]
fn an_entry_shows_when_it_is_published() {
    with_sled(|sled| simulate(must::an_entry_shows_when_it_is_published(sled)));
}

#[test]
fn entries_without_changes_move_the_point() {
    with_sled(|sled| simulate(must::entries_without_changes_move_the_point(sled)));
}

#[test]
fn readers_on_other_threads_see_whole_entries() {
    with_sled(|sled| simulate(must::readers_on_other_threads_see_whole_entries(sled)));
}

#[test]
fn a_checkpoint_and_the_log_behind_it_are_everything() {
    with_sled(|sled| simulate(must::a_checkpoint_and_the_log_behind_it_are_everything(sled)));
}

#[test]
fn views_stay_over_checkpoints_and_merges() {
    with_sled(|sled| simulate(must::views_stay_over_checkpoints_and_merges(sled)));
}

#[test]
fn a_write_retried_after_a_restart_is_applied_once() {
    with_sled(|sled| simulate(must::a_write_retried_after_a_restart_is_applied_once(sled)));
}

#[test]
fn a_snapshot_replaces_everything_at_once() {
    with_sled(|sled| simulate(must::a_snapshot_replaces_everything_at_once(sled)));
}

#[test]
fn what_was_stays_in_the_index() {
    with_sled(|sled| simulate(must::what_was_stays_in_the_index(sled)));
}
