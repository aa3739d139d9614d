//! Which faults lie over which links.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::{Cut, LinkFault, Overlay, Party};

/// One direction of a link: from, to.
pub(super) type Direction = (Party, Party);

/// The overlays that are in place.
#[derive(Debug, Default)]
pub(super) struct Overlays {
    laid: BTreeMap<Overlay, Vec<Cut>>,
    next: u64,
}

impl Overlays {
    /// Notes an overlay.
    pub(super) fn lay(&mut self, cuts: &[Cut]) -> Overlay {
        let overlay = Overlay(self.next);
        self.next += 1;
        self.laid.insert(overlay, cuts.to_vec());
        overlay
    }

    /// Forgets an overlay and says what it was.
    ///
    /// # Errors
    /// If it is not in place.
    pub(super) fn lift(&mut self, overlay: Overlay) -> io::Result<Vec<Cut>> {
        self.laid.remove(&overlay).ok_or_else(|| {
            let text = format!("there is no overlay {}: it was lifted before", overlay.0);
            io::Error::new(io::ErrorKind::NotFound, text)
        })
    }

    /// Everything that is wrong with one direction.
    pub(super) fn faults(&self, direction: Direction) -> impl Iterator<Item = LinkFault> {
        let cuts = self.laid.values().flatten();
        cuts.filter(move |cut| (cut.from, cut.to) == direction)
            .map(|cut| cut.fault)
    }
}

/// The directions that these faults are about.
pub(super) fn directions(cuts: &[Cut]) -> BTreeSet<Direction> {
    cuts.iter().map(|cut| (cut.from, cut.to)).collect()
}

/// Checks that links of so many nodes can have these faults.
///
/// # Errors
/// If a node does not exist, or a party would be cut off from itself.
pub(super) fn check(cuts: &[Cut], nodes: u16) -> io::Result<()> {
    let exists = |party| match party {
        Party::Clients => true,
        Party::Node(node) => (1..=nodes).contains(&node),
    };
    match cuts
        .iter()
        .find(|cut| cut.from == cut.to || !exists(cut.from) || !exists(cut.to))
    {
        None => Ok(()),
        Some(cut) => {
            let text = format!("there is no link from {:?} to {:?}", cut.from, cut.to);
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        }
    }
}
