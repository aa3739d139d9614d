//! Which runs to merge.

/// Runs of a group from which on the newest ones are merged.
const RUNS_MANY: usize = 4;
/// Runs of a group from which on some are merged whatever their sizes.
const RUNS_TOO_MANY: usize = 12;
/// A run takes part if it is at most so many times as long as all newer ones together.
const RATIO: u64 = 2;

/// How many of the newest runs to merge into one; `None`: leave them as they are. Lengths are in bytes, newest
/// first.
///
/// Tiered: a run is rewritten only together with as many newer bytes as half of its own, so that a row is
/// copied a number of times that grows with the logarithm of the rows.
pub(crate) fn to_merge(lens: &[u64]) -> Option<usize> {
    if lens.len() < RUNS_MANY {
        return None;
    }
    let mut together = 0_u64;
    let mut count = 0;
    for len in lens {
        if count > 0 && *len > together.saturating_mul(RATIO) {
            break;
        }
        together = together.saturating_add(*len);
        count += 1;
    }
    match count {
        // The newest alone; waiting longer would make every read look into more and more of them.
        0 | 1 => (lens.len() >= RUNS_TOO_MANY).then_some(RUNS_MANY),
        count => Some(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stay_few_and_each_row_is_copied_a_few_times() {
        let mut runs: Vec<u64> = Vec::new();
        let mut copied = 0;
        let flushes = 10_000;
        let mut most = 0;
        for _ in 0..flushes {
            runs.insert(0, 1);
            while let Some(count) = to_merge(&runs) {
                assert!(count > 1 && count <= runs.len());
                let merged: u64 = runs.drain(..count).sum();
                copied += merged;
                runs.insert(0, merged);
            }
            most = most.max(runs.len());
        }
        assert!(most < RUNS_TOO_MANY, "{most} runs");
        let times = copied / flushes;
        assert!((3..12).contains(&times), "every row was copied {times} times");
    }

    #[test]
    fn runs_of_falling_length_do_not_gather_for_ever() {
        let mut runs: Vec<u64> = (0..RUNS_TOO_MANY as u32).map(|level| 10_u64.pow(level)).collect();
        assert_eq!(to_merge(&runs), Some(RUNS_MANY));
        runs.pop();
        assert_eq!(to_merge(&runs), None);
        assert_eq!(to_merge(&[]), None);
        assert_eq!(to_merge(&[5, 5, 5]), None);
        assert_eq!(to_merge(&[u64::MAX; 4]), Some(4));
    }
}
