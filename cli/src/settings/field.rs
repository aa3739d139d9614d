//! The settings there are.

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    DataDir,
    Listen,
    Advertise,
    Join,
    Zone,
    Insecure,
    EncryptionKeyFile,
    EncryptionKeyCommand,
    Threads,
    MemoryMib,
    SegmentMib,
    Preallocate,
    DiskQuotaMib,
    DiskKeepFreeMib,
    HistoryS,
    HistoryMib,
    PinMib,
    ScrubMibPerSecond,
    StateBackend,
    Compression,
    HeartbeatMs,
    ElectionMinMs,
    ElectionMaxMs,
    Log,
    LogFormat,
}

/// What a setting's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// In text separated by commas.
    List,
    Flag,
    Number {
        least: u64,
        most: u64,
    },
    Choice(&'static [&'static str]),
}

/// The library below Raft tells every message at `info`.
/// Of openraft, its warnings; but not that a call met a replica that has stopped, which it logs as an error for every
/// call, at each graceful stop too: whoever made the call is told, and so is the stop itself.
const LOG_DEFAULT: &str = "info,openraft=warn,openraft::raft::raft_inner=off";
/// A month; an upper bound only so that sums cannot overflow.
const MS_MAX: u64 = 2_678_400_000;
/// A tebibyte, for the same reason.
const MEMORY_MIB_MAX: u64 = 1 << 20;
/// A pebibyte, too.
const DISK_QUOTA_MIB_MAX: u64 = 1 << 30;
/// A tebibyte per second.
const SCRUB_MIB_MAX: u64 = 1 << 20;

impl Field {
    /// All, in the order in which they are shown.
    pub(crate) const ALL: [Self; 25] = [
        Self::DataDir,
        Self::Listen,
        Self::Advertise,
        Self::Join,
        Self::Zone,
        Self::Insecure,
        Self::EncryptionKeyFile,
        Self::EncryptionKeyCommand,
        Self::Threads,
        Self::MemoryMib,
        Self::SegmentMib,
        Self::Preallocate,
        Self::DiskQuotaMib,
        Self::DiskKeepFreeMib,
        Self::HistoryS,
        Self::HistoryMib,
        Self::PinMib,
        Self::ScrubMibPerSecond,
        Self::StateBackend,
        Self::Compression,
        Self::HeartbeatMs,
        Self::ElectionMinMs,
        Self::ElectionMaxMs,
        Self::Log,
        Self::LogFormat,
    ];

    /// As it stands in a file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DataDir => "data-dir",
            Self::Listen => "listen",
            Self::Advertise => "advertise",
            Self::Join => "join",
            Self::Zone => "zone",
            Self::Insecure => "insecure",
            Self::EncryptionKeyFile => "encryption-key-file",
            Self::EncryptionKeyCommand => "encryption-key-command",
            Self::Threads => "threads",
            Self::MemoryMib => "memory-mib",
            Self::SegmentMib => "segment-mib",
            Self::Preallocate => "preallocate",
            Self::DiskQuotaMib => "disk-quota-mib",
            Self::DiskKeepFreeMib => "disk-keep-free-mib",
            Self::HistoryS => "history-s",
            Self::HistoryMib => "history-mib",
            Self::PinMib => "pin-mib",
            Self::ScrubMibPerSecond => "scrub-mib-per-second",
            Self::StateBackend => "state-backend",
            Self::Compression => "compression",
            Self::HeartbeatMs => "heartbeat-ms",
            Self::ElectionMinMs => "election-min-ms",
            Self::ElectionMaxMs => "election-max-ms",
            Self::Log => "log",
            Self::LogFormat => "log-format",
        }
    }

    /// The setting of a name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The environment variable.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::DataDir => "ATOLL_DATA_DIR",
            Self::Listen => "ATOLL_LISTEN",
            Self::Advertise => "ATOLL_ADVERTISE",
            Self::Join => "ATOLL_JOIN",
            Self::Zone => "ATOLL_ZONE",
            Self::Insecure => "ATOLL_INSECURE",
            Self::EncryptionKeyFile => "ATOLL_ENCRYPTION_KEY_FILE",
            Self::EncryptionKeyCommand => "ATOLL_ENCRYPTION_KEY_COMMAND",
            Self::Threads => "ATOLL_THREADS",
            Self::MemoryMib => "ATOLL_MEMORY_MIB",
            Self::SegmentMib => "ATOLL_SEGMENT_MIB",
            Self::Preallocate => "ATOLL_NO_PREALLOCATE",
            Self::DiskQuotaMib => "ATOLL_DISK_QUOTA_MIB",
            Self::DiskKeepFreeMib => "ATOLL_DISK_KEEP_FREE_MIB",
            Self::HistoryS => "ATOLL_HISTORY_S",
            Self::HistoryMib => "ATOLL_HISTORY_MIB",
            Self::PinMib => "ATOLL_PIN_MIB",
            Self::ScrubMibPerSecond => "ATOLL_SCRUB_MIB_PER_SECOND",
            Self::StateBackend => "ATOLL_STATE_BACKEND",
            Self::Compression => "ATOLL_COMPRESSION",
            Self::HeartbeatMs => "ATOLL_HEARTBEAT_MS",
            Self::ElectionMinMs => "ATOLL_ELECTION_MIN_MS",
            Self::ElectionMaxMs => "ATOLL_ELECTION_MAX_MS",
            Self::Log => "ATOLL_LOG",
            Self::LogFormat => "ATOLL_LOG_FORMAT",
        }
    }

    /// The option of `atoll start`.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::DataDir => "--data-dir",
            Self::Listen => "--listen",
            Self::Advertise => "--advertise",
            Self::Join => "--join",
            Self::Zone => "--zone",
            Self::Insecure => "--insecure",
            Self::EncryptionKeyFile => "--encryption-key-file",
            Self::EncryptionKeyCommand => "--encryption-key-command",
            Self::Threads => "--threads",
            Self::MemoryMib => "--memory-mib",
            Self::SegmentMib => "--segment-mib",
            Self::Preallocate => "--no-preallocate",
            Self::DiskQuotaMib => "--disk-quota-mib",
            Self::DiskKeepFreeMib => "--disk-keep-free-mib",
            Self::HistoryS => "--history-s",
            Self::HistoryMib => "--history-mib",
            Self::PinMib => "--pin-mib",
            Self::ScrubMibPerSecond => "--scrub-mib-per-second",
            Self::StateBackend => "--state-backend",
            Self::Compression => "--compression",
            Self::HeartbeatMs => "--heartbeat-ms",
            Self::ElectionMinMs => "--election-min-ms",
            Self::ElectionMaxMs => "--election-max-ms",
            Self::Log => "--log",
            Self::LogFormat => "--log-format",
        }
    }

    /// True if option and variable say the contrary of the setting.
    pub(super) fn negated(self) -> bool {
        self == Self::Preallocate
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::DataDir
            | Self::Listen
            | Self::Advertise
            | Self::Zone
            | Self::EncryptionKeyFile
            | Self::EncryptionKeyCommand
            | Self::Log => Kind::Text,
            Self::Join => Kind::List,
            Self::Insecure | Self::Preallocate => Kind::Flag,
            Self::Threads => Kind::Number { least: 1, most: 256 },
            Self::MemoryMib => Kind::Number {
                least: 64,
                most: MEMORY_MIB_MAX,
            },
            Self::SegmentMib => Kind::Number { least: 8, most: 1024 },
            Self::DiskQuotaMib | Self::DiskKeepFreeMib => Kind::Number {
                least: 0,
                most: DISK_QUOTA_MIB_MAX,
            },
            Self::HistoryS => Kind::Number {
                least: 0,
                most: MS_MAX / 1000,
            },
            Self::HistoryMib | Self::PinMib => Kind::Number {
                least: 1,
                most: DISK_QUOTA_MIB_MAX,
            },
            Self::ScrubMibPerSecond => Kind::Number {
                least: 0,
                most: SCRUB_MIB_MAX,
            },
            Self::HeartbeatMs | Self::ElectionMinMs | Self::ElectionMaxMs => Kind::Number {
                least: 1,
                most: MS_MAX,
            },
            Self::StateBackend => Kind::Choice(&["native", "sled"]),
            Self::LogFormat => Kind::Choice(&["text", "json"]),
            Self::Compression => Kind::Choice(&["off", "lz4", "zstd"]),
        }
    }

    /// As text; empty: none, or told elsewhere.
    pub(super) fn default_text(self) -> &'static str {
        match self {
            Self::Listen => "127.0.0.1:7401",
            Self::Insecure => "false",
            Self::SegmentMib => "64",
            Self::DiskQuotaMib | Self::HistoryS => "0",
            Self::DiskKeepFreeMib | Self::HistoryMib => "1024",
            Self::PinMib => "128",
            Self::ScrubMibPerSecond => "8",
            Self::StateBackend => "native",
            Self::Compression => "zstd",
            Self::Log => LOG_DEFAULT,
            Self::LogFormat => "text",
            _ => "",
        }
    }
}
