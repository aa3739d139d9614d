//! What is broken, and how it is mended.
//!
//! A [`Nemesis`] is a family of faults with named variants. It begins one by the numbers it is given and returns it as a
//! [`Installed`] thing that knows how to mend itself; the runner decides when. Faults overlap: a nemesis must be able to begin
//! and end whatever others do meanwhile, and says so ([`Refusal::NotNow`]) when it cannot begin. A refusal is never counted as a fault.

pub mod clock;
pub mod cluster;
pub mod control;
pub mod disk;
mod means;
pub mod network;
pub(crate) mod pick;
pub mod process;
mod registry;

use atoll_env::{BoxFuture, Rng};

pub(crate) use means::with;
pub use means::{Lack, Means};
pub use registry::{Chosen, choose, nemeses};

/// A family of faults that act on a `Field`: the cluster and its links.
pub trait Nemesis<Field>: Send + Sync {
    /// Its name: `partition`.
    fn family(&self) -> &'static str;

    /// The names of its variants: `halves`, `leader`, ….
    fn variants(&self) -> &'static [&'static str];

    /// What a run with these means lacks for a variant; `None`: nothing.
    fn missing(&self, means: &Means<'_>, variant: &str) -> Option<Lack>;

    /// Begins a variant. All that is random comes from `rng`.
    fn begin<'a>(
        &'a self,
        field: &'a Field,
        variant: &'a str,
        rng: &'a Rng,
    ) -> BoxFuture<'a, Result<Box<dyn Installed<Field>>, Refusal>>;
}

/// A fault that is in place.
pub trait Installed<Field>: Send {
    /// What exactly, for people: `isolate node 2 from 1, 3, 4, 5`. Asked when it begins and when it is mended.
    fn what(&self) -> String;

    /// The nodes it hits; empty: all or none in particular.
    fn nodes(&self) -> Vec<u16>;

    /// Mends it.
    fn mend(self: Box<Self>, field: &Field) -> BoxFuture<'_, Result<(), String>>;
}

/// Why a fault was not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not in the present state; perhaps later.
    NotNow(String),
    /// It was tried and failed: the run is no test.
    Broken(String),
}
