//! Which cluster, and for how long to try.

use std::time::Duration;

use atoll_client::{Client, Options};
use clap::Args;

use crate::context::{Context, Target};
use crate::failure::{Failure, Result};
use crate::units::{parse_address, parse_duration};

/// Where `atoll dev` serves unless told otherwise.
const ENDPOINTS: &str = "127.0.0.1:7401,127.0.0.1:7402,127.0.0.1:7403";

/// Which cluster, and for how long to try.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Connect {
    /// Addresses of nodes, separated by commas; any of them will do.
    #[arg(long, env = "ATOLL_ENDPOINTS", hide_env_values = true, value_delimiter = ',', default_value = ENDPOINTS)]
    #[arg(value_parser = parse_address, value_name = "HOST:PORT,…")]
    pub(crate) endpoints: Vec<String>,

    /// Give up on one operation after this long [default: 15s; import, export: 60s].
    #[arg(long, env = "ATOLL_DEADLINE", hide_env_values = true, value_parser = parse_duration, value_name = "TIME")]
    deadline: Option<Duration>,

    /// The zone this runs in, as the nodes' --zone calls it; `--routing nearest` prefers it.
    #[arg(
        long,
        env = "ATOLL_CLIENT_ZONE",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    zone: String,
}

impl Connect {
    /// A client with the client crate's default deadline.
    pub(crate) async fn client(&self, context: &Context) -> Result<Client> {
        self.client_within(context, Options::default().deadline).await
    }

    /// A client whose operations give up after `default`, unless `--deadline` says otherwise.
    pub(crate) async fn client_within(&self, context: &Context, default: Duration) -> Result<Client> {
        let deadline = self.deadline_or(default);
        let target = Target {
            endpoints: self.endpoints.clone(),
            zone: self.zone.clone(),
        };
        if let Some(client) = context.kept(&target) {
            return Ok(client.with_deadline(deadline));
        }
        let options = Options {
            deadline,
            zone: self.zone.clone(),
            ..Options::default()
        };
        let client = Client::connect(&context.env, &self.endpoints, options)
            .await
            .map_err(|error| {
                let place = format!("cannot reach a cluster at {}", self.endpoints.join(", "));
                Failure::from(error).during(&place)
            })?;
        context.keep(target, &client);
        Ok(client)
    }

    /// `--deadline`, or else `default`.
    pub(crate) fn deadline_or(&self, default: Duration) -> Duration {
        self.deadline.unwrap_or(default)
    }
}
