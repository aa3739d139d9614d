//! `atoll placement`: what the placement of slots and replicas would do, without a cluster.
//!
//! [`simulate`] reads the options and prints; [`plan`] is the arithmetic, with the very functions that
//! the control plane uses.

mod plan;
mod simulate;

use clap::{Args, Subcommand};

use self::simulate::Simulate;
use crate::failure::Result;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  atoll placement simulate --groups 6 --add-groups 2
  atoll placement simulate --groups 6 --remove-groups 2,5
  atoll placement simulate --groups 10 --nodes 5 --zones a,a,b,b,c --rf 3 --output json";

/// Look at placement without a cluster.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Placement {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Simulate(Simulate),
}

impl Placement {
    /// Needs no runtime: nothing here waits.
    pub(crate) fn run(self, screen: Screen) -> Result {
        match self.what {
            What::Simulate(simulate) => simulate.run(screen),
        }
    }
}
