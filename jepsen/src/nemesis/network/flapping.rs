//! A cut that comes and goes.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{BoxFuture, Task};
use parking_lot::Mutex;

use super::super::{Installed, Refusal};
use super::plan::{Plan, lay, lift};
use crate::field::Field;
use crate::net::Overlay;

/// How long a cut lies, and how long it does not.
const HALF_ROUND: Duration = Duration::from_millis(100);
/// Then the link stays whole: five minutes.
const ROUNDS_MAX: u32 = 1500;

/// A plan that is laid and lifted again and again.
pub(super) struct Flapping {
    plan: Plan,
    state: Arc<Mutex<State>>,
    task: Task<()>,
}

#[derive(Default)]
struct State {
    /// What lies now.
    overlay: Option<Overlay>,
    /// Nobody wants it any more.
    over: bool,
    rounds: u32,
    failure: Option<String>,
}

impl Flapping {
    /// Lays the plan for the first time, and goes on from there.
    pub(super) async fn begin(field: &Field, plan: Plan) -> Result<Box<dyn Installed<Field>>, Refusal> {
        let state = Arc::<Mutex<State>>::default();
        round(field, &plan, &state).await;
        if let Some(failure) = state.lock().failure.clone() {
            return Err(Refusal::Broken(format!("{}: {failure}", plan.what)));
        }
        let flap = flap(field.clone(), plan.clone(), Arc::clone(&state));
        let task = field.env.spawn.spawn(flap);
        Ok(Box::new(Self { plan, state, task }))
    }
}

/// From a cut that lies on. Ends by itself, so that no cut is left when it does.
async fn flap(field: Field, plan: Plan, state: Arc<Mutex<State>>) {
    loop {
        field.env.clock.sleep(HALF_ROUND).await;
        unround(&field, &state).await;
        {
            let state = state.lock();
            if state.over || state.failure.is_some() || state.rounds == ROUNDS_MAX {
                return;
            }
        }
        field.env.clock.sleep(HALF_ROUND).await;
        round(&field, &plan, &state).await;
    }
}

async fn round(field: &Field, plan: &Plan, state: &Mutex<State>) {
    let laid = lay(field, plan.cuts.clone()).await;
    let mut state = state.lock();
    match laid {
        Ok(overlay) => {
            state.overlay = Some(overlay);
            state.rounds += 1;
        }
        Err(error) => state.failure = Some(error.to_string()),
    }
}

async fn unround(field: &Field, state: &Mutex<State>) {
    let overlay = state.lock().overlay.take();
    let Some(overlay) = overlay else { return };
    if let Err(error) = lift(field, overlay).await {
        state.lock().failure = Some(error.to_string());
    }
}

impl Installed<Field> for Flapping {
    fn what(&self) -> String {
        format!("{}, cut and healed every {HALF_ROUND:?}", self.plan.what)
    }

    fn nodes(&self) -> Vec<u16> {
        self.plan.nodes.clone()
    }

    fn mend(self: Box<Self>, _: &Field) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.state.lock().over = true;
            // At most one round more.
            self.task.await;
            let failure = self.state.lock().failure.take();
            failure.map_or(Ok(()), |why| Err(format!("{}: {why}", self.plan.what)))
        })
    }
}
