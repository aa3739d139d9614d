//! What is wrong with one direction of a link, all overlays taken together.

use std::time::Duration;

use crate::net::LinkFault;

/// The worst of each kind of fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// Nothing passes.
    pub(super) blackhole: bool,
    /// Whoever sends something loses the connection.
    pub(super) reset: bool,
    /// Everything takes this much longer,
    pub(super) delay: Duration,
    /// and up to this much more.
    pub(super) jitter: Duration,
    /// Bytes a second, of all connections together.
    pub(super) bandwidth: Option<u64>,
    /// Only a few bytes at a time pass.
    pub(super) drip: bool,
}

impl Condition {
    /// Of all these faults together.
    pub(super) fn worst(faults: impl IntoIterator<Item = LinkFault>) -> Self {
        let mut worst = Self::default();
        for fault in faults {
            match fault {
                LinkFault::Blackhole => worst.blackhole = true,
                LinkFault::Reset => worst.reset = true,
                LinkFault::Delay { delay, jitter } => {
                    worst.delay = worst.delay.max(delay);
                    worst.jitter = worst.jitter.max(jitter);
                }
                LinkFault::Bandwidth(bytes) => {
                    // A byte a second at least: nothing at all would be a blackhole.
                    let least = worst.bandwidth.unwrap_or(u64::MAX).min(bytes.max(1));
                    worst.bandwidth = Some(least);
                }
                LinkFault::Drip => worst.drip = true,
            }
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_each_kind_counts() {
        let ms = Duration::from_millis;
        let delay = |delay, jitter| LinkFault::Delay {
            delay: ms(delay),
            jitter: ms(jitter),
        };
        let faults = [
            delay(10, 7),
            LinkFault::Bandwidth(500),
            delay(20, 3),
            LinkFault::Bandwidth(900),
            LinkFault::Drip,
        ];
        let expected = Condition {
            delay: ms(20),
            jitter: ms(7),
            bandwidth: Some(500),
            drip: true,
            ..Condition::default()
        };
        assert_eq!(Condition::worst(faults), expected);
        assert_eq!(Condition::worst([]), Condition::default());
        let both = Condition::worst([LinkFault::Blackhole, LinkFault::Reset]);
        assert!(both.blackhole && both.reset);
        assert_eq!(Condition::worst([LinkFault::Bandwidth(0)]).bandwidth, Some(1));
    }
}
