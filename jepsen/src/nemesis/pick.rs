//! Choosing at random, and naming what was chosen.

use atoll_env::Rng;

/// One of several; none of none.
pub(crate) fn one<T: Copy>(of: &[T], rng: &Rng) -> Option<T> {
    of.get(rng.below(of.len() as u64) as usize).copied()
}

/// All in a random order.
pub(crate) fn shuffled<T>(mut all: Vec<T>, rng: &Rng) -> Vec<T> {
    for last in (1..all.len()).rev() {
        all.swap(last, rng.below(last as u64 + 1) as usize);
    }
    all
}

/// `node 2`, or `nodes 1, 3, 4`.
pub(crate) fn named(nodes: &[u16]) -> String {
    let list: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    match &list[..] {
        [] => "no node".to_owned(),
        [one] => format!("node {one}"),
        _ => format!("nodes {}", list.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_everything_and_follows_its_seed() {
        let all: Vec<u16> = (1..=9).collect();
        let first = shuffled(all.clone(), &Rng::seeded(1));
        assert_eq!(first, shuffled(all.clone(), &Rng::seeded(1)));
        assert_ne!(first, shuffled(all.clone(), &Rng::seeded(2)));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, all);
    }

    #[test]
    fn nodes_are_named() {
        assert_eq!(named(&[2]), "node 2");
        assert_eq!(named(&[1, 3]), "nodes 1, 3");
        assert_eq!(one::<u16>(&[], &Rng::seeded(1)), None);
    }
}
