//! Rows read from files lately, by group and key: version and bytes, checked once more at every hit.
//!
//! A lookup below memory asks filters and blocks of several runs for a row, and then a journal segment or a value file for
//! its bytes. What it found is kept here whole, so that the next lookup of the key is one of a hash table. Rows that
//! memory has with their bytes are not kept twice.
//!
//! What holds: *a row found here is what the view that asks sees*, whichever moment the view is of. It rests on three rules.
//! Versions are unique and grow with the log, within a group and over one entry; a view at version V sees of every key the
//! newest row up to V.
//! 1. Whoever writes a row first says so ([`GroupRows::forget`]) and then publishes the entry. Saying so takes the key out, and
//!    leaves the row's version as the newest change of the key.
//! 2. A row found by a view is kept ([`GroupRows::keep`]) only if no change of the key is newer than the view. Both happen under
//!    one lock for the key (of a *stripe* of keys), so a change comes either before the look, and the row is refused, or
//!    after it, and the row is taken out again.
//! 3. A view takes a row only if the row is not newer than the view ([`GroupRows::get`]).
//!
//! So at every moment a row here is the newest published one of its key: had an entry changed the key since, rule 1 would have
//! taken it out before the entry was published, and rule 2 would have kept out what older views found. A view of now
//! sees exactly that row. A view from before sees it too if it is not newer than the view (rule 3), because nothing came between
//! the row and now, so nothing came between the row and the view. Stripes are shared by keys: a change of another key refuses
//! a row needlessly, which costs a later lookup, never a wrong answer.
//!
//! Every state of a group that does not grow out of the one before by entries (a group that is opened, a snapshot that is
//! installed) has a [`GroupRows`] of its own: it comes with the memory above its files ([`crate::index`]), and what views from
//! before still put in stays with their state.
//!
//! Checked by: all interleavings of a writer and two readers over the real index, and random histories against a lookup
//! that asks no cache (`tests`).

mod admission;
mod cache;
mod group;
#[cfg(test)]
mod tests;

pub use cache::RowCache;
pub(crate) use group::GroupRows;
