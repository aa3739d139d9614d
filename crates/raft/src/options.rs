//! Timing, and every field of openraft's configuration set on purpose.

use std::sync::Arc;

use atoll_types::{Mutant, mutant};
use openraft::{Config, SnapshotPolicy};

use crate::RaftError;

/// Timing of elections, in milliseconds, and how much log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftOptions {
    /// How often an idle leader is heard. Must exceed the slowest usual fsync, because a follower
    /// answers only after its disk did.
    pub heartbeat_ms: u64,
    /// Shortest silence after which a follower campaigns.
    pub election_min_ms: u64,
    /// Longest such silence; also the leader's lease.
    pub election_max_ms: u64,
    /// Ask before raising the term, so that a node behind a broken link does not depose a good leader.
    pub pre_vote: bool,
    /// What of a log is not purged although a checkpoint has it.
    pub keep_log: KeepLog,
    /// Bytes of the disk that the sending of a snapshot may keep from being freed, log and files; more if the snapshot has more
    /// itself, an eighth while the disk is almost full. Beyond, the sending is given up, and begun anew later.
    pub snapshot_holds: u64,
}

/// What of a log is kept for followers that are a little behind and need no snapshot then. What is beyond either goes, once a
/// durable checkpoint has it; for a follower that is further behind and moves, four times as much is kept at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepLog {
    /// Entries at its end.
    pub entries: u64,
    /// Newest segments of the journal.
    pub segments: u32,
}

impl Default for KeepLog {
    fn default() -> Self {
        Self {
            entries: 10_000,
            segments: 4,
        }
    }
}

impl Default for RaftOptions {
    fn default() -> Self {
        Self {
            heartbeat_ms: 200,
            election_min_ms: 700,
            election_max_ms: 1200,
            pre_vote: true,
            keep_log: KeepLog::default(),
            snapshot_holds: 2 * 1024 * 1024 * 1024,
        }
    }
}

impl RaftOptions {
    /// openraft's configuration. No field is left to a default that a new version could change.
    #[expect(
        deprecated,
        reason = "a field that openraft keeps only for reading old settings"
    )]
    pub(crate) fn to_config(&self) -> Result<Arc<Config>, RaftError> {
        let config = Config {
            cluster_name: "atoll".to_owned(),
            election_timeout_min: self.election_min_ms,
            election_timeout_max: self.election_max_ms,
            heartbeat_interval: self.heartbeat_ms,
            // Replication is a heartbeat too; a busy leader sends no extra ones.
            heartbeat_min_interval: Some(self.heartbeat_ms),
            install_snapshot_timeout: 60_000,
            send_snapshot_timeout: 0,
            // The true bound is bytes, in LogReader::limited_get_log_entries.
            max_payload_entries: 1024,
            max_append_entries: Some(1024),
            replication_lag_threshold: 100_000,
            // The storage engine makes checkpoints when it wants to; Raft hears of them, and is told what to purge.
            snapshot_policy: SnapshotPolicy::Never,
            snapshot_max_chunk_size: 1 << 20,
            max_in_snapshot_log_to_keep: u64::MAX,
            purge_batch_size: 256,
            api_channel_size: Some(4096),
            api_batch_capacity: 1024,
            api_batch_linger_ms: 0,
            notification_channel_size: Some(8192),
            state_machine_channel_size: Some(1024),
            log_stage_capacity: Some(1024),
            // An entry is on its way to the followers before the next message is looked at.
            broadcast_submitted_on_append: Some(true),
            enable_tick: true,
            enable_heartbeat: true,
            enable_elect: true,
            removed_leader_step_down: openraft::StepDownPolicy::After(150),
            quorum_loss_probe_interval: Some(2 * self.election_max_ms),
            enable_pre_vote: Some(self.pre_vote),
            backoff: "50ms".to_owned(),
            reset_backoff_on_transfer_leader: Some(true),
            // Wiped logs are never taken back: such a replica is replaced under a new id.
            allow_log_reversion: Some(false),
            // A leader that restarts in its old term would give lost log ids to new entries.
            enable_leader_restore: Some(mutant::is(Mutant::LeaderRestored)),
        };
        config
            .validate()
            .map(Arc::new)
            .map_err(|error| RaftError::Config(error.to_string()))
    }
}
