//! Which operations are drawn when there are too many to draw all.

use super::frame::Frame;
use super::outcome::Dot;

/// The most operations drawn in a page.
pub const POINTS_MAX: usize = 20_000;

/// At most `max` dots, in their order. What failed or is unknown stays as long as there is room for it. The others are thinned
/// bucket by bucket, the fullest first, and in each bucket evenly by latency, so that the quickest and the slowest stay.
pub(super) fn thin(dots: &[Dot], frame: &Frame, max: usize) -> Vec<Dot> {
    if dots.len() <= max {
        return dots.to_vec();
    }
    let (answered, odd): (Vec<Dot>, Vec<Dot>) = dots.iter().partition(|dot| dot.ending.is_answer());
    let mut kept = thin_evenly(&odd, frame, max);
    kept.extend(thin_evenly(&answered, frame, max - kept.len()));
    kept.sort_unstable_by_key(|dot| dot.position);
    kept
}

fn thin_evenly(dots: &[Dot], frame: &Frame, max: usize) -> Vec<Dot> {
    if dots.len() <= max {
        return dots.to_vec();
    }
    let mut buckets: Vec<Vec<Dot>> = vec![Vec::new(); frame.buckets()];
    for dot in dots {
        if let Some(bucket) = buckets.get_mut(frame.bucket(dot.at_ns)) {
            bucket.push(*dot);
        }
    }
    let level = level(&buckets, max);
    buckets
        .iter_mut()
        .flat_map(|bucket| ranks(bucket, level))
        .collect()
}

/// How many each bucket may keep, so that all together keep at most `max`.
fn level(buckets: &[Vec<Dot>], max: usize) -> usize {
    let kept = |level: usize| {
        buckets
            .iter()
            .map(|bucket| bucket.len().min(level))
            .sum::<usize>()
    };
    let (mut fits, mut too_many) = (0, max + 1);
    while too_many - fits > 1 {
        let middle = usize::midpoint(fits, too_many);
        if kept(middle) <= max {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    fits
}

/// `wanted` of a bucket, by latency evenly from the quickest to the slowest.
fn ranks(bucket: &mut [Dot], wanted: usize) -> Vec<Dot> {
    if bucket.len() <= wanted {
        return bucket.to_vec();
    }
    bucket.sort_unstable_by_key(|dot| (dot.latency_ns(), dot.position));
    let steps = wanted.saturating_sub(1).max(1);
    (0..wanted)
        .filter_map(|rank| bucket.get(rank * (bucket.len() - 1) / steps).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::outcome::Ending;

    fn frame() -> Frame {
        Frame {
            length_ns: 10_000_000_000,
        }
    }

    fn dots(count: usize, odd_every: usize) -> Vec<Dot> {
        let dot = |position: usize| Dot {
            position,
            at_ns: position as u64 * 10_000_000_000 / count as u64,
            end_ns: position as u64 * 10_000_000_000 / count as u64 + (position as u64 * 7_919) % 100_000,
            ending: if position.is_multiple_of(odd_every) {
                Ending::Unknown
            } else {
                Ending::Ok
            },
        };
        (0..count).map(dot).collect()
    }

    #[test]
    fn few_stay_as_they_are() {
        let all = dots(100, 3);
        assert_eq!(thin(&all, &frame(), 100), all);
    }

    #[test]
    fn what_failed_or_is_unknown_stays_and_so_do_the_slowest() {
        let all = dots(5_000, 10);
        let kept = thin(&all, &frame(), 1_000);
        assert!(kept.len() <= 1_000 && kept.len() > 900, "{}", kept.len());
        let odd = |dots: &[Dot]| dots.iter().filter(|dot| dot.ending == Ending::Unknown).count();
        assert_eq!(odd(&kept), 500);
        let slowest = all.iter().filter(|dot| dot.ending == Ending::Ok);
        let slowest = slowest.max_by_key(|dot| dot.latency_ns()).unwrap();
        assert!(kept.iter().any(|dot| dot.latency_ns() == slowest.latency_ns()));
        assert!(kept.is_sorted_by_key(|dot| dot.position));
        assert_eq!(kept, thin(&all, &frame(), 1_000));
    }

    #[test]
    fn the_bound_holds_even_when_everything_failed() {
        let all = dots(5_000, 1);
        let kept = thin(&all, &frame(), 1_000);
        assert!(kept.len() <= 1_000 && kept.len() > 900, "{}", kept.len());
    }
}
