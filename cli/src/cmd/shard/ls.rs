//! `atoll shard ls`

use clap::Args;
use serde_json::json;

use super::picture::{Picture, in_words, slots};
use crate::context::Context;
use crate::failure::Result;
use crate::options::Connect;
use crate::output::{Cell, Output, Report, Table};
use crate::screen::Tint;
use crate::units::count;

const EXAMPLES: &str = "\
Examples:
  atoll shard ls
  atoll shard ls --output json | jq '.groups[] | {group, leader, slots}'

Slots are hash buckets of keys, 0 to 16383; every slot belongs to one group. REPLICAS are nodes.";

/// List the groups with their slots, leaders, replicas and keys.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Ls {
    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t)]
    output: Report,

    #[command(flatten)]
    connect: Connect,
}

impl Ls {
    pub(super) async fn run(self, context: &Context) -> Result {
        let picture = Picture::take(&context.env, &self.connect.endpoints).await?;
        let mut output = Output::stdout();
        match self.output {
            Report::Json => output.json(&json!({
                "epoch": picture.epoch().to_string(),
                "groups": picture.groups().map(|group| picture.json(group)).collect::<Vec<_>>(),
            }))?,
            Report::Table | Report::Raw => {
                for line in table(&picture).fitted(self.output.screen(context.screen)) {
                    output.line(&line)?;
                }
            }
        }
        output.finish()
    }
}

fn table(picture: &Picture) -> Table {
    let mut table = Table::new(&["GROUP", "LEADER", "REPLICAS", "KEYS", "SLOTS", "RANGES"])
        .giving_way(&["RANGES", "REPLICAS", "KEYS"]);
    for group in picture.groups() {
        let runs = picture.runs(group.group);
        let nodes: Vec<_> = group
            .replicas
            .iter()
            .map(|replica| replica.node.to_string())
            .collect();
        let leader = match picture.leader(group) {
            0 => Cell::tinted(Tint::Bad, "none"),
            leader => format!("node {leader}").into(),
        };
        table.row([
            group.group.to_string().into(),
            leader,
            nodes.join(",").into(),
            count(picture.view(group.group).keys).into(),
            count(u64::from(slots(&runs))).into(),
            Cell::from(in_words(&runs)),
        ]);
    }
    table
}
