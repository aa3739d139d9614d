//! Clocks that lie, through the control file of a fault build.
//!
//! `offset` moves wall clocks, `strobe` lets them jump to and fro, `rate` lets boot clocks (and with them Raft's timers) run fast or
//! slow. None of it may break a promise; reads that rest on ages get stricter or refuse.

use atoll_env::{BoxFuture, Rng};
use serde_json::json;

use super::control::{self, Fields};
use super::{Installed, Lack, Means, Nemesis, Refusal};
use crate::field::Field;

/// With several groups clients carry versions from one to the other, and a leader refuses those that are more than a
/// minute ahead of its clock: beyond this, refusals would be all there is to see.
const OFFSET_MS_MAX: u64 = 8_000;
/// With one group there is no such bound: an hour.
const OFFSET_ONE_GROUP_MS_MAX: u64 = 3_600_000;
/// Twenty per cent either way is more than any clock that is not broken.
const RATE_PERCENT_MAX: u64 = 20;

/// By which part a node's clock is made slower than it should be, at most.
pub const SLOWER_MAX: f64 = RATE_PERCENT_MAX as f64 / 100.0;

/// Where a node tells, as an error, that its clock is apart from the others'.
const CLOCK_ERROR: &str = "atoll_server::control::clock_guard";

/// The family `clock`.
pub struct Clocks;

impl Nemesis<Field> for Clocks {
    fn family(&self) -> &'static str {
        "clock"
    }

    fn variants(&self) -> &'static [&'static str] {
        &["offset", "rate", "strobe"]
    }

    fn missing(&self, means: &Means<'_>, _: &str) -> Option<Lack> {
        control::missing(&means.options.binary)
    }

    fn begin<'a>(
        &'a self,
        field: &'a Field,
        variant: &'a str,
        rng: &'a Rng,
    ) -> BoxFuture<'a, Result<Box<dyn Installed<Field>>, Refusal>> {
        Box::pin(begin(field, variant, rng))
    }
}

/// What one node's clock does, and in words.
fn plan(variant: &str, groups: u32, rng: &Rng) -> (Fields, String) {
    let most = if groups == 1 {
        OFFSET_ONE_GROUP_MS_MAX
    } else {
        OFFSET_MS_MAX
    };
    let signed = |most: u64| (1 + rng.below(most)).cast_signed() * if rng.below(2) == 0 { -1 } else { 1 };
    let (fields, what) = match variant {
        "rate" => {
            let rate = (100 + signed(RATE_PERCENT_MAX)) as f64 / 100.0;
            (json!({"clock_rate": rate}), format!("runs at {rate}"))
        }
        "strobe" => {
            let (ms, period) = (signed(most), 2 + rng.below(200));
            let fields = json!({"clock_strobe_ms": ms, "clock_strobe_period_ms": period});
            (fields, format!("jumps by {ms} ms every {period} ms"))
        }
        _ => {
            let ms = signed(most);
            (json!({"clock_offset_ms": ms}), format!("is {ms} ms ahead"))
        }
    };
    let fields = fields.as_object().cloned().unwrap_or_default();
    (fields, what)
}

struct Lying {
    nodes: Vec<(u16, Fields, String)>,
}

async fn begin(field: &Field, variant: &str, rng: &Rng) -> Result<Box<dyn Installed<Field>>, Refusal> {
    // Who is apart from whom is seen by everyone in its own way.
    for node in field.cluster.numbers() {
        field.cluster.expect_errors(node, CLOCK_ERROR);
    }
    // One alone in half of the cases, else every node has its own.
    let one = (rng.below(2) == 0).then(|| 1 + rng.below(u64::from(field.options.nodes)) as u16);
    let mut lying = Box::new(Lying { nodes: Vec::new() });
    for node in field.cluster.numbers() {
        let (fields, what) = plan(variant, field.options.groups, rng);
        if one.is_some_and(|one| one != node) || !field.cluster.runs(node) {
            continue;
        }
        let file = field.cluster.fault_file(node);
        match control::lay(&file, &fields) {
            Ok(true) => lying.nodes.push((node, fields, what)),
            Ok(false) => {}
            Err(error) => {
                lying.mend(field).await.map_err(Refusal::Broken)?;
                return Err(Refusal::Broken(format!(
                    "the control file of node {node}: {error}"
                )));
            }
        }
    }
    let mut in_effect = false;
    for (node, fields, _) in &lying.nodes {
        let file = field.cluster.fault_file(*node);
        in_effect |= control::in_effect(&field.env.clock, &file, fields).await;
    }
    if in_effect {
        return Ok(lying);
    }
    lying.mend(field).await.map_err(Refusal::Broken)?;
    Err(Refusal::NotNow("no node took up its clock's fault".to_owned()))
}

impl Installed<Field> for Lying {
    fn what(&self) -> String {
        let each: Vec<_> = self
            .nodes
            .iter()
            .map(|(node, _, what)| format!("the clock of node {node} {what}"))
            .collect();
        each.join("; ")
    }

    fn nodes(&self) -> Vec<u16> {
        self.nodes.iter().map(|(node, ..)| *node).collect()
    }

    fn mend(self: Box<Self>, field: &Field) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let mut result = Ok(());
            for (node, fields, _) in &self.nodes {
                let lifted = control::lift(&field.cluster.fault_file(*node), fields);
                let lifted = lifted.map_err(|error| format!("the control file of node {node}: {error}"));
                result = result.and(lifted);
            }
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_stay_within_what_is_promised() {
        for seed in 0..500 {
            let rng = Rng::seeded(seed);
            let number = |variant, groups, name: &str| {
                plan(variant, groups, &rng).0.get(name).unwrap().as_f64().unwrap()
            };
            assert!((0.8..=1.2).contains(&number("rate", 3, "clock_rate")));
            assert!(number("offset", 3, "clock_offset_ms").abs() <= 8_000.0);
            assert!(number("strobe", 1, "clock_strobe_ms").abs() <= 3_600_000.0);
            assert!(number("strobe", 1, "clock_strobe_period_ms") >= 2.0);
        }
    }
}
