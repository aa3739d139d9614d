//! A client id in one group, and the numbers given out under it.

use std::sync::Arc;

use atoll_env::Rng;
use atoll_types::limits::SESSION_OPEN_MAX;
use atoll_types::{ClientId, GroupKey, Mutant, Version, mutant};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{OnceCell, Semaphore};

use super::window::Window;

/// One client id, which is used in one group only.
pub(crate) struct Session {
    pub(crate) client: ClientId,
    /// The group it belongs to, in this incarnation.
    pub(crate) group: GroupKey,
    pub(crate) opening: Opening,
    window: Mutex<Window>,
    /// One permit for each number the window has room for; fair, so that a write waits its turn.
    room: Semaphore,
}

/// How far the session is in its group. Both are filled once, by whoever needs them first.
#[derive(Default)]
pub(crate) struct Opening {
    /// The version the group had before the session was first asked for. The same in every request to
    /// open it: a late duplicate then names a version from before the session, and is refused once
    /// the session has expired.
    pub(crate) read: OnceCell<Version>,
    /// The group knows the session.
    pub(crate) done: OnceCell<()>,
}

impl Session {
    fn new(group: GroupKey, rng: &Rng) -> Self {
        Self {
            client: ClientId(rng.bits128()),
            group,
            opening: Opening::default(),
            window: Mutex::default(),
            room: Semaphore::new(SESSION_OPEN_MAX),
        }
    }

    /// Takes the next number; waits while the window is full.
    pub(crate) async fn begin(self: Arc<Self>) -> Ticket {
        self.room
            .acquire()
            .await
            .expect("the semaphore is never closed")
            .forget();
        let seq = self.window.lock().begin().expect("a permit stands for room");
        Ticket { session: self, seq }
    }
}

/// A sequence number in use. Dropping it finishes the number.
pub(crate) struct Ticket {
    session: Arc<Session>,
    seq: u64,
}

impl Ticket {
    /// The session it belongs to.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// What to send: the number, and below which number all are finished.
    pub(crate) fn stamp(&self) -> (u64, u64) {
        if mutant::is(Mutant::AckTooEarly) {
            return (self.seq, self.seq);
        }
        (self.seq, self.session.window.lock().ack())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let freed = self.session.window.lock().finish(self.seq);
        if freed > 0 {
            self.session.room.add_permits(freed);
        }
    }
}

/// The client's current session in one group; none before its first write there.
#[derive(Default)]
pub(crate) struct Sessions(RwLock<Option<Arc<Session>>>);

impl Sessions {
    /// The session for new writes.
    pub(crate) fn current(&self, group: GroupKey, rng: &Rng) -> Arc<Session> {
        if let Some(session) = &*self.0.read() {
            return Arc::clone(session);
        }
        let mut current = self.0.write();
        Arc::clone(current.get_or_insert_with(|| Arc::new(Session::new(group, rng))))
    }

    /// Takes a new client id in place of `lost`; false if that was done already. Writes in progress
    /// keep the session they began under, because only it can tell whether they were done before.
    pub(crate) fn renew(&self, lost: &Arc<Session>, rng: &Rng) -> bool {
        let mut current = self.0.write();
        let renew = current.as_ref().is_some_and(|known| Arc::ptr_eq(known, lost));
        if renew {
            *current = Some(Arc::new(Session::new(lost.group, rng)));
        }
        renew
    }
}
