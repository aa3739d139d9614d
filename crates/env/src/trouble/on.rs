//! Trouble by the seed, for the simulator that runs on this thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::Rng;

/// Whether this build can make trouble.
pub const ON: bool = true;

/// How much trouble.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything.
    pub seed: u64,
    /// How often, of a million times, the most troublesome points say yes or wait. About half of all
    /// points make no trouble in a run, the others up to this.
    pub per_million_max: u64,
    /// The longest wait.
    pub pause_max: Duration,
}

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How often each point made trouble.
    pub troubles: BTreeMap<&'static str, u64>,
    /// How often each state was reached.
    pub reached: BTreeMap<&'static str, u64>,
}

struct Registry {
    options: Options,
    rng: Rng,
    rates: BTreeMap<&'static str, u64>,
    found: Found,
}

type Listener = Box<dyn FnMut(&'static str, &[u64])>;

thread_local! {
    static REGISTRY: RefCell<Option<Rc<RefCell<Registry>>>> = const { RefCell::new(None) };
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
}

impl Registry {
    fn strikes(&mut self, name: &'static str) -> bool {
        let (seed, most) = (self.options.seed, self.options.per_million_max);
        let rate = *self.rates.entry(name).or_insert_with(|| {
            let mut hash = seed;
            for byte in name.bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
            let luck = Rng::seeded(hash);
            luck.below(2) * luck.below(most + 1)
        });
        let strikes = rate > 0 && self.rng.below(1_000_000) < rate;
        if strikes {
            *self.found.troubles.entry(name).or_default() += 1;
        }
        strikes
    }
}

fn registry() -> Option<Rc<RefCell<Registry>>> {
    REGISTRY.with_borrow(Clone::clone)
}

fn strikes(name: &'static str) -> bool {
    registry().is_some_and(|registry| registry.borrow_mut().strikes(name))
}

/// Ends the trouble on this thread when dropped.
pub struct Installed(Rc<RefCell<Registry>>);

/// Makes trouble on this thread from now on; `listener` gets every [`note`], at the moment of its
/// making and wherever that is: it must not call into the product.
pub fn install(options: Options, listener: impl FnMut(&'static str, &[u64]) + 'static) -> Installed {
    let registry = Rc::new(RefCell::new(Registry {
        rng: Rng::seeded(options.seed),
        options,
        rates: BTreeMap::new(),
        found: Found::default(),
    }));
    REGISTRY.set(Some(Rc::clone(&registry)));
    LISTENER.set(Some(Box::new(listener)));
    Installed(registry)
}

impl Installed {
    /// What was found since the trouble began.
    pub fn found(&self) -> Found {
        self.0.borrow().found.clone()
    }

    /// From now on points make no trouble; states and facts are still taken.
    pub fn calm(&self) {
        let mut registry = self.0.borrow_mut();
        registry.options.per_million_max = 0;
        registry.rates.clear();
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        REGISTRY.set(None);
        LISTENER.set(None);
    }
}

/// Whether to take the unlikely way here.
pub fn point(name: &'static str) -> bool {
    strikes(name)
}

/// Waits at an awkward place, or not.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub async fn pause(name: &'static str) {
    if !strikes(name) {
        return;
    }
    let wait = registry().map(|registry| {
        let registry = registry.borrow();
        let most = registry.options.pause_max.as_nanos() as u64;
        // Mostly short: long ones would hide what short ones find.
        let most = if registry.rng.below(4) == 0 {
            most
        } else {
            most / 50
        };
        Duration::from_nanos(registry.rng.below(most + 1))
    });
    tokio::time::sleep(wait.unwrap_or_default()).await;
}

/// Records that an interesting state was reached.
pub fn sometimes(name: &'static str) {
    if let Some(registry) = registry() {
        *registry.borrow_mut().found.reached.entry(name).or_default() += 1;
    }
}

/// Tells the listener a fact, in numbers whose meaning belongs to the name.
pub fn note(name: &'static str, facts: &[u64]) {
    LISTENER.with_borrow_mut(|listener| {
        if let Some(listener) = listener {
            listener(name, facts);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

    fn run(seed: u64) -> (Found, u64) {
        let told = Rc::new(RefCell::new(0));
        let heard = Rc::clone(&told);
        let options = Options {
            seed,
            per_million_max: 100_000,
            pause_max: Duration::from_millis(10),
        };
        let installed = install(options, move |_, facts| *heard.borrow_mut() += facts[0]);
        for name in NAMES {
            (0..1000).filter(|_| point(name)).for_each(|_| sometimes(name));
            note(name, &[2]);
        }
        let found = installed.found();
        installed.calm();
        assert!(!(0..1000).any(|_| point("a")));
        drop(installed);
        note("a", &[1]);
        assert!(!(0..1000).any(|_| point("a")), "over");
        let told = *told.borrow();
        (found, told)
    }

    #[test]
    fn some_points_strike_as_the_seed_says_and_all_is_told() {
        let (found, told) = run(3);
        assert_eq!(told, 16);
        assert_eq!(found.troubles, found.reached);
        assert!((1..NAMES.len()).contains(&found.troubles.len()), "{found:?}");
        assert_eq!(run(3).0, found);
        assert_ne!(run(4).0, found);
    }
}
