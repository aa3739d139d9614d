//! What is to be laid over links, and the fault that it is once laid.

use std::io;

use atoll_env::{BoxFuture, Rng};

use super::super::{Installed, Refusal};
use crate::field::Field;
use crate::net::{Cut, Overlay};

/// One fault, computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// For people.
    pub(super) what: String,
    /// The nodes it hits.
    pub(super) nodes: Vec<u16>,
    pub(super) cuts: Vec<Cut>,
}

impl Plan {
    /// Lays it.
    pub(super) async fn install(self, field: &Field) -> Result<Box<dyn Installed<Field>>, Refusal> {
        let laid = lay(field, self.cuts.clone()).await;
        match laid {
            Ok(overlay) => Ok(Box::new(Laid { plan: self, overlay })),
            Err(error) => Err(Refusal::Broken(format!("{}: {error}", self.what))),
        }
    }
}

/// Lays faults without holding up other tasks: some kinds of links start programs for that.
pub(super) async fn lay(field: &Field, cuts: Vec<Cut>) -> io::Result<Overlay> {
    let net = field.net.clone();
    field.env.spawn.blocking(move || net.lay(&cuts)).await
}

/// Takes an overlay away.
pub(super) async fn lift(field: &Field, overlay: Overlay) -> io::Result<()> {
    let net = field.net.clone();
    field.env.spawn.blocking(move || net.lift(overlay)).await
}

/// A plan that lies.
struct Laid {
    plan: Plan,
    overlay: Overlay,
}

impl Installed<Field> for Laid {
    fn what(&self) -> String {
        self.plan.what.clone()
    }

    fn nodes(&self) -> Vec<u16> {
        self.plan.nodes.clone()
    }

    fn mend(self: Box<Self>, field: &Field) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let lifted = lift(field, self.overlay).await;
            lifted.map_err(|error| format!("{}: not healed: {error}", self.plan.what))
        })
    }
}

/// The same items in random order.
pub(super) fn shuffled(items: &[u16], rng: &Rng) -> Vec<u16> {
    let mut items = items.to_vec();
    for end in (1..items.len()).rev() {
        items.swap(end, rng.below(end as u64 + 1) as usize);
    }
    items
}

/// One of them, if there are any.
pub(super) fn one_of<T: Copy>(items: &[T], rng: &Rng) -> Option<T> {
    items.get(rng.below(items.len() as u64) as usize).copied()
}

/// `node 3` or `nodes 1, 3, 4`
pub(super) fn named(nodes: &[u16]) -> String {
    let word = if nodes.len() == 1 { "node" } else { "nodes" };
    format!("{word} {}", list(nodes))
}

/// `1, 3, 4`
pub(super) fn list(nodes: &[u16]) -> String {
    let mut nodes = nodes.to_vec();
    nodes.sort_unstable();
    let numbers: Vec<String> = nodes.iter().map(u16::to_string).collect();
    numbers.join(", ")
}
