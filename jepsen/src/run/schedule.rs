//! Which fault is begun when, for how long, and with which random numbers: decided by the seed before anything starts.
//!
//! Each family has a lane of its own, in which one fault follows the other with pauses between them; lanes overlap freely.
//! The more lanes there are, the longer the pauses, so that about two faults are in place at any time and
//! the cluster still gets something done. The variants of a family take turns in shuffled rounds: none
//! is forgotten, and their order tells nothing.

use std::time::Duration;

use atoll_env::Rng;
use serde_json::{Value, json};

use crate::nemesis::pick::shuffled;

/// The shortest time that a fault stays.
const HOLD_MIN: Duration = Duration::from_millis(1_500);
/// The longest.
const HOLD_MAX: Duration = Duration::from_secs(6);
/// One fault in so many is over almost at once: before anybody noticed.
const SHORT_ONE_IN: u64 = 5;
/// How long such a one stays, at most.
const SHORT_MAX: Duration = Duration::from_millis(700);
/// The shortest pause of a lane.
const PAUSE_MIN: Duration = Duration::from_millis(600);
/// So many faults are in place at the same time on average, if there are that many lanes.
const OVERLAP: f64 = 1.8;

/// One family's faults, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    /// The family.
    pub(super) family: String,
    /// In order of time.
    pub(super) faults: Vec<Planned>,
}

/// A fault to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// The variant.
    pub(super) variant: String,
    /// When it begins, from the beginning of the faults.
    pub(super) at: Duration,
    /// How long it stays.
    pub(super) hold: Duration,
    /// Decides everything else about it.
    pub(super) seed: u64,
}

/// Makes a schedule for families and their variants over `time`. No fault begins that could not stay as long as it
/// should, but each lane has one at least.
pub(super) fn schedule(families: &[(String, Vec<String>)], time: Duration, seed: u64) -> Vec<Lane> {
    let busy = (OVERLAP / families.len().max(1) as f64).min(0.7);
    families
        .iter()
        .map(|(family, variants)| {
            let rng = Rng::seeded(seed ^ name_bits(family));
            Lane {
                family: family.clone(),
                faults: lane(variants, time, busy, &rng),
            }
        })
        .collect()
}

fn lane(variants: &[String], time: Duration, busy: f64, rng: &Rng) -> Vec<Planned> {
    let mut faults = Vec::new();
    let mut round: Vec<String> = Vec::new();
    // Lanes do not all begin at once.
    let mut at = PAUSE_MIN.mul_f64(0.2 + 2.0 * rng.fraction());
    loop {
        if round.is_empty() {
            round = shuffled(variants.to_vec(), rng);
        }
        let Some(variant) = round.pop() else {
            return faults;
        };
        let longest = time.saturating_sub(at);
        let hold = hold(rng);
        if hold > longest && !faults.is_empty() {
            return faults;
        }
        let hold = hold.min(longest.max(HOLD_MIN));
        let seed = rng.bits64();
        faults.push(Planned {
            variant,
            at,
            hold,
            seed,
        });
        // What share of time a lane is busy decides the pauses.
        let mean = (HOLD_MIN + HOLD_MAX).mul_f64(0.5 * (1.0 / busy - 1.0));
        let pause = mean.mul_f64(0.4 + 1.2 * rng.fraction());
        at += hold + pause.max(PAUSE_MIN);
    }
}

fn hold(rng: &Rng) -> Duration {
    let share = rng.fraction();
    if rng.below(SHORT_ONE_IN) == 0 {
        return SHORT_MAX.mul_f64(share);
    }
    HOLD_MIN + HOLD_MAX.saturating_sub(HOLD_MIN).mul_f64(share)
}

/// A family's own part of the seed, so that its faults stay the same whatever else is asked for.
fn name_bits(name: &str) -> u64 {
    let step = |bits: u64, byte: u8| (bits ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The schedule as it is kept in a file.
pub(super) fn json(lanes: &[Lane]) -> Value {
    let fault = |family: &str, fault: &Planned| {
        json!({
            "name": format!("{family}/{}", fault.variant),
            "at_ms": fault.at.as_millis() as u64,
            "hold_ms": fault.hold.as_millis() as u64,
            "seed": fault.seed.to_string(),
        })
    };
    let faults = lanes
        .iter()
        .flat_map(|lane| lane.faults.iter().map(|planned| fault(&lane.family, planned)));
    Value::from(faults.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(60);

    fn families(names: &[&str]) -> Vec<(String, Vec<String>)> {
        let variants = ["a", "b", "c"].map(str::to_owned).to_vec();
        names
            .iter()
            .map(|&name| (name.to_owned(), variants.clone()))
            .collect()
    }

    #[test]
    fn the_seed_decides() {
        let wanted = families(&["kill", "pause"]);
        assert_eq!(schedule(&wanted, TIME, 1), schedule(&wanted, TIME, 1));
        assert_ne!(schedule(&wanted, TIME, 1), schedule(&wanted, TIME, 2));
        let lanes = schedule(&wanted, TIME, 1);
        assert_ne!(lanes[0].faults, lanes[1].faults);
    }

    #[test]
    fn faults_of_a_lane_follow_each_other_and_end_in_time() {
        for seed in 0..50 {
            for lane in schedule(&families(&["kill", "pause", "x", "y"]), TIME, seed) {
                assert!(lane.faults.len() >= 3, "{lane:?}");
                let mut pairs = lane.faults.windows(2);
                assert!(pairs.all(|pair| pair[0].at + pair[0].hold + PAUSE_MIN <= pair[1].at));
                let last = lane.faults.last().unwrap();
                assert!(last.at + last.hold <= TIME);
            }
        }
    }

    #[test]
    fn every_variant_has_its_turn() {
        for seed in 0..20 {
            let lanes = schedule(&families(&["kill"]), TIME, seed);
            let mut first: Vec<_> = lanes[0]
                .faults
                .iter()
                .take(3)
                .map(|one| &one.variant[..])
                .collect();
            first.sort_unstable();
            assert_eq!(first, ["a", "b", "c"]);
        }
    }

    #[test]
    fn about_two_faults_are_in_place_however_many_lanes_there_are() {
        for names in [
            &["a", "b", "c", "d"][..],
            &["a", "b", "c", "d", "e", "f", "g", "h"],
        ] {
            let mut overlap = 0.0;
            for seed in 0..20 {
                let lanes = schedule(&families(names), TIME, seed);
                let held: Duration = lanes
                    .iter()
                    .flat_map(|lane| &lane.faults)
                    .map(|one| one.hold)
                    .sum();
                overlap += held.as_secs_f64() / TIME.as_secs_f64() / 20.0;
            }
            assert!((1.0..2.5).contains(&overlap), "{overlap}");
        }
    }

    #[test]
    fn a_short_run_has_a_fault_of_every_family() {
        for lane in schedule(
            &families(&["a", "b", "c", "d", "e", "f"]),
            Duration::from_secs(5),
            3,
        ) {
            assert!(!lane.faults.is_empty(), "{lane:?}");
        }
        assert_eq!(schedule(&[], TIME, 1), []);
        assert!(
            schedule(&[("none".to_owned(), Vec::new())], TIME, 1)[0]
                .faults
                .is_empty()
        );
    }

    #[test]
    fn the_file_names_every_fault() {
        let lanes = schedule(&families(&["kill"]), TIME, 1);
        let file = json(&lanes);
        assert_eq!(file.as_array().unwrap().len(), lanes[0].faults.len());
        assert!(file[0]["name"].as_str().unwrap().starts_with("kill/"));
        assert!(file[0]["seed"].is_string());
    }
}
