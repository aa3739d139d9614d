//! From started processes to a cluster that serves, and what to tell the user then.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_client::admin::{self, InitOptions};
use atoll_env::Env;

use super::child::Child;
use super::layout::{Layout, shown};
use crate::failure::{Exit, Failure, Result};
use crate::output::Table;
use crate::survey::Survey;

/// A cluster on one machine is ready in a few seconds; with much data to read again it takes longer.
const READY_MAX: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long an address is asked whether somebody is there.
const PORT_CHECK_MAX: Duration = Duration::from_secs(1);

/// Fails if another node answers at one of the addresses. Its answers would be taken for those of our
/// child, which cannot serve there.
pub(super) async fn check_free(env: &Env, addresses: &[String]) -> Result {
    for address in addresses {
        let answer = env
            .clock
            .timeout(PORT_CHECK_MAX, admin::status(env, address))
            .await;
        if let Ok(Ok(_)) = answer {
            return Err(Failure::usage(format!("a node is already running at {address}"))
                .next("stop it (another `atoll dev`?), or choose another --base-port"));
        }
    }
    Ok(())
}

/// Waits until every node serves, making the cluster first if it does not exist yet. Gives the ids of the
/// nodes inside the cluster, by address.
pub(super) async fn wait(env: &Env, addresses: &[String], groups: u32) -> Result<BTreeMap<String, u64>> {
    let work = async {
        init_if_fresh(env, addresses, groups).await?;
        loop {
            match Survey::take(env, addresses).await {
                Ok(survey) if survey.all_serving() => return Ok(ids(survey)),
                _ => env.clock.sleep(LOOK_EVERY).await,
            }
        }
    };
    env.clock.timeout(READY_MAX, work).await.unwrap_or_else(|_| {
        let what = format!("the cluster does not serve after {} s", READY_MAX.as_secs());
        Err(Failure::new(Exit::Unavailable, what).next("read the nodes' logs"))
    })
}

fn ids(survey: Survey) -> BTreeMap<String, u64> {
    let nodes = survey.nodes.into_iter();
    nodes.map(|seen| (seen.address, seen.node)).collect()
}

/// Waits until every node answers, then makes the cluster if some node waits for that.
async fn init_if_fresh(env: &Env, addresses: &[String], groups: u32) -> Result {
    let survey = loop {
        match Survey::take(env, addresses).await {
            Ok(survey) if survey.nodes.iter().all(|seen| seen.answer.is_ok()) => break survey,
            _ => env.clock.sleep(LOOK_EVERY).await,
        }
    };
    // "claimed" is an init that was interrupted; repeating it finishes it.
    let fresh = survey
        .answers()
        .any(|reply| matches!(&reply.state[..], "waiting for init" | "claimed"));
    let Some(first) = addresses.first().filter(|_| fresh) else {
        return Ok(());
    };
    let options = InitOptions {
        addresses: addresses.to_vec(),
        groups,
        ..InitOptions::default()
    };
    admin::init(env, first, options)
        .await
        .map_err(|error| Failure::from(error).during("init"))?;
    Ok(())
}

/// The lines that tell what is there and what to try; nodes by the ids that the cluster gave them.
pub(super) fn message(
    layout: &Layout,
    children: &[Child],
    ids: &BTreeMap<String, u64>,
    ephemeral: bool,
) -> Vec<String> {
    let removed = if ephemeral { " (removed at the end)" } else { "" };
    let mut lines = vec![
        format!(
            "Atoll is ready: {} node(s), data in {}{removed}",
            children.len(),
            shown(layout.dir())
        ),
        String::new(),
    ];
    let mut table = Table::new(&["  NODE", "ADDRESS", "PID", "LOG"]);
    let mut rows: Vec<_> = children
        .iter()
        .map(|child| (ids.get(&layout.address(child.number)).copied(), child))
        .collect();
    rows.sort_by_key(|(node, _)| *node);
    for (node, child) in rows {
        table.row([
            format!("  {}", node.unwrap_or_default()),
            layout.address(child.number),
            child.pid.to_string(),
            shown(&layout.log(child.number)),
        ]);
    }
    lines.extend(table.lines());
    lines.push(String::new());
    lines.extend(examples(&layout.addresses()));
    lines
}

fn examples(addresses: &[String]) -> Vec<String> {
    let mut lines = vec!["Try, in another terminal:".to_owned()];
    let standard = addresses.first().is_some_and(|first| first.ends_with(":7401"));
    if !standard {
        lines.push(format!("  export ATOLL_ENDPOINTS={}", addresses.join(",")));
    }
    for example in [
        "put greeting hello",
        "get greeting",
        "status",
        "bench mixed --duration 5s",
    ] {
        lines.push(format!("  atoll {example}"));
    }
    lines.push(String::new());
    lines.push("Ctrl-C stops the cluster.".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ports_are_told() {
        let standard = examples(&["127.0.0.1:7401".to_owned()]).join("\n");
        assert!(!standard.contains("ATOLL_ENDPOINTS"));
        let other = examples(&["127.0.0.1:9001".to_owned(), "127.0.0.1:9002".to_owned()]).join("\n");
        assert!(other.contains("export ATOLL_ENDPOINTS=127.0.0.1:9001,127.0.0.1:9002"));
    }
}
