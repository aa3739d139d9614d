//! `atoll placement simulate`

use std::collections::{BTreeMap, BTreeSet};

use atoll_types::NodeId;
use atoll_types::limits::SLOTS;
use clap::Args;

use super::plan::{Change, Count, LoadRow, Outcome};
use crate::failure::{Failure, Result};
use crate::output::{Output, Report, Table};
use crate::screen::Screen;
use crate::units;

/// Print the balance and the movement of a planned change; asks nobody and changes nothing.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Data groups before the change.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=4096))]
    groups: u32,

    /// How many groups join.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=4096))]
    add_groups: u32,

    /// Numbers of the groups that leave; those before the change are numbered from 1.
    #[arg(long, value_delimiter = ',', value_name = "GROUP,…")]
    remove_groups: Vec<u32>,

    /// Nodes of the cluster [default: as many as --zones names, else 3].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    nodes: Option<u32>,

    /// The zone of each node, in order.
    #[arg(long, value_delimiter = ',', value_name = "ZONE,…")]
    zones: Vec<String>,

    /// Replicas of each group; fewer if there are fewer nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    rf: u32,

    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t)]
    output: Report,
}

impl Simulate {
    /// Computes and prints.
    pub(super) fn run(self, screen: Screen) -> Result {
        let change = self.change()?;
        let outcome = change.outcome();
        let mut output = Output::stdout();
        match self.output {
            Report::Json => output.json(&json(&outcome, &change.nodes))?,
            Report::Table | Report::Raw => {
                for line in lines(&outcome, &change.nodes, self.output.screen(screen)) {
                    output.line(&line)?;
                }
            }
        }
        output.finish()
    }

    fn change(&self) -> Result<Change> {
        let named = self.zones.len();
        let count = self
            .nodes
            .map_or(if named == 0 { 3 } else { named }, |nodes| nodes as usize);
        if named != 0 && named != count {
            return Err(Failure::usage(format!(
                "--zones names {named} zones, but there are {count} nodes"
            ))
            .next("name one zone per node, in order"));
        }
        let remove: BTreeSet<u32> = self.remove_groups.iter().copied().collect();
        if let Some(unknown) = remove.iter().find(|id| **id == 0 || **id > self.groups) {
            return Err(Failure::usage(format!(
                "there is no group {unknown} to remove: they are 1 to {}",
                self.groups
            )));
        }
        if self.groups + self.add_groups == remove.len() as u32 {
            return Err(Failure::usage("no group would be left to hold the slots"));
        }
        let zones = self.zones.iter().cloned().chain(std::iter::repeat(String::new()));
        Ok(Change {
            groups: self.groups,
            add: self.add_groups,
            remove,
            nodes: (1..).map(NodeId).zip(zones.take(count)).collect(),
            replicas: self.rf as usize,
        })
    }
}

fn lines(outcome: &Outcome, nodes: &BTreeMap<NodeId, String>, screen: Screen) -> Vec<String> {
    let shown = |count: Option<usize>| count.map_or("-".to_owned(), |count| units::count(count as u64));
    let mut groups = Table::new(&["GROUP", "SLOTS BEFORE", "AFTER", "GAINED", "LOST"]);
    for (group, row) in &outcome.groups {
        groups.row([
            group.to_string(),
            shown(row.before),
            shown(row.after),
            shown(Some(row.gained)),
            shown(Some(row.lost)),
        ]);
    }
    let mut lines = groups.fitted(screen);
    lines.push(String::new());
    lines.push(format!(
        "moved: {} of {} slots ({:.2} %), {} of them between groups that stay",
        units::count(outcome.moved as u64),
        units::count(u64::from(SLOTS)),
        outcome.moved_percent(),
        outcome.moved_between_stayers,
    ));
    lines.push(format!("map: {} runs of slots", arrow(outcome.runs)));
    lines.push(String::new());
    lines.extend(node_lines(outcome, nodes, screen));
    if outcome.zones.len() > 1 {
        lines.push(String::new());
        lines.extend(zone_lines(outcome, screen));
    }
    lines
}

fn node_lines(outcome: &Outcome, nodes: &BTreeMap<NodeId, String>, screen: Screen) -> Vec<String> {
    let mut table = Table::new(&["NODE", "ZONE", "REPLICAS", "LEADERS"]);
    for (node, row) in &outcome.nodes {
        let zone = nodes.get(node).map_or("", String::as_str);
        let [replicas, leaders] = load_cells(row);
        table.row([node.to_string(), zone_name(zone), replicas, leaders]);
    }
    table.fitted(screen)
}

fn zone_lines(outcome: &Outcome, screen: Screen) -> Vec<String> {
    let mut table = Table::new(&["ZONE", "NODES", "REPLICAS", "LEADERS"]);
    for (zone, row) in &outcome.zones {
        let [replicas, leaders] = load_cells(row);
        table.row([zone_name(zone), row.nodes.to_string(), replicas, leaders]);
    }
    let mut lines = table.fitted(screen);
    lines.push(match outcome.sharing_a_zone {
        0 => "no group has two replicas in one zone".to_owned(),
        count => format!("{count} groups have two replicas in one zone: there are too few zones"),
    });
    lines
}

fn load_cells(row: &LoadRow) -> [String; 2] {
    [arrow(row.replicas), arrow(row.leaders)]
}

fn zone_name(zone: &str) -> String {
    if zone.is_empty() {
        "-".to_owned()
    } else {
        zone.to_owned()
    }
}

fn arrow(count: Count) -> String {
    if count.before == count.after {
        units::count(count.before as u64)
    } else {
        format!(
            "{} → {}",
            units::count(count.before as u64),
            units::count(count.after as u64)
        )
    }
}

fn json(outcome: &Outcome, nodes: &BTreeMap<NodeId, String>) -> serde_json::Value {
    let count = |count: Count| serde_json::json!({ "before": count.before, "after": count.after });
    let groups = outcome.groups.iter().map(|(group, row)| {
        serde_json::json!({
            "group": group.to_string(),
            "slots_before": row.before,
            "slots_after": row.after,
            "gained": row.gained,
            "lost": row.lost,
        })
    });
    let per_node = outcome.nodes.iter().map(|(node, row)| {
        serde_json::json!({
            "node": node.to_string(),
            "zone": nodes.get(node),
            "replicas": count(row.replicas),
            "leaders": count(row.leaders),
        })
    });
    let per_zone = outcome.zones.iter().map(|(zone, row)| {
        serde_json::json!({
            "zone": zone,
            "nodes": row.nodes,
            "replicas": count(row.replicas),
            "leaders": count(row.leaders),
        })
    });
    serde_json::json!({
        "slots": SLOTS,
        "moved": outcome.moved,
        "moved_percent": outcome.moved_percent(),
        "moved_between_stayers": outcome.moved_between_stayers,
        "runs": count(outcome.runs),
        "groups_sharing_a_zone": outcome.sharing_a_zone,
        "groups": groups.collect::<Vec<_>>(),
        "nodes": per_node.collect::<Vec<_>>(),
        "zones": per_zone.collect::<Vec<_>>(),
    })
}
