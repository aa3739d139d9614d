//! Merges, and what they move.
//!
//! A merge (`merge`) makes one run of several neighbours, and values leave the places that its plan names along the way (`evacuate`) for new
//! value files (`filing`). How much of a plan fits on the disk is `work`, how fast it goes `rate`; what is alive in which file afterwards
//! is counted in `accounts`. The manifest is the one point at which anything changes: before it a merge is files that nobody names,
//! and after it its inputs are.
//!
//! Who checks it: `store/tests/merging`, `store/tests/space` (a model beside it, crashes and faults at every operation).

pub(in crate::store) mod accounts;
pub(in crate::store) mod evacuate;
pub(in crate::store) mod filing;
mod merge;
pub(in crate::store) mod rate;
pub(in crate::store) mod work;
