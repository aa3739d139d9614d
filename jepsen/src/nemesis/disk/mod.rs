//! Disks that are full, slow, broken, or forget.
//!
//! | variant | what happens to one node | what is expected of it |
//! |---|---|---|
//! | `full` | restarted with a quota that is used up | refuses writes to the groups it leads, serves everything else |
//! | `enospc` | every write fails with ENOSPC | stops; starts again once there is room |
//! | `slow` | every sync takes longer | goes on |
//! | `eio`, `fsync-eio` | writes, or syncs, fail with EIO | stops without acknowledging; starts again |
//! | `read-eio` | reads fail with EIO | refuses what it cannot read |
//! | `bit-flip`, `truncate` | its journal is damaged while it is down | keeps out, or the others have what is lost |
//! | `wipe` | its directory, or its journal, is gone | does not vote as if it remembered |
//!
//! `full` and the damage done while a node is down work with every program, the others need the fault build.

mod damage;
mod failing;
mod full;

use atoll_env::{BoxFuture, Rng};

use super::{Installed, Lack, Means, Nemesis, Refusal, control};
use crate::field::Field;

/// The family `disk`.
pub struct Disk;

impl Nemesis<Field> for Disk {
    fn family(&self) -> &'static str {
        "disk"
    }

    fn variants(&self) -> &'static [&'static str] {
        &[
            "full",
            "enospc",
            "slow",
            "eio",
            "fsync-eio",
            "read-eio",
            "bit-flip",
            "truncate",
            "wipe",
        ]
    }

    fn missing(&self, means: &Means<'_>, variant: &str) -> Option<Lack> {
        match variant {
            "bit-flip" | "truncate" | "wipe" if means.options.nodes < 3 => {
                // The others must have what one loses.
                Some(Lack::Nodes(3))
            }
            "full" | "bit-flip" | "truncate" | "wipe" => None,
            _ => control::missing(&means.options.binary),
        }
    }

    fn begin<'a>(
        &'a self,
        field: &'a Field,
        variant: &'a str,
        rng: &'a Rng,
    ) -> BoxFuture<'a, Result<Box<dyn Installed<Field>>, Refusal>> {
        Box::pin(async move {
            match variant {
                "full" => full::begin(field, rng),
                "bit-flip" => damage::begin(field, rng, damage::Kind::BitFlip).await,
                "truncate" => damage::begin(field, rng, damage::Kind::Truncate).await,
                "wipe" => damage::begin(field, rng, damage::Kind::Wipe).await,
                other => failing::begin(field, rng, other).await,
            }
        })
    }
}

/// One of the nodes that run; none may.
fn running(field: &Field, rng: &Rng) -> Result<u16, Refusal> {
    let all: Vec<u16> = field
        .cluster
        .numbers()
        .filter(|node| field.cluster.runs(*node))
        .collect();
    all.get(rng.below(all.len().max(1) as u64) as usize)
        .copied()
        .ok_or_else(|| Refusal::NotNow("no node runs".to_owned()))
}

fn taken(node: u16) -> Refusal {
    Refusal::NotNow(format!("another fault holds node {node} down"))
}

fn broken(node: u16, error: &std::io::Error) -> Refusal {
    Refusal::Broken(format!("node {node}: {error}"))
}
