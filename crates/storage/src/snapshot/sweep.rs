//! What is left behind is removed soon.

use crate::store::GroupStore;

/// Has the files that nobody needs any more removed when it is dropped. It is the last field of whoever holds such
/// files, so that they are let go of before. Until then the group stays open.
pub(crate) struct Sweep(GroupStore);

impl Sweep {
    pub(crate) fn of(group: GroupStore) -> Self {
        Self(group)
    }

    pub(crate) fn group(&self) -> &GroupStore {
        &self.0
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        self.0.sweep();
    }
}
