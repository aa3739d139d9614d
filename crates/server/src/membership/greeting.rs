//! How far a directory has come, and what nodes tell each other about it.

use atoll_types::{ClusterId, NodeId, NodeUuid};

use crate::identity::{Claim, Ident, Member};

/// How far this directory has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Only a uuid.
    Fresh,
    /// Promised to a set, but not known yet whether all of it is.
    Claimed(Claim),
    /// Promised to a cluster that exists and has given it a node id; about to be admitted.
    Joining(Ident),
    /// Part of a cluster.
    Admitted(Ident, Option<Claim>),
}

impl Standing {
    pub(super) fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Fresh | Self::Joining(_) => None,
            Self::Claimed(claim) => Some(claim),
            Self::Admitted(_, claim) => claim.as_ref(),
        }
    }
}

/// What a node says of itself, asked or unasked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// Its cluster and node id, once admitted.
    pub(crate) ident: Option<(ClusterId, NodeId)>,
    /// Its directory.
    pub(crate) uuid: NodeUuid,
    /// Which start of it this is.
    pub(crate) incarnation: u64,
    /// Where it is.
    pub(crate) address: String,
    /// The failure domain it is in; empty: not told.
    pub(crate) zone: String,
    /// Whom it has seen.
    pub(crate) known: Vec<Member>,
    /// The claim it holds while it is not admitted.
    pub(crate) claim: Option<(ClusterId, Vec<Member>)>,
    /// Its wall clock, in answers only; 0: not told.
    pub(crate) wall_ms: u64,
}

/// What a person types to finish a claimed set.
pub(crate) fn init_command(claim: &Claim) -> String {
    format!("atoll init --nodes {}", claim.addresses())
}
