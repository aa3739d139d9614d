//! The family of faults that hamper messages.

use atoll_env::{BoxFuture, Rng};

use super::super::{Installed, Lack, Means, Nemesis, Refusal};
use super::scope::{self, VARIANTS};
use crate::field::Field;

/// `packet`: messages come, but badly.
///
/// - `delay`: later, by 5 ms to more than an election takes;
/// - `stall`: not until the fault ends, then all of them, in order, as after a short cut of a real cable;
/// - `bandwidth`: 20 to 220 kB a second in each direction;
/// - `drip`: 32 bytes at a time on each connection;
/// - `reset`: connections end when they are used.
///
/// On all links between nodes, on those of one node, on one direction of these, or between clients and one node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packet;

impl Nemesis<Field> for Packet {
    fn family(&self) -> &'static str {
        "packet"
    }

    fn variants(&self) -> &'static [&'static str] {
        &VARIANTS
    }

    fn missing(&self, means: &Means<'_>, variant: &str) -> Option<Lack> {
        // Whether a kind of link can have a fault does not depend on how bad it is.
        let fault = scope::fault(variant, &Rng::seeded(0))?;
        means.net.cannot(fault).map(Lack::Proxies)
    }

    fn begin<'a>(
        &'a self,
        field: &'a Field,
        variant: &'a str,
        rng: &'a Rng,
    ) -> BoxFuture<'a, Result<Box<dyn Installed<Field>>, Refusal>> {
        Box::pin(async move {
            let nodes: Vec<u16> = field.cluster.numbers().collect();
            let plan = scope::fault(variant, rng).and_then(|fault| scope::plan(fault, &nodes, rng));
            let plan = plan.ok_or_else(|| Refusal::Broken(format!("there is no packet/{variant}")))?;
            plan.install(field).await
        })
    }
}
