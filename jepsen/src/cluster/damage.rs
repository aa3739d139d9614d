//! What was done to nodes that excuses what they do.

use super::Cluster;
use super::life::Death;

/// A group has so many replicas at most; of fewer than half of them data may be lost for good.
const REPLICAS: u16 = 3;

impl Cluster {
    /// Asks for leave to damage a node's disk for good. Given only while data has enough other replicas; the node
    /// is then not required to recover, and may end by itself.
    pub fn spoil(&self, node: u16, why: &str) -> bool {
        let most = (self.nodes().min(REPLICAS) - 1) / 2;
        // All at once: two nemeses that ask at the same moment must not both be last.
        let mut lives: Vec<_> = self.nodes.iter().map(|node| node.life.lock()).collect();
        let position = usize::from(node).wrapping_sub(1);
        let spoiled = lives.iter().filter(|life| life.spoiled.is_some()).count();
        let Some(life) = lives.get_mut(position) else {
            return false;
        };
        let given = life.spoiled.is_some() || spoiled < usize::from(most);
        if given {
            life.spoiled.get_or_insert_with(|| why.to_owned());
            life.excuses.insert(why.to_owned());
        }
        given
    }

    /// Nodes whose disks were damaged for good, with the reason.
    pub fn spoiled(&self) -> Vec<(u16, String)> {
        let why = |node| Some((node, self.life(node)?.spoiled.clone()?));
        self.numbers().filter_map(why).collect()
    }

    /// From now on this node may end by itself, and log errors: something is done to it that asks for that.
    pub fn excuse(&self, node: u16, why: &str) {
        if let Some(mut life) = self.life(node) {
            life.excuses.insert(why.to_owned());
        }
    }

    /// From now on this node may log errors in which this word stands, and no others.
    pub fn expect_errors(&self, node: u16, word: &'static str) {
        if let Some(mut life) = self.life(node) {
            life.expected.insert(word);
        }
    }

    /// See [`Cluster::expect_errors`].
    pub fn expected_errors(&self, node: u16) -> Vec<&'static str> {
        let expected = self.life(node).map(|life| life.expected.clone());
        expected.into_iter().flatten().collect()
    }

    /// Whether errors of this node's log and its end mean nothing: why.
    pub fn excuses(&self, node: u16) -> Vec<String> {
        let excuses = self.life(node).map(|life| life.excuses.clone());
        excuses.into_iter().flatten().collect()
    }

    /// Ends that nobody had asked for.
    pub fn deaths(&self) -> Vec<Death> {
        let deaths = |node| self.life(node).map(|life| life.deaths.clone());
        self.numbers().filter_map(deaths).flatten().collect()
    }
}
