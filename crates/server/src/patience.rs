//! More patience with a slow disk.
//!
//! A vote counts only once it is durable. On a disk whose syncs take a large part of an election timeout,
//! candidates give up before their votes are in, and the cluster elects for ever. So while syncs are
//! slow here, all Raft timers of this node are longer. It costs a later failover and nothing else: no
//! guarantee hangs on a timer.

use std::time::Duration;

use atoll_env::{Env, Tempo};
use atoll_storage::{Journal, SLOW_SYNC};

const EVERY: Duration = Duration::from_secs(2);
/// How many times as long timers are while the disk is slow. The heartbeats of a leader on such a node
/// (400 ms) must still come well before its followers' shortest timeout.
const STRETCH: f64 = 2.0;
/// Looks without a slow disk after which timers go back.
const CALM_LOOKS: u32 = 15;

/// Counts of one look.
#[derive(Clone, Copy, Debug, Default)]
struct Syncs {
    all: u64,
    slow: u64,
}

/// Decides from look to look.
#[derive(Debug, Default)]
struct Judge {
    last: Syncs,
    calm_looks: u32,
    widened: bool,
}

impl Judge {
    /// True while timers should be wide: if since the last look one sync in a hundred was slow, and for a
    /// while after.
    fn look(&mut self, now: Syncs) -> bool {
        let all = now.all.saturating_sub(self.last.all);
        let slow = now.slow.saturating_sub(self.last.slow);
        self.last = now;
        if slow > 0 && slow * 100 >= all {
            (self.widened, self.calm_looks) = (true, 0);
        } else if self.widened {
            self.calm_looks += 1;
            self.widened = self.calm_looks < CALM_LOOKS;
        }
        self.widened
    }
}

/// Watches the journal's syncs until stopped.
pub(crate) async fn run(env: Env, journal: Journal) {
    let (tempo, mut judge) = (Tempo::current(), Judge::default());
    let mut was_wide = false;
    // An earlier node of this process may have left it wide.
    tempo.set_stretch(1.0);
    loop {
        env.clock.sleep(EVERY).await;
        let stats = journal.stats();
        let wide = judge.look(Syncs {
            all: stats.syncs,
            slow: stats.slow_syncs,
        });
        if wide == was_wide {
            continue;
        }
        was_wide = wide;
        tempo.set_stretch(if wide { STRETCH } else { 1.0 });
        if wide {
            tracing::warn!(
                slow_sync_ms = SLOW_SYNC.as_millis() as u64,
                stretch = STRETCH,
                "the disk is slow: more than one sync in a hundred takes too long; Raft timers are longer"
            );
        } else {
            tracing::info!("the disk is as fast as it should be again; Raft timers are back to normal");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_sync_in_a_hundred_widens_and_calm_takes_it_back() {
        let mut judge = Judge::default();
        assert!(!judge.look(Syncs { all: 1000, slow: 9 }));
        assert!(judge.look(Syncs { all: 1100, slow: 10 }));
        for look in 1..CALM_LOOKS {
            assert!(judge.look(Syncs { all: 1100, slow: 10 }), "{look}");
        }
        assert!(!judge.look(Syncs { all: 1100, slow: 10 }));
        // An idle node's only sync counts as well.
        assert!(judge.look(Syncs { all: 1101, slow: 11 }));
    }
}
