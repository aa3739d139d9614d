//! `atoll status`

use std::time::Duration;

use atoll_proto::v1::Counters;
use clap::Args;
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::options::Connect;
use crate::output::{Cell, Output, Report, Table};
use crate::screen::{Screen, Tint};
use crate::survey::{GroupView, Survey, Surveyed};
use crate::units::{bytes, count, span};

const EXAMPLES: &str = "\
Examples:
  atoll status
  atoll status --output json | jq '.groups[] | {group, leader, lag}'
  atoll status --endpoints 10.0.0.5:7401

LAG is how many log entries the slowest answering replica still has to apply. CMDS/ENTRY and
ENTRIES/SYNC are medians of what one log entry and one disk sync carry. CLOCK is by how much a node's wall
clock is ahead of the median; more than 500 ms apart it leaves leading to others.
Exits with 3 if no node answers or a group has no leader.";

/// Show nodes, groups, leaders and how far replicas are behind.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Status {
    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t)]
    output: Report,

    #[command(flatten)]
    connect: Connect,
}

impl Status {
    /// Asks every node and prints the picture.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let survey = Survey::take(&context.env, &self.connect.endpoints).await?;
        let mut output = Output::stdout();
        match self.output {
            Report::Json => output.json(&to_json(&survey))?,
            Report::Table => {
                for line in to_lines(&survey, context.screen) {
                    output.line(&line)?;
                }
            }
        }
        output.finish()?;
        health(&survey)
    }
}

/// What needs attention, as the exit code.
fn health(survey: &Survey) -> Result {
    let leaderless: Vec<_> = survey
        .groups()
        .iter()
        .filter(|view| view.leader == 0)
        .map(|view| view.group.to_string())
        .collect();
    if leaderless.is_empty() {
        return Ok(());
    }
    let what = format!("no leader is known for group {}", leaderless.join(", "));
    Err(Failure::new(Exit::Unavailable, what)
        .next("an election takes about 2 seconds; if it lasts, a majority of the nodes is not running"))
}

fn cluster_id(survey: &Survey) -> Option<&str> {
    survey
        .answers()
        .map(|reply| &reply.cluster_id[..])
        .find(|id| !id.is_empty())
}

fn to_lines(survey: &Survey, screen: Screen) -> Vec<String> {
    let Some(cluster) = cluster_id(survey) else {
        let mut lines = vec![
            "no cluster yet; make one with `atoll init`".to_owned(),
            String::new(),
        ];
        lines.extend(nodes_table(survey).fitted(screen));
        return lines;
    };
    let mut lines = vec![format!("cluster {cluster}"), String::new()];
    lines.extend(nodes_table(survey).fitted(screen));
    lines.push(String::new());
    lines.extend(groups_table(survey).fitted(screen));
    lines
}

fn nodes_table(survey: &Survey) -> Table {
    let mut table = Table::new(&[
        "NODE",
        "ADDRESS",
        "STATE",
        "VERSION",
        "UPTIME",
        "CPU",
        "MEMORY",
        "CLOCK",
        "CMDS/ENTRY",
        "ENTRIES/SYNC",
    ])
    .giving_way(&[
        "CPU",
        "ENTRIES/SYNC",
        "CMDS/ENTRY",
        "MEMORY",
        "VERSION",
        "UPTIME",
        "CLOCK",
        "ADDRESS",
    ]);
    for seen in &survey.nodes {
        let id = if seen.node == 0 {
            "-".to_owned()
        } else {
            seen.node.to_string()
        };
        let Ok(reply) = &seen.answer else {
            table.row([
                id.into(),
                seen.address.clone().into(),
                Cell::tinted(Tint::Bad, "unreachable"),
            ]);
            continue;
        };
        let counters = reply.counters.unwrap_or_default();
        table.row([
            id,
            seen.address.clone(),
            reply.state.clone(),
            reply.version.clone(),
            span(Duration::from_millis(reply.uptime_ms)),
            span(Duration::from_micros(counters.cpu_us)),
            bytes(counters.resident_bytes),
            offset(reply.clock_offset_ms),
            or_dash(counters.commands_per_entry_p50),
            or_dash(counters.entries_per_sync_p50),
        ]);
    }
    table
}

fn groups_table(survey: &Survey) -> Table {
    let mut table = Table::new(&[
        "GROUP",
        "LEADER",
        "TERM",
        "SLOTS",
        "KEYS",
        "LAST",
        "COMMITTED",
        "REPLICAS",
        "LAG",
    ])
    .giving_way(&["COMMITTED", "LAST", "TERM", "SLOTS", "KEYS", "REPLICAS"]);
    for view in survey.groups() {
        let replicas: Vec<_> = view.applied.keys().map(ToString::to_string).collect();
        table.row([
            if view.group == 0 {
                "0 (control)".to_owned()
            } else {
                view.group.to_string()
            },
            if view.leader == 0 {
                "none".to_owned()
            } else {
                format!("node {}", view.leader)
            },
            view.term.to_string(),
            view.slots.to_string(),
            count(view.keys),
            view.last_index.to_string(),
            view.committed_index.to_string(),
            replicas.join(","),
            count(view.lag()),
        ]);
    }
    table
}

/// By how much a node's wall clock is ahead of the others'.
fn offset(ms: Option<i64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:+} ms"))
}

fn or_dash(figure: u64) -> String {
    if figure == 0 {
        "-".to_owned()
    } else {
        figure.to_string()
    }
}

/// 64-bit numbers are strings.
fn to_json(survey: &Survey) -> Value {
    json!({
        "cluster_id": cluster_id(survey),
        "nodes": survey.nodes.iter().map(node_json).collect::<Vec<_>>(),
        "groups": survey.groups().iter().map(group_json).collect::<Vec<_>>(),
    })
}

fn node_json(seen: &Surveyed) -> Value {
    match &seen.answer {
        Err(error) => json!({
            "node": seen.node.to_string(), "address": seen.address, "reachable": false, "error": error,
        }),
        Ok(reply) => json!({
            "node": seen.node.to_string(),
            "address": seen.address,
            "reachable": true,
            "state": reply.state,
            "version": reply.version,
            "map_epoch": reply.map_epoch.to_string(),
            "uptime_ms": reply.uptime_ms.to_string(),
            "clock_offset_ms": reply.clock_offset_ms.map(|ms| ms.to_string()),
            "counters": counters_json(&reply.counters.unwrap_or_default()),
        }),
    }
}

fn counters_json(counters: &Counters) -> Value {
    json!({
        "entries": counters.entries.to_string(),
        "commands": counters.commands.to_string(),
        "syncs": counters.syncs.to_string(),
        "entries_synced": counters.entries_synced.to_string(),
        "bytes_synced": counters.bytes_synced.to_string(),
        "peer_frames": counters.peer_frames.to_string(),
        "peer_messages": counters.peer_messages.to_string(),
        "read_rounds": counters.read_rounds.to_string(),
        "reads": counters.reads.to_string(),
        "cpu_us": counters.cpu_us.to_string(),
        "resident_bytes": counters.resident_bytes.to_string(),
        "commands_per_entry_p50": counters.commands_per_entry_p50.to_string(),
        "entries_per_sync_p50": counters.entries_per_sync_p50.to_string(),
    })
}

fn group_json(view: &GroupView) -> Value {
    let applied = view
        .applied
        .iter()
        .map(|(node, index)| json!({ "node": node.to_string(), "applied_index": index.to_string() }));
    json!({
        "group": view.group.to_string(),
        "slots": view.slots,
        "leader": (view.leader != 0).then(|| view.leader.to_string()),
        "term": view.term.to_string(),
        "last_index": view.last_index.to_string(),
        "committed_index": view.committed_index.to_string(),
        "lag": view.lag().to_string(),
        "keys": view.keys.to_string(),
        "sessions": view.sessions.to_string(),
        "replicas": applied.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use atoll_proto::v1::{GroupStatus, StatusReply};

    use super::*;

    fn survey(leader: u64) -> Survey {
        let group = GroupStatus {
            group: 1,
            term: 2,
            leader_node: leader,
            last_index: 9,
            applied_index: 7,
            slots: 16_384,
            hosted: true,
            ..GroupStatus::default()
        };
        let reply = StatusReply {
            cluster_id: "c0ffee".to_owned(),
            node: 1,
            state: "serving".to_owned(),
            groups: vec![group],
            ..StatusReply::default()
        };
        let gone = Surveyed {
            address: "b:1".to_owned(),
            node: 2,
            answer: Err("refused".to_owned()),
        };
        Survey {
            nodes: vec![
                Surveyed {
                    address: "a:1".to_owned(),
                    node: 1,
                    answer: Ok(reply),
                },
                gone,
            ],
        }
    }

    #[test]
    fn the_table_names_leaders_lag_and_unreachable_nodes() {
        let lines = to_lines(&survey(1), Screen::NONE).join("\n");
        for part in ["cluster c0ffee", "unreachable", "node 1", "16384", "b:1"] {
            assert!(lines.contains(part), "{part} in\n{lines}");
        }
    }

    #[test]
    fn json_numbers_of_64_bits_are_strings() {
        let json = to_json(&survey(1));
        assert_eq!(json["groups"][0]["leader"], "1");
        assert_eq!(json["groups"][0]["lag"], "2");
        assert_eq!(json["groups"][0]["term"], "2");
        assert_eq!(json["nodes"][1]["reachable"], false);
        assert_eq!(json["nodes"][0]["counters"]["cpu_us"], "0");
        assert_eq!(to_json(&survey(0))["groups"][0]["leader"], Value::Null);
    }

    #[test]
    fn a_group_without_leader_shows_in_the_exit_code() {
        assert!(health(&survey(1)).is_ok());
        assert_eq!(health(&survey(0)).unwrap_err().exit, Exit::Unavailable);
    }

    #[test]
    fn before_init_it_says_what_to_do() {
        let mut fresh = survey(0);
        if let Ok(reply) = &mut fresh.nodes[0].answer {
            *reply = StatusReply {
                state: "waiting for init".to_owned(),
                ..StatusReply::default()
            };
        }
        assert!(to_lines(&fresh, Screen::NONE)[0].contains("atoll init"));
    }
}
