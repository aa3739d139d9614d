//! `atoll init`

use atoll_client::admin::{self, InitOptions};
use atoll_env::Env;
use atoll_proto::v1::InitReply;
use clap::Args;

use crate::failure::{Exit, Failure, Result};
use crate::options::Connect;
use crate::output::{Output, Report, Table};
use crate::screen::Screen;
use crate::units::parse_address;

const EXAMPLES: &str = "\
Examples:
  atoll init --endpoints a:7401 --nodes a:7401,b:7401,c:7401
  atoll init --endpoints a:7401             the node's own --join list and itself
  atoll init --endpoints a:7401 --groups 12

Safe to repeat with the same nodes; a node that belongs elsewhere refuses and says so.";

/// Make a cluster of freshly started nodes, once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Init {
    /// The nodes the cluster begins with [default: the asked node's --join list and itself].
    #[arg(long, value_delimiter = ',', value_parser = parse_address, value_name = "HOST:PORT,…")]
    nodes: Vec<String>,

    /// Data groups to make [default: two per node].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    groups: Option<u32>,

    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t)]
    output: Report,

    #[command(flatten)]
    connect: Connect,
}

impl Init {
    /// Asks the first endpoint that can be reached.
    pub(crate) async fn run(self) -> Result {
        let reply = self.ask().await?;
        let mut output = Output::stdout();
        match self.output {
            Report::Json => output.json(&json(&reply))?,
            Report::Table | Report::Raw => {
                let what = if reply.already {
                    "was already made of"
                } else {
                    "is made of"
                };
                let (cluster, count) = (&reply.cluster_id, reply.nodes.len());
                output.line(&format!("cluster {cluster} {what} {count} nodes"))?;
                let mut table = Table::new(&["NODE", "ADDRESS", "UUID"]);
                for node in &reply.nodes {
                    table.row([node.node.to_string(), node.address.clone(), node.uuid.clone()]);
                }
                for line in table.fitted(self.output.screen(Screen::NONE)) {
                    output.line(&line)?;
                }
            }
        }
        output.finish()
    }

    async fn ask(&self) -> Result<InitReply> {
        let env = Env::real();
        let mut last = Failure::usage("no endpoint was given");
        for endpoint in &self.connect.endpoints {
            let options = InitOptions {
                addresses: self.nodes.clone(),
                groups: self.groups.unwrap_or(0),
                deadline: self.connect.deadline_or(InitOptions::default().deadline),
            };
            match admin::init(&env, endpoint, options).await {
                Ok(reply) => return Ok(reply),
                Err(error) => last = Failure::from(error),
            }
            // Only a node that could not be asked leaves a reason to ask another.
            if last.exit != Exit::Unavailable {
                break;
            }
        }
        Err(last)
    }
}

fn json(reply: &InitReply) -> serde_json::Value {
    let nodes = reply.nodes.iter().map(|node| {
        serde_json::json!({ "node": node.node.to_string(), "uuid": node.uuid, "address": node.address })
    });
    serde_json::json!({
        "cluster_id": reply.cluster_id,
        "already": reply.already,
        "nodes": nodes.collect::<Vec<_>>(),
    })
}
