//! How openraft tells what became of a proposal: by calling a function, without a channel between.

use openraft::OptionalSend;

type Hook<T> = Box<dyn FnOnce(Option<T>) + Send>;

/// Calls its function exactly once: with the result, or with nothing when openraft dropped the
/// proposal without a result (it stopped), in which case nobody knows what became of it.
pub(crate) struct Callback<T>(Option<Hook<T>>);

impl<T> Callback<T> {
    pub(crate) fn new(hook: impl FnOnce(Option<T>) + Send + 'static) -> Self {
        Self(Some(Box::new(hook)))
    }
}

impl<C, T> openraft::raft::responder::Responder<C, T> for Callback<T>
where
    C: openraft::RaftTypeConfig,
    T: OptionalSend + 'static,
{
    fn on_complete(mut self, result: T) {
        if let Some(hook) = self.0.take() {
            hook(Some(result));
        }
    }
}

impl<T> Drop for Callback<T> {
    fn drop(&mut self) {
        if let Some(hook) = self.0.take() {
            hook(None);
        }
    }
}
