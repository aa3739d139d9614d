//! A client id, the numbers given out under it, and the groups that know it.

use std::sync::Arc;

use atoll_env::Rng;
use atoll_types::limits::SESSION_OPEN_MAX;
use atoll_types::{ClientId, GroupId, Mutant, Version, mutant};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use tokio::sync::{OnceCell, Semaphore};

use super::window::Window;

/// One client id.
pub(crate) struct Session {
    pub(crate) client: ClientId,
    window: Mutex<Window>,
    /// One permit for each number the window has room for; fair, so that a write waits its turn.
    room: Semaphore,
    groups: Mutex<FxHashMap<GroupId, Arc<Opening>>>,
}

/// How far the session is in one group. Both are filled once, by whoever needs them first.
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
    fn new(rng: &Rng) -> Self {
        Self {
            client: ClientId(rng.bits128()),
            window: Mutex::default(),
            room: Semaphore::new(SESSION_OPEN_MAX),
            groups: Mutex::default(),
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

    /// How far this session is in a group.
    pub(crate) fn opening(&self, group: GroupId) -> Arc<Opening> {
        Arc::clone(self.groups.lock().entry(group).or_default())
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

/// The client's current session.
pub(crate) struct Sessions(RwLock<Arc<Session>>);

impl Sessions {
    pub(crate) fn new(rng: &Rng) -> Self {
        Self(RwLock::new(Arc::new(Session::new(rng))))
    }

    /// The session for new writes.
    pub(crate) fn current(&self) -> Arc<Session> {
        Arc::clone(&self.0.read())
    }

    /// Takes a new client id in place of `lost`; false if that was done already. Writes in progress
    /// keep the session they began under, because only it can tell whether they were done before.
    pub(crate) fn renew(&self, lost: &Arc<Session>, rng: &Rng) -> bool {
        let mut current = self.0.write();
        let renew = Arc::ptr_eq(&current, lost);
        if renew {
            *current = Arc::new(Session::new(rng));
        }
        renew
    }
}
