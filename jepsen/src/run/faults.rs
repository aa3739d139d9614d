//! Goes through a schedule: begins each fault when its time has come, mends it, and notes what really was in place.

use std::time::Duration;

use atoll_env::{Instant, Rng};
use futures_util::future::join_all;
use parking_lot::Mutex;

use super::schedule::{Lane, Planned};
use crate::field::Field;
use crate::interrupt::Interrupt;
use crate::nemesis::{Chosen, Installed, Nemesis, Refusal};
use crate::record::Fault;

/// Whoever refuses is asked again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// Beginning takes no longer, or it failed.
const BEGIN_MAX: Duration = Duration::from_secs(15);
/// So does mending. A node that is restarted gracefully with its neighbours gone takes its time.
const MEND_MAX: Duration = Duration::from_secs(90);

/// What became of the faults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Installations {
    /// Those that were in place, in order of beginnings once the run is over.
    pub(super) faults: Vec<Fault>,
    /// Those in place now.
    pub(super) open: Vec<Fault>,
    /// So many were given up because something stood in their way.
    pub(super) refused: u32,
    /// What went wrong with beginning or mending.
    pub(super) broken: Vec<String>,
}

/// Goes through all lanes at once. Returns when every fault is mended, early if interrupted.
pub(super) async fn inject(
    field: &Field,
    chosen: &[Chosen],
    lanes: &[Lane],
    interrupt: &Interrupt,
    noted: &Mutex<Installations>,
) {
    let began = field.env.clock.now();
    let lanes = lanes.iter().filter_map(|lane| {
        let family = |one: &&Chosen| one.nemesis.family() == lane.family;
        let nemesis = &chosen.iter().find(family)?.nemesis;
        Some(go_through(field, &**nemesis, lane, began, interrupt, noted))
    });
    join_all(lanes).await;
    noted.lock().faults.sort_by_key(|fault| fault.begin_ns);
}

async fn go_through(
    field: &Field,
    nemesis: &dyn Nemesis<Field>,
    lane: &Lane,
    began: Instant,
    interrupt: &Interrupt,
    noted: &Mutex<Installations>,
) {
    for planned in &lane.faults {
        let due = (began + planned.at).since(field.env.clock.now());
        if interrupt.sleep(&field.env.clock, due).await {
            return;
        }
        one(field, nemesis, planned, interrupt, noted).await;
    }
}

/// Begins a fault, keeps it for its time, and mends it.
async fn one(
    field: &Field,
    nemesis: &dyn Nemesis<Field>,
    planned: &Planned,
    interrupt: &Interrupt,
    noted: &Mutex<Installations>,
) {
    let name = format!("{}/{}", nemesis.family(), planned.variant);
    let Some(installed) = begin(field, nemesis, planned, interrupt, noted).await else {
        return;
    };
    let fault = Fault {
        name,
        what: installed.what(),
        nodes: installed.nodes(),
        begin_ns: field.now_ns(),
        end_ns: u64::MAX,
    };
    noted.lock().open.push(fault.clone());
    interrupt.sleep(&field.env.clock, planned.hold).await;
    mend(field, installed, fault, noted).await;
}

/// Asks until the fault begins; not for longer than it should have stayed.
async fn begin(
    field: &Field,
    nemesis: &dyn Nemesis<Field>,
    planned: &Planned,
    interrupt: &Interrupt,
    noted: &Mutex<Installations>,
) -> Option<Box<dyn Installed<Field>>> {
    let clock = &field.env.clock;
    let rng = Rng::seeded(planned.seed);
    let until = clock.now() + planned.hold;
    loop {
        let begun = nemesis.begin(field, &planned.variant, &rng);
        let refusal = match clock.timeout(BEGIN_MAX, begun).await {
            Ok(Ok(installed)) => return Some(installed),
            Ok(Err(refusal)) => refusal,
            Err(_) => Refusal::Broken(format!("did not begin in {} s", BEGIN_MAX.as_secs())),
        };
        if let Refusal::Broken(why) = refusal {
            let name = format!("{}/{}", nemesis.family(), planned.variant);
            noted.lock().broken.push(format!("{name}: {why}"));
            return None;
        }
        if clock.now() >= until || interrupt.sleep(clock, AGAIN_AFTER).await {
            noted.lock().refused += 1;
            return None;
        }
    }
}

async fn mend(
    field: &Field,
    installed: Box<dyn Installed<Field>>,
    mut fault: Fault,
    noted: &Mutex<Installations>,
) {
    // By now it may have more to tell: how often, whom.
    let before = fault.clone();
    fault.what = installed.what();
    fault.nodes = installed.nodes();
    let mended = field.env.clock.timeout(MEND_MAX, installed.mend(field)).await;
    let mended = mended.unwrap_or_else(|_| Err(format!("was not mended in {} s", MEND_MAX.as_secs())));
    fault.end_ns = field.now_ns();
    let mut noted = noted.lock();
    if let Err(why) = mended {
        noted
            .broken
            .push(format!("{} ({}): {why}", fault.name, fault.what));
    }
    if let Some(position) = noted.open.iter().position(|open| *open == before) {
        noted.open.swap_remove(position);
    }
    noted.faults.push(fault);
}
