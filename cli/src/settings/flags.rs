//! The options that set settings.

use std::path::PathBuf;

use clap::Args;

use super::field::Field;

/// Each also as an environment variable and in the file. Taken as text, so that what is wrong is told
/// together with what is wrong elsewhere.
#[derive(Debug, Default, Args)]
pub(crate) struct SettingFlags {
    /// Read settings from this TOML file; options and the environment go before it [env: ATOLL_CONFIG].
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Where the node keeps everything; made if absent [env: ATOLL_DATA_DIR].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,

    /// The address to serve at [env: ATOLL_LISTEN] [default: 127.0.0.1:7401].
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// The address other nodes and clients reach it at [env: ATOLL_ADVERTISE] [default: the one it serves at].
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,

    /// Addresses of other nodes: to find the cluster by, or to join one [env: ATOLL_JOIN].
    #[arg(long, value_name = "HOST:PORT,…")]
    join: Vec<String>,

    /// The rack, room or data centre this node is in; replicas are kept in different ones [env: ATOLL_ZONE].
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,

    /// Allow addresses that are not loopback: anyone who reaches them can read and write everything
    /// [env: ATOLL_INSECURE].
    #[arg(long)]
    insecure: bool,

    /// Encrypt files at rest with the first key in this file; the others open older files [env: ATOLL_ENCRYPTION_KEY_FILE].
    #[arg(long, value_name = "FILE")]
    encryption_key_file: Option<String>,

    /// As --encryption-key-file, with the keys that this command prints [env: ATOLL_ENCRYPTION_KEY_COMMAND].
    #[arg(long, value_name = "COMMAND")]
    encryption_key_command: Option<String>,

    /// Threads for requests, replication and apply [env: ATOLL_THREADS] [default: the number of cores, at most 4].
    #[arg(long, value_name = "N")]
    threads: Option<String>,

    /// Memory for rows, log and caches, in MiB
    /// [env: ATOLL_MEMORY_MIB] [default: a quarter of the machine's, 256 to 4096].
    #[arg(long, value_name = "MIB")]
    memory_mib: Option<String>,

    /// Size of one journal segment in MiB [env: ATOLL_SEGMENT_MIB] [default: 64].
    #[arg(long, value_name = "MIB")]
    segment_mib: Option<String>,

    /// Grow journal segments as they fill instead of filling them with zeros ahead of time
    /// [env: ATOLL_NO_PREALLOCATE].
    #[arg(long)]
    no_preallocate: bool,

    /// When the node's files take this much, in MiB, groups led here refuse writes; 0: never
    /// [env: ATOLL_DISK_QUOTA_MIB] [default: 0].
    #[arg(long, value_name = "MIB")]
    disk_quota_mib: Option<String>,

    /// When the disk has less than this free, in MiB, groups led here refuse writes; 0: never look
    /// [env: ATOLL_DISK_KEEP_FREE_MIB] [default: 1024].
    #[arg(long, value_name = "MIB")]
    disk_keep_free_mib: Option<String>,

    /// For how long, in seconds, what is written over or removed can still be read (--at-version); 0: not at all.
    /// The same on all nodes [env: ATOLL_HISTORY_S] [default: 0].
    #[arg(long, value_name = "S")]
    history_s: Option<String>,

    /// How many MiB may be written to a group before it forgets sooner [env: ATOLL_HISTORY_MIB] [default: 1024].
    #[arg(long, value_name = "MIB")]
    history_mib: Option<String>,

    /// How many MiB of this node's disk a scan may keep from being freed before its page ends early
    /// [env: ATOLL_PIN_MIB] [default: 128].
    #[arg(long, value_name = "MIB")]
    pin_mib: Option<String>,

    /// How fast all files are read again to find damage, in MiB per second; 0: never
    /// [env: ATOLL_SCRUB_MIB_PER_SECOND] [default: 8].
    #[arg(long, value_name = "MIB")]
    scrub_mib_per_second: Option<String>,
    /// What holds live rows: native, or sled (experimental; only in programs built with the feature backend-sled)
    /// [env: ATOLL_STATE_BACKEND] [default: native].
    #[arg(long, value_name = "BACKEND")]
    state_backend: Option<String>,
    /// How values are packed: zstd (lz4 in the log, zstd in value files), lz4 for both, or off; any node reads all
    /// [env: ATOLL_COMPRESSION] [default: zstd].
    #[arg(long, value_name = "HOW")]
    compression: Option<String>,

    /// Between two heartbeats of a leader, in ms [env: ATOLL_HEARTBEAT_MS].
    #[arg(long, value_name = "MS")]
    heartbeat_ms: Option<String>,

    /// The shortest election timeout, in ms [env: ATOLL_ELECTION_MIN_MS].
    #[arg(long, value_name = "MS")]
    election_min_ms: Option<String>,

    /// The longest election timeout, in ms [env: ATOLL_ELECTION_MAX_MS].
    #[arg(long, value_name = "MS")]
    election_max_ms: Option<String>,

    /// What to log: a level, or pairs such as atoll_raft=warn,info; release builds have no debug level
    /// [env: ATOLL_LOG] [default: info,openraft=warn,openraft::raft::raft_inner=off].
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,

    /// How log lines look: text or json [env: ATOLL_LOG_FORMAT] [default: text].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl SettingFlags {
    /// What was said.
    pub(super) fn said(&self) -> Vec<(Field, String)> {
        let word = |said: bool| said.then(|| "true".to_owned());
        let all = [
            (Field::DataDir, self.data_dir.clone()),
            (Field::Listen, self.listen.clone()),
            (Field::Advertise, self.advertise.clone()),
            (Field::Join, (!self.join.is_empty()).then(|| self.join.join(","))),
            (Field::Zone, self.zone.clone()),
            (Field::Insecure, word(self.insecure)),
            (Field::EncryptionKeyFile, self.encryption_key_file.clone()),
            (Field::EncryptionKeyCommand, self.encryption_key_command.clone()),
            (Field::Threads, self.threads.clone()),
            (Field::MemoryMib, self.memory_mib.clone()),
            (Field::SegmentMib, self.segment_mib.clone()),
            (Field::Preallocate, word(self.no_preallocate)),
            (Field::DiskQuotaMib, self.disk_quota_mib.clone()),
            (Field::DiskKeepFreeMib, self.disk_keep_free_mib.clone()),
            (Field::HistoryS, self.history_s.clone()),
            (Field::HistoryMib, self.history_mib.clone()),
            (Field::PinMib, self.pin_mib.clone()),
            (Field::ScrubMibPerSecond, self.scrub_mib_per_second.clone()),
            (Field::StateBackend, self.state_backend.clone()),
            (Field::Compression, self.compression.clone()),
            (Field::HeartbeatMs, self.heartbeat_ms.clone()),
            (Field::ElectionMinMs, self.election_min_ms.clone()),
            (Field::ElectionMaxMs, self.election_max_ms.clone()),
            (Field::Log, self.log.clone()),
            (Field::LogFormat, self.log_format.clone()),
        ];
        all.into_iter()
            .filter_map(|(field, said)| Some((field, said?)))
            .collect()
    }
}
