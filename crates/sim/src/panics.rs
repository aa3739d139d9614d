//! Panics of simulated processes. The runtime catches a task's panic and goes on, and a test that
//! does not look would pass.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` and tells which panics there were on this thread meanwhile, caught or not.
pub(crate) fn during<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Also at the end of a thread, when there is no list any more.
            let _ = SEEN.try_with(|seen| seen.borrow_mut().push(info.to_string()));
            next(info);
        }));
    });
    SEEN.take();
    let done = work();
    (done, SEEN.take())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_caught_panic_is_seen() {
        let (done, seen) = super::during(|| std::panic::catch_unwind(|| panic!("boom")).is_err());
        assert!(done && seen.len() == 1 && seen[0].contains("boom"), "{seen:?}");
        assert!(super::during(|| ()).1.is_empty());
    }
}
