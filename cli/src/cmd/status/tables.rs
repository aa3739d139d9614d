//! The survey for people.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::problems::Problem;
use crate::output::{Cell, Table};
use crate::screen::{Screen, Tint};
use crate::survey::{GroupView, Survey, Surveyed};
use crate::units::{bytes, count, span};

/// Columns before the text of a problem.
const LABEL: usize = 9;

/// The cluster the nodes belong to, if they do.
pub(super) fn cluster_id(survey: &Survey) -> Option<&str> {
    survey
        .answers()
        .map(|reply| &reply.cluster_id[..])
        .find(|id| !id.is_empty())
}

/// Problems, nodes, groups.
pub(super) fn to_lines(survey: &Survey, problems: &[Problem], screen: Screen) -> Vec<String> {
    let mut lines = head(survey, problems, screen);
    for problem in problems {
        let tint = if problem.grave { Tint::Bad } else { Tint::Warning };
        lines.extend(paragraph(screen.tint(tint, "problem:"), &problem.what, screen));
        lines.extend(paragraph("   next:".to_owned(), &problem.next, screen));
    }
    lines.push(String::new());
    lines.extend(nodes(survey).fitted(screen));
    let groups = survey.groups();
    if !groups.is_empty() {
        lines.push(String::new());
        lines.extend(groups_table(&groups).fitted(screen));
    }
    lines
}

/// Text behind a label of eight columns, broken between words where the terminal ends.
fn paragraph(label: String, text: &str, screen: Screen) -> Vec<String> {
    let room = screen
        .width
        .map_or(usize::MAX, |width| width.saturating_sub(LABEL).max(LABEL));
    let mut lines = vec![label];
    let mut used = 0;
    for word in text.split(' ') {
        if used > 0 && used + 1 + word.width() > room {
            lines.push(" ".repeat(LABEL - 1));
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
        used += 1 + word.width();
    }
    lines
}

fn head(survey: &Survey, problems: &[Problem], screen: Screen) -> Vec<String> {
    let Some(cluster) = cluster_id(survey) else {
        return vec!["no cluster yet; make one with `atoll init`".to_owned()];
    };
    let data = survey.groups().iter().filter(|view| view.group != 0).count();
    let verdict = match problems.len() {
        0 => screen.tint(Tint::Good, "all well"),
        1 => screen.tint(Tint::Warning, "1 problem"),
        some => screen.tint(Tint::Warning, &format!("{some} problems")),
    };
    let counts = format!("{} nodes, {data} data groups, ", survey.nodes.len());
    let first = format!("cluster {cluster}");
    // Two lines where one has no room; a verdict takes at most 12 columns.
    match screen.width {
        Some(width) if first.len() + counts.len() + 14 > width => vec![first, counts + &verdict],
        _ => vec![format!("{first}: {counts}{verdict}")],
    }
}

fn nodes(survey: &Survey) -> Table {
    let mut table = Table::new(&[
        "NODE",
        "ADDRESS",
        "ZONE",
        "STATE",
        "LEADS",
        "UPTIME",
        "MEMORY",
        "CLOCK",
        "VERSION",
        "CPU",
        "CMDS/ENTRY",
        "ENTRIES/SYNC",
    ])
    .giving_way(&[
        "ENTRIES/SYNC",
        "CMDS/ENTRY",
        "CPU",
        "VERSION",
        "CLOCK",
        "MEMORY",
        "ZONE",
        "UPTIME",
        "ADDRESS",
    ]);
    let groups = survey.groups();
    for seen in &survey.nodes {
        table.row(node(seen, &groups));
    }
    table
}

fn node(seen: &Surveyed, groups: &[GroupView]) -> Vec<Cell> {
    let id = match seen.node {
        0 => "-".to_owned(),
        node => node.to_string(),
    };
    let zone = or_dash(seen.zone.clone());
    let Ok(reply) = &seen.answer else {
        let state = Cell::tinted(Tint::Bad, "unreachable");
        return vec![id.into(), seen.address.clone().into(), zone.into(), state];
    };
    let state = match &reply.state[..] {
        "serving" => Cell::tinted(Tint::Good, "serving"),
        state => Cell::tinted(Tint::Warning, state),
    };
    let counters = reply.counters.unwrap_or_default();
    let leads = groups
        .iter()
        .filter(|view| view.leader == seen.node && seen.node != 0)
        .count();
    let figure = |figure: u64| {
        if figure == 0 {
            "-".to_owned()
        } else {
            figure.to_string()
        }
    };
    vec![
        id.into(),
        seen.address.clone().into(),
        zone.into(),
        state,
        leads.to_string().into(),
        span(Duration::from_millis(reply.uptime_ms)).into(),
        bytes(counters.resident_bytes).into(),
        offset(reply.clock_offset_ms).into(),
        reply.version.clone().into(),
        span(Duration::from_micros(counters.cpu_us)).into(),
        figure(counters.commands_per_entry_p50).into(),
        figure(counters.entries_per_sync_p50).into(),
    ]
}

fn groups_table(groups: &[GroupView]) -> Table {
    let mut table = Table::new(&[
        "GROUP",
        "LEADER",
        "REPLICAS",
        "SLOTS",
        "KEYS",
        "LAG",
        "AGE",
        "TERM",
        "LAST",
        "COMMITTED",
    ])
    .giving_way(&["COMMITTED", "LAST", "TERM", "SLOTS", "AGE", "REPLICAS", "KEYS"]);
    for view in groups {
        let leader = match view.leader {
            0 => Cell::tinted(Tint::Bad, "none"),
            leader => format!("node {leader}").into(),
        };
        let all_run = view.placed.keys().all(|node| view.applied.contains_key(node));
        let replicas = replicas(view);
        table.row([
            group_name(view.group).into(),
            leader,
            Cell::tinted(if all_run { Tint::Plain } else { Tint::Warning }, replicas),
            count(u64::from(view.slots)).into(),
            count(view.keys).into(),
            count(view.lag()).into(),
            age(view).into(),
            view.term.to_string().into(),
            view.last_index.to_string().into(),
            view.committed_index.to_string().into(),
        ]);
    }
    table
}

fn group_name(group: u64) -> String {
    match group {
        0 => "0 (control)".to_owned(),
        group => group.to_string(),
    }
}

/// The nodes of its replicas, those that do not run marked.
pub(super) fn replicas(view: &GroupView) -> String {
    let nodes = view.placed.keys().map(|node| {
        let mark = if view.applied.contains_key(node) { "" } else { "?" };
        format!("{node}{mark}")
    });
    nodes.collect::<Vec<_>>().join(",")
}

/// The stalest of the answering replicas.
fn age(view: &GroupView) -> String {
    if view.ages.len() < view.applied.len() {
        return "-".to_owned();
    }
    let oldest = view.ages.values().max().copied().unwrap_or(0);
    format!("{} ms", count(oldest))
}

/// By how much a node's wall clock is ahead of the others'.
fn offset(ms: Option<i64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:+} ms"))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
pub(super) mod tests {
    use atoll_proto::v1::{GroupStatus, ReplicaStatus, StatusReply};

    use super::super::problems;
    use super::*;

    /// Group 1 on nodes 1 (its leader, if any), 2 and 3, of which only node 1 answers.
    pub(in super::super) fn survey(leader: u64) -> Survey {
        let group = GroupStatus {
            group: 1,
            term: 2,
            leader_node: leader,
            last_index: 9,
            applied_index: 7,
            slots: 16_384,
            hosted: true,
            age_ms: Some(4),
            replicas: [1, 2, 3]
                .map(|node| ReplicaStatus {
                    replica: node + 10,
                    node,
                })
                .to_vec(),
            ..GroupStatus::default()
        };
        let reply = StatusReply {
            cluster_id: "c0ffee".to_owned(),
            node: 1,
            state: "serving".to_owned(),
            groups: vec![group],
            ..StatusReply::default()
        };
        let node = |node: u64, address: &str, answer| Surveyed {
            address: address.to_owned(),
            node,
            zone: "east".to_owned(),
            answer,
        };
        let gone = || Err("b:1: refused".to_owned());
        Survey {
            nodes: vec![
                node(1, "a:1", Ok(reply)),
                node(2, "b:1", gone()),
                node(3, "c:1", gone()),
            ],
        }
    }

    #[test]
    fn the_tables_name_leaders_lag_and_unreachable_nodes() {
        let survey = survey(1);
        let lines = to_lines(&survey, &problems::find(&survey), Screen::NONE).join("\n");
        for part in [
            "cluster c0ffee: 3 nodes, 1 data groups, 2 problems",
            "unreachable",
            "node 1",
            "1,2?,3?",
            "16,384",
            "b:1",
            "east",
            "4 ms",
        ] {
            assert!(lines.contains(part), "{part} in\n{lines}");
        }
    }

    #[test]
    fn no_line_is_longer_than_the_terminal() {
        for width in [40, 60, 100] {
            let screen = Screen {
                width: Some(width),
                ..Screen::NONE
            };
            let survey = survey(0);
            for line in to_lines(&survey, &problems::find(&survey), screen) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
        let lines = paragraph("label:".to_owned(), "one two", Screen::NONE);
        assert_eq!(lines, ["label: one two"]);
    }
}
