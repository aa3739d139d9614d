//! One function per property. Each makes its own group, and panics if the backend does not have the property.
//!
//! - `apply`: what operations do, what the state machine finds while it applies, values and keys of all lengths.
//! - `views`: pages and their bounds, views that stay, entries seen whole or not at all.
//! - `durable`: checkpoints, restarts, snapshots.

mod apply;
mod durable;
mod views;

pub use apply::{
    an_entry_finds_what_it_wrote, every_operation_does_what_it_says, keys_and_values_of_all_lengths,
    the_last_change_of_a_key_counts,
};
pub use durable::{
    a_checkpoint_and_the_log_behind_it_are_everything, a_snapshot_replaces_everything_at_once,
    a_write_retried_after_a_restart_is_applied_once, views_stay_over_checkpoints_and_merges,
    what_was_stays_in_the_index,
};
pub use views::{
    an_entry_shows_when_it_is_published, entries_without_changes_move_the_point,
    pages_have_bounds_and_both_ends, readers_on_other_threads_see_whole_entries, views_stay_what_they_were,
};
