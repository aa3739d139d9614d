//! `atoll transfer-leader`

use atoll_client::admin;
use atoll_types::{GroupId, NodeId};
use clap::Args;

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::options::Connect;
use crate::output::Output;
use crate::survey::Survey;

const EXAMPLES: &str = "\
Examples:
  atoll status                              shows groups, nodes and leaders
  atoll transfer-leader --group 1 --to 2

Returns once the hand-over was accepted; `atoll status` shows its result.";

/// Hand a group's leadership to the replica on another node.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TransferLeader {
    /// The group.
    #[arg(long)]
    group: u64,

    /// The node that shall lead.
    #[arg(long, value_name = "NODE")]
    to: u64,

    #[command(flatten)]
    connect: Connect,
}

impl TransferLeader {
    /// Finds the group's leader and asks it.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let survey = Survey::take(&context.env, &self.connect.endpoints).await?;
        let address = survey.leader_address(self.group).ok_or_else(|| {
            let what = format!("no reachable node knows a leader of group {}", self.group);
            Failure::new(Exit::Unavailable, what)
                .next("see `atoll status`; if it has no leader, wait and repeat")
        })?;
        admin::transfer_leader(&context.env, address, GroupId(self.group), NodeId(self.to)).await?;
        let mut output = Output::stdout();
        output.line(&format!("group {}: node {} takes over", self.group, self.to))?;
        output.finish()
    }
}
