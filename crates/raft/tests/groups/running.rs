//! Tasks that tests wait for.

use atoll_env::Task;

/// A task of a process. Panics if the process ends first.
pub struct Running<T>(pub Task<T>);

impl<T> Running<T> {
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for Running<T> {
    type Output = T;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<T> {
        std::pin::Pin::new(&mut self.0)
            .poll(context)
            .map(|value| value.expect("the process goes on"))
    }
}
