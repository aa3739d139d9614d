//! A node whose disk fails on demand, through its control file.

use std::time::Duration;

use atoll_env::{BoxFuture, Rng};
use serde_json::json;

use super::{broken, running};
use crate::field::Field;
use crate::nemesis::control::{self, Fields};
use crate::nemesis::{Installed, Refusal};

/// A node that must stop has this long to come to its next write.
const STOP_MAX: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

struct Failing {
    node: u16,
    what: String,
    fields: Fields,
}

/// What a variant says in the control file, what it is called, and whether the node must stop.
fn plan(variant: &str, rng: &Rng) -> Result<(Fields, String, bool), Refusal> {
    let (fields, what, stops) = match variant {
        "slow" => {
            let ms = 50 + rng.below(950);
            let fields = json!({"fsync": "slow", "fsync_ms": ms});
            (fields, format!("every fsync takes {ms} ms longer"), false)
        }
        "enospc" => (
            json!({"write": "full"}),
            "every write fails with ENOSPC".to_owned(),
            true,
        ),
        "eio" => (
            json!({"write": "error"}),
            "every write fails with EIO".to_owned(),
            true,
        ),
        "fsync-eio" => {
            let once = rng.below(2) == 0;
            let (word, how) = if once {
                ("error-once", "the next")
            } else {
                ("error", "every")
            };
            (
                json!({"fsync": word}),
                format!("{how} fsync fails with EIO"),
                true,
            )
        }
        "read-eio" => (
            json!({"read": "error"}),
            "every read fails with EIO".to_owned(),
            false,
        ),
        other => return Err(Refusal::Broken(format!("there is no disk fault {other}"))),
    };
    match fields {
        serde_json::Value::Object(fields) => Ok((fields, what, stops)),
        other => Err(Refusal::Broken(format!("{other} is no set of fields"))),
    }
}

pub(super) async fn begin(
    field: &Field,
    rng: &Rng,
    variant: &str,
) -> Result<Box<dyn Installed<Field>>, Refusal> {
    let (fields, what, stops) = plan(variant, rng)?;
    let node = running(field, rng)?;
    let file = field.cluster.fault_file(node);
    if !control::lay(&file, &fields).map_err(|error| broken(node, &error))? {
        return Err(Refusal::NotNow(format!("node {node} has such a fault already")));
    }
    if stops || variant == "read-eio" {
        field.cluster.excuse(node, &what);
    }
    let fault = Failing { node, what, fields };
    let mut installed = control::in_effect(&field.env.clock, &file, &fault.fields).await;
    if installed && stops {
        installed = stopped(field, node).await;
    }
    if installed {
        return Ok(Box::new(fault));
    }
    let mended = Box::new(fault).mend(field).await;
    mended.map_err(Refusal::Broken)?;
    Err(Refusal::NotNow(format!("node {node} did not come to it")))
}

async fn stopped(field: &Field, node: u16) -> bool {
    let gone = async {
        while field.cluster.runs(node) {
            field.env.clock.sleep(LOOK_EVERY).await;
        }
    };
    field.env.clock.timeout(STOP_MAX, gone).await.is_ok()
}

impl Installed<Field> for Failing {
    fn what(&self) -> String {
        format!("node {}: {}", self.node, self.what)
    }

    fn nodes(&self) -> Vec<u16> {
        vec![self.node]
    }

    fn mend(self: Box<Self>, field: &Field) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let node = self.node;
            control::lift(&field.cluster.fault_file(node), &self.fields)
                .map_err(|error| format!("the control file of node {node}: {error}"))?;
            // If somebody holds it down it is theirs to start; then this fails, and that is right.
            let _ = field.cluster.start(node);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stops_a_node_and_what_does_not() {
        let stops = |variant| plan(variant, &Rng::seeded(1)).unwrap().2;
        assert!(stops("eio") && stops("fsync-eio") && stops("enospc"));
        assert!(!stops("slow") && !stops("read-eio"));
        assert!(matches!(plan("fire", &Rng::seeded(1)), Err(Refusal::Broken(_))));
    }
}
