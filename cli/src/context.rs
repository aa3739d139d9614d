//! What a command may use: the outside world, the terminal, and a client.
//!
//! On the command line a command makes its own client; in a shell all of them share one per cluster,
//! so that only the first has to connect.

use std::sync::Arc;

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
    /// `None`: clients are not kept.
    keeper: Option<Keeper>,
}

/// Keeps the client of the latest command.
#[derive(Clone, Default)]
pub(crate) struct Keeper(Arc<Mutex<Option<(Target, Client)>>>);

/// What makes one client differ from another. Everything else can be chosen call by call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where the cluster was looked for.
    pub(crate) endpoints: Vec<String>,
    /// Where this runs.
    pub(crate) zone: String,
}

impl Keeper {
    /// The client of the latest command.
    pub(crate) fn latest(&self) -> Option<Client> {
        self.0.lock().as_ref().map(|(_, client)| client.clone())
    }
}

impl Context {
    /// For one command.
    pub(crate) fn once(screen: Screen) -> Self {
        Self {
            env: Env::real(),
            screen,
            keeper: None,
        }
    }

    /// For many commands, one after the other.
    pub(crate) fn lasting(screen: Screen) -> Self {
        Self {
            keeper: Some(Keeper::default()),
            ..Self::once(screen)
        }
    }

    /// True in a shell.
    pub(crate) fn is_lasting(&self) -> bool {
        self.keeper.is_some()
    }

    /// What keeps the client of a shell; of a single command, one that stays empty.
    pub(crate) fn keeper(&self) -> Keeper {
        self.keeper.clone().unwrap_or_default()
    }

    /// The client kept for this target.
    pub(crate) fn kept(&self, target: &Target) -> Option<Client> {
        let kept = self.keeper.as_ref()?.0.lock();
        let (known, client) = kept.as_ref()?;
        (known == target).then(|| client.clone())
    }

    /// Keeps a client, in place of the one kept so far.
    pub(crate) fn keep(&self, target: Target, client: &Client) {
        if let Some(keeper) = &self.keeper {
            *keeper.0.lock() = Some((target, client.clone()));
        }
    }

    /// Closes the client that was kept, if any.
    pub(crate) async fn close(&self) {
        let kept = self.keeper().0.lock().take();
        if let Some((_, client)) = kept {
            client.close().await;
        }
    }
}
