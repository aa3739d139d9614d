//! What a command may use: the outside world, the terminal, and a client.
//!
//! On the command line a command makes its own client; in a shell all of them share one per cluster,
//! so that only the first has to connect.

use atoll_client::Client;
use atoll_env::Env;
use parking_lot::Mutex;

use crate::screen::Screen;

/// Given to every command.
pub(crate) struct Context {
    /// Clock, files, network.
    pub(crate) env: Env,
    /// Where the output goes.
    pub(crate) screen: Screen,
    /// The client of the latest command, and what it is connected to. `None`: clients are not kept.
    kept: Option<Mutex<Kept>>,
}

type Kept = Option<(Target, Client)>;

/// What makes one client differ from another. Everything else can be chosen call by call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where the cluster was looked for.
    pub(crate) endpoints: Vec<String>,
    /// Where this runs.
    pub(crate) zone: String,
}

impl Context {
    /// For one command.
    pub(crate) fn once(screen: Screen) -> Self {
        Self {
            env: Env::real(),
            screen,
            kept: None,
        }
    }

    /// True in a shell.
    pub(crate) fn is_lasting(&self) -> bool {
        self.kept.is_some()
    }

    /// The client kept for this target.
    pub(crate) fn kept(&self, target: &Target) -> Option<Client> {
        let kept = self.kept.as_ref()?.lock();
        let (known, client) = kept.as_ref()?;
        (known == target).then(|| client.clone())
    }

    /// Keeps a client, in place of the one kept so far.
    pub(crate) fn keep(&self, target: Target, client: &Client) {
        if let Some(kept) = &self.kept {
            *kept.lock() = Some((target, client.clone()));
        }
    }
}
