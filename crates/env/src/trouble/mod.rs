//! Points in the product at which the simulator can make trouble, or learns what happened.
//!
//! [`pause`] waits at an awkward place, [`point`] asks whether to take an unlikely way, [`sometimes`]
//! records that an interesting state was reached (a campaign that never reaches one tests less than
//! it claims), [`note`] tells a fact in numbers. Names are constants; nothing is decided by anything
//! but the run's seed.
//!
//! Without the feature `trouble` all of them are empty and inlined: the shipped binary has none of
//! it. With it, a thread on which nothing was [`install`]ed behaves as without.

#[cfg(not(feature = "trouble"))]
mod off;
#[cfg(feature = "trouble")]
mod on;

#[cfg(not(feature = "trouble"))]
pub use off::{ON, note, pause, point, sometimes};
#[cfg(feature = "trouble")]
pub use on::{Found, Installed, ON, Options, install, note, pause, point, sometimes};
