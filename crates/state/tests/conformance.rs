//! The index of the storage engine has every property of a backend.

use atoll_state::testing::{conformance as must, simulate};
use atoll_state::{Backend, NativeBackend};

fn native(native: NativeBackend) -> Box<dyn Backend> {
    Box::new(native)
}

#[test]
fn every_operation_does_what_it_says() {
    simulate(must::every_operation_does_what_it_says(&native));
}

#[test]
fn the_last_change_of_a_key_counts() {
    simulate(must::the_last_change_of_a_key_counts(&native));
}

#[test]
fn an_entry_finds_what_it_wrote() {
    simulate(must::an_entry_finds_what_it_wrote(&native));
}

#[test]
fn keys_and_values_of_all_lengths() {
    simulate(must::keys_and_values_of_all_lengths(&native));
}

#[test]
fn pages_have_bounds_and_both_ends() {
    simulate(must::pages_have_bounds_and_both_ends(&native));
}

#[test]
fn views_stay_what_they_were() {
    simulate(must::views_stay_what_they_were(&native));
}

#[test]
fn an_entry_shows_when_it_is_published() {
    simulate(must::an_entry_shows_when_it_is_published(&native));
}

#[test]
fn entries_without_changes_move_the_point() {
    simulate(must::entries_without_changes_move_the_point(&native));
}

#[test]
fn readers_on_other_threads_see_whole_entries() {
    simulate(must::readers_on_other_threads_see_whole_entries(&native));
}

#[test]
fn a_checkpoint_and_the_log_behind_it_are_everything() {
    simulate(must::a_checkpoint_and_the_log_behind_it_are_everything(&native));
}

#[test]
fn views_stay_over_checkpoints_and_merges() {
    simulate(must::views_stay_over_checkpoints_and_merges(&native));
}

#[test]
fn a_write_retried_after_a_restart_is_applied_once() {
    simulate(must::a_write_retried_after_a_restart_is_applied_once(&native));
}

#[test]
fn a_snapshot_replaces_everything_at_once() {
    simulate(must::a_snapshot_replaces_everything_at_once(&native));
}

#[test]
fn what_was_stays_in_the_index() {
    simulate(must::what_was_stays_in_the_index(&native));
}
