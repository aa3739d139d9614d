//! A value that many can follow: the last one counts, earlier ones may be missed.
//!
//! As `tokio::sync::watch`, which wakes its waiters in an order drawn from the runtime's own
//! randomness. Here they wake in the order in which they began to wait, so that a simulated run can be
//! repeated from its seed on a stock runtime.

use std::fmt;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::Notify;

struct Shared<T> {
    value: RwLock<T>,
    /// Counts changes; written under the value's lock.
    version: AtomicU64,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    changed: Notify,
}

/// Changes the value.
pub struct Sender<T>(Arc<Shared<T>>);

/// Follows the value.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// The value, locked against change: look and let go.
pub struct Ref<'a, T>(RwLockReadGuard<'a, T>);

/// Every sender is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the watched value has no owner any more")]
pub struct Closed;

/// A value and its first follower.
pub fn channel<T>(initial: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        value: RwLock::new(initial),
        version: AtomicU64::new(0),
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
        changed: Notify::new(),
    });
    (Sender(shared.clone()), Receiver { shared, seen: 0 })
}

impl<T> Sender<T> {
    /// A sender that nobody follows yet.
    pub fn new(initial: T) -> Self {
        channel(initial).0
    }

    /// Sets the value if anybody follows it, else gives it back.
    pub fn send(&self, value: T) -> Result<(), T> {
        if self.0.receivers.load(Ordering::Acquire) == 0 {
            return Err(value);
        }
        self.send_replace(value);
        Ok(())
    }

    /// Sets the value and returns the previous one.
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_modify(|current| std::mem::swap(current, &mut value));
        value
    }

    /// Changes the value in place.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// Changes the value in place; followers wake only if `change` returns true.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        {
            let mut value = self.0.value.write();
            if !change(&mut value) {
                return false;
            }
            self.0.version.fetch_add(1, Ordering::Release);
        }
        self.0.changed.notify_waiters();
        true
    }

    /// The value now.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.value.read())
    }

    /// Another follower, who has seen the value of now.
    pub fn subscribe(&self) -> Receiver<T> {
        self.0.receivers.fetch_add(1, Ordering::AcqRel);
        Receiver {
            seen: self.0.version.load(Ordering::Acquire),
            shared: self.0.clone(),
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::AcqRel);
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

impl<T> Receiver<T> {
    /// The value now; does not count as seen.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.value.read())
    }

    /// The value now, seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.value.read();
        self.seen = self.shared.version.load(Ordering::Acquire);
        Ref(value)
    }

    /// True if the value changed since it was last seen.
    pub fn has_changed(&self) -> Result<bool, Closed> {
        if self.shared.version.load(Ordering::Acquire) != self.seen {
            return Ok(true);
        }
        if self.shared.senders.load(Ordering::Acquire) == 0 {
            Err(Closed)
        } else {
            Ok(false)
        }
    }

    /// Waits until the value is another than last seen, and marks it as seen.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            let mut notified = pin!(self.shared.changed.notified());
            // Registered before looking, or a change in between would be slept through.
            notified.as_mut().enable();
            let version = self.shared.version.load(Ordering::Acquire);
            if version != self.seen {
                self.seen = version;
                return Ok(());
            }
            if self.shared.senders.load(Ordering::Acquire) == 0 {
                return Err(Closed);
            }
            notified.await;
        }
    }

    /// Waits for a value that satisfies `condition`, the present one included.
    pub async fn wait_for(&mut self, mut condition: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, Closed> {
        loop {
            let found = condition(&*self.borrow_and_update());
            if found {
                // It may have changed since, as it may after the caller looked.
                return Ok(self.borrow());
            }
            self.changed().await?;
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, Ordering::AcqRel);
        Self {
            shared: self.shared.clone(),
            seen: self.seen,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&*self.borrow()).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&*self.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn a_change_is_seen_once() {
        let (sender, mut receiver) = channel(1);
        assert_eq!(receiver.changed().now_or_never(), None);
        sender.send_replace(2);
        assert_eq!(receiver.changed().now_or_never(), Some(Ok(())));
        assert_eq!(*receiver.borrow(), 2);
        assert_eq!(receiver.changed().now_or_never(), None);
        assert!(!sender.send_if_modified(|_| false));
        assert_eq!(receiver.changed().now_or_never(), None);
    }

    #[test]
    fn the_last_sender_gone_ends_it_but_the_last_value_is_still_seen() {
        let (sender, mut receiver) = channel(1);
        let other = sender.clone();
        drop(sender);
        assert_eq!(receiver.changed().now_or_never(), None);
        other.send_replace(5);
        drop(other);
        assert_eq!(receiver.changed().now_or_never(), Some(Ok(())));
        assert_eq!(receiver.changed().now_or_never(), Some(Err(Closed)));
    }

    #[test]
    fn sending_to_nobody_gives_the_value_back() {
        let (sender, receiver) = channel(1);
        assert_eq!(sender.send(2), Ok(()));
        drop(receiver);
        assert_eq!(sender.send(3), Err(3));
        assert_eq!(*sender.borrow(), 2);
        assert_eq!(*sender.subscribe().borrow(), 2);
    }

    #[tokio::test]
    async fn waiters_wake_in_the_order_they_began_to_wait() {
        let (sender, receiver) = channel(0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = async |mut receiver: Receiver<i32>, order: Arc<Mutex<Vec<i32>>>, waiter| {
            receiver.wait_for(|value| *value == 1).await.map(|_| ()).unwrap();
            order.lock().push(waiter);
        };
        let wait = |waiter| crate::Spawn::tokio().spawn(note(receiver.clone(), order.clone(), waiter));
        let tasks: Vec<_> = (0..20).map(wait).collect();
        tokio::task::yield_now().await;
        sender.send_replace(1);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), (0..20).collect::<Vec<_>>());
    }
}
