//! Panics of simulated processes. The runtime catches a task's panic and goes on, and a test that
//! does not look would pass.
//!
//! Where a panic ends the process instead (release builds), nothing can be reported afterwards: then
//! the hook says how to repeat the run, and the process ends as after any other violation.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::sync::Once;

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static SEED: Cell<u64> = const { Cell::new(0) };
}

/// Runs `work` of this seed and tells which panics there were on this thread meanwhile, caught or not.
pub(crate) fn during<T>(seed: u64, work: impl FnOnce() -> T) -> (T, Vec<String>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Also at the end of a thread, when there is no list any more.
            let _ = SEEN.try_with(|seen| seen.borrow_mut().push(info.to_string()));
            next(info);
            if cfg!(panic = "abort") {
                let seed = SEED.try_with(Cell::get).unwrap_or_default();
                let _ = writeln!(
                    std::io::stderr(),
                    "VIOLATION seed {seed}: a panic (above). Repeat: cargo run --release -p atoll-sim -- replay --seed {seed} --trace"
                );
                std::process::exit(1);
            }
        }));
    });
    SEEN.take();
    SEED.set(seed);
    let done = work();
    (done, SEEN.take())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_caught_panic_is_seen() {
        let (done, seen) = super::during(7, || std::panic::catch_unwind(|| panic!("boom")).is_err());
        assert!(done && seen.len() == 1 && seen[0].contains("boom"), "{seen:?}");
        assert!(super::during(7, || ()).1.is_empty());
    }
}
