//! The phases of a run, as they go by.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Instant;
use parking_lot::Mutex;

use super::gate::Span;
use super::stage::Stage;
use crate::cluster::Recovery;
use crate::interrupt::Interrupt;
use crate::record::{Demand, Phase};
use crate::workload::{self, Driver, Workload};

/// Workloads run alone for a tenth of the faults' time, within these bounds.
const WARM_UP: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(10));
/// And this long after the faults.
const AFTER: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));
/// With the cluster whole again they run at least this long.
const WHOLE_MIN: Duration = Duration::from_secs(4);
/// The cluster must be whole again this long after everything was healed.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
/// Final reads take no longer.
const FINAL_MAX: Duration = Duration::from_secs(180);

/// The phases as they go by.
pub(super) struct Scene<'a> {
    stage: &'a Stage,
    phase: Arc<Mutex<&'static str>>,
    pub(super) phases: Vec<Phase>,
    began_phase: Instant,
}

/// Clients at work.
pub(super) struct Load {
    task: atoll_env::Task<()>,
    pub(super) faults_end: Instant,
    until: Instant,
}

impl<'a> Scene<'a> {
    /// The warm-up begins. `phase` tells others where it is.
    pub(super) fn new(stage: &'a Stage, phase: Arc<Mutex<&'static str>>) -> Self {
        Self {
            stage,
            phase,
            phases: Vec::new(),
            began_phase: stage.field.began,
        }
    }

    /// Ends a phase and begins the next.
    pub(super) fn turn(&mut self, next: &'static str) {
        let field = &self.stage.field;
        let now = self.stage.clock().now();
        let name = std::mem::replace(&mut *self.phase.lock(), next);
        self.phases.push(Phase {
            name,
            begin_ns: field.at_ns(self.began_phase),
            end_ns: field.at_ns(now),
        });
        self.began_phase = now;
    }

    /// Lets clients loose, and waits until it is time for the faults.
    pub(super) async fn warm_up(
        &mut self,
        driver: &Arc<Driver>,
        workloads: &[Arc<dyn Workload>],
        interrupt: &Interrupt,
    ) -> Load {
        let time = self.stage.field.options.time;
        let warm_up = (time / 10).clamp(WARM_UP.0, WARM_UP.1);
        let now = self.stage.clock().now();
        self.began_phase = now;
        let faults_end = now + warm_up + time;
        let until = faults_end + (time / 6).clamp(AFTER.0, AFTER.1);
        let task = self.work(driver, workloads, until);
        interrupt.sleep(self.stage.clock(), warm_up).await;
        Load {
            task,
            faults_end,
            until,
        }
    }

    fn work(
        &self,
        driver: &Arc<Driver>,
        workloads: &[Arc<dyn Workload>],
        until: Instant,
    ) -> atoll_env::Task<()> {
        let (driver, workloads) = (Arc::clone(driver), workloads.to_vec());
        let spawn = &self.stage.field.env.spawn;
        spawn.spawn(async move { workload::run(&driver, &workloads, until).await })
    }

    /// Waits until the cluster is whole again and has worked for a while then. Gives what became of it, and the time
    /// in which it was whole and worked.
    pub(super) async fn recover(
        &mut self,
        driver: &Arc<Driver>,
        workloads: &[Arc<dyn Workload>],
        load: Load,
        interrupt: &Interrupt,
    ) -> (Recovery, Span) {
        let (field, clock) = (&self.stage.field, self.stage.clock());
        let recovery = tokio::select! {
            recovery = field.cluster.recovered(RECOVERY_MAX) => recovery,
            () = interrupt.raised() => Recovery {
                missing: Some("the run was stopped early".to_owned()),
                ..Recovery::default()
            },
        };
        let whole = clock.now();
        // Those that began before it was whole end first: what follows is measured from a fresh beginning.
        let mut until = load.until;
        ended(load.task, interrupt).await;
        let mut begin = whole;
        if until.since(whole) < WHOLE_MIN && recovery.missing.is_none() {
            begin = clock.now();
            until = begin + WHOLE_MIN;
            ended(self.work(driver, workloads, until), interrupt).await;
        }
        let span = Span {
            begin_ns: field.at_ns(begin),
            end_ns: field.at_ns(until.max(begin)),
        };
        (recovery, span)
    }

    /// Reads everything once more.
    pub(super) async fn finish(
        &mut self,
        driver: &Arc<Driver>,
        workloads: &[Arc<dyn Workload>],
        interrupt: &Interrupt,
    ) -> Demand {
        let clock = self.stage.clock();
        let reads = clock.timeout(FINAL_MAX, workload::finish(driver, workloads));
        let finished = tokio::select! {
            reads = reads => reads.is_ok(),
            () = interrupt.raised() => false,
        };
        let finished = f64::from(u8::from(finished));
        Demand::at_least("final reads that came to their end", 1.0, finished)
    }
}

/// Waits for clients to come to their end; not if somebody wants to stop.
async fn ended(load: atoll_env::Task<()>, interrupt: &Interrupt) {
    tokio::select! {
        _ = load => {}
        () = interrupt.raised() => {}
    }
}
