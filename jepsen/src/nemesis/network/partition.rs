//! The family of faults that stop messages.

use atoll_env::{BoxFuture, Rng};

use super::super::{Installed, Lack, Means, Nemesis, Refusal};
use super::cuts::{self, VARIANTS};
use super::flapping::Flapping;
use crate::field::Field;
use crate::net::LinkFault;

/// `partition`: some do not hear of others any more.
///
/// - `halves`: two sides, at random;
/// - `leader`: the leader of a group is left with a minority;
/// - `minority`: a minority that does not lead a group is left alone;
/// - `ring`: everyone hears a majority, no two hear the same nodes;
/// - `bridge`: two sides that only one node hears both of;
/// - `one-way`: one direction between two nodes, or all from the leader of a group or to it;
/// - `flapping`: a link, or all links of a node, cut and healed every 100 ms;
/// - `clients`: clients do not reach the leader of a group, nodes do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Partition;

impl Nemesis<Field> for Partition {
    fn family(&self) -> &'static str {
        "partition"
    }

    fn variants(&self) -> &'static [&'static str] {
        &VARIANTS
    }

    fn missing(&self, means: &Means<'_>, variant: &str) -> Option<Lack> {
        if let Some(why) = means.net.cannot(LinkFault::Blackhole) {
            return Some(Lack::Proxies(why));
        }
        let least = cuts::least_nodes(variant);
        (means.options.nodes < least).then_some(Lack::Nodes(least))
    }

    fn begin<'a>(
        &'a self,
        field: &'a Field,
        variant: &'a str,
        rng: &'a Rng,
    ) -> BoxFuture<'a, Result<Box<dyn Installed<Field>>, Refusal>> {
        Box::pin(async move {
            let nodes: Vec<u16> = field.cluster.numbers().collect();
            let leaders = field.cluster.leaders().await;
            let plan = cuts::plan(variant, &nodes, &leaders, rng);
            let plan = plan.ok_or_else(|| Refusal::NotNow("nobody leads".to_owned()))?;
            if variant == "flapping" {
                return Flapping::begin(field, plan).await;
            }
            plan.install(field).await
        })
    }
}
