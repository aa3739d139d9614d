//! Keys that are used for a while and then left for others.

use atoll_env::Rng;
use parking_lot::Mutex;

/// How many keys are in use at a time.
const ACTIVE: usize = 8;

/// How often a key is picked before another takes its place. What bounds the search for an order of its operations.
const USES_MAX: u32 = 200;

/// The keys of one workload. Never picks a key again that it has left.
pub(super) struct Keys {
    prefix: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Number and uses so far.
    active: Vec<(u64, u32)>,
    made: u64,
}

impl Keys {
    /// Their names begin with the prefix.
    pub(super) fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            state: Mutex::default(),
        }
    }

    /// One of the keys in use.
    pub(super) fn pick(&self, rng: &Rng) -> String {
        let mut state = self.state.lock();
        while state.active.len() < ACTIVE {
            let next = (state.made, 0);
            state.active.push(next);
            state.made += 1;
        }
        let luck = rng.below(ACTIVE as u64) as usize;
        let Some((number, uses)) = state.active.get_mut(luck) else {
            return self.name(0);
        };
        let name = self.name(*number);
        *uses += 1;
        if *uses >= USES_MAX {
            state.active.swap_remove(luck);
        }
        name
    }

    /// All keys that were ever picked.
    pub(super) fn all(&self) -> Vec<String> {
        let made = self.state.lock().made;
        (0..made).map(|number| self.name(number)).collect()
    }

    fn name(&self, number: u64) -> String {
        format!("{}/{number:06}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn no_key_is_used_too_often_and_all_are_remembered() {
        let (keys, rng) = (Keys::new("test"), Rng::seeded(1));
        let mut uses: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..20_000 {
            *uses.entry(keys.pick(&rng)).or_default() += 1;
        }
        assert!(uses.values().all(|uses| *uses <= USES_MAX));
        assert!(uses.len() >= 20_000 / USES_MAX as usize);
        let all = keys.all();
        assert!(uses.keys().all(|key| all.contains(key)));
    }
}
