//! What a node is told when it starts, checked as a whole before anything is touched.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use atoll_kv::{HistoryLimits, SessionLimits};
use atoll_raft::RaftOptions;
use atoll_storage::sealed::KeyRing;
use atoll_storage::{ScrubOptions, StoreOptions};

use crate::identity::{ADDRESS_BYTES_MAX, is_zone};
use crate::memory::{MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MIN, MemoryShares};
use crate::state_backend::{NOT_BUILT_IN, StateBackend};

/// Segments smaller than this could not hold one entry of the largest size.
const SEGMENT_BYTES_MIN: u32 = 8 * 1024 * 1024;
const SEGMENT_BYTES_MAX: u32 = 1024 * 1024 * 1024;

/// A node's settings. Build one with [`NodeConfig::new`] and change what should differ; they are
/// validated by [`Node::start`](crate::Node::start).
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Where everything is kept. Created if it is not there.
    pub data_dir: PathBuf,
    /// `host:port` to serve at; port 0 lets the system choose.
    pub listen: String,
    /// `host:port` under which others reach this node; none: the address it listens at.
    pub advertise: Option<String>,
    /// Addresses of other nodes, to find the cluster by when addresses have changed, and the initial
    /// set of an `init` that names none.
    pub join: Vec<String>,
    /// Addresses that are dialed at another place, each with that place: the proxies of tests that break
    /// links. None in production.
    pub dial_map: Vec<(String, String)>,
    /// The failure domain this node is in (rack, room, data centre): 1 to 63 of `A-Z a-z 0-9 . _ -`; empty:
    /// not told. Replicas of a group are kept in different zones where there are enough.
    pub zone: String,
    /// Allows addresses beyond this machine although traffic is not encrypted.
    pub insecure: bool,
    /// Keys of files at rest; none: they are not encrypted. A directory is encrypted from its first start on, or never.
    pub keys: Option<Arc<KeyRing>>,
    /// Size of a journal segment.
    pub segment_bytes: u32,
    /// Fill segments with zeros ahead of time, so that writes inside them need no new blocks.
    pub preallocate: bool,
    /// Bytes the journal may take before groups led here refuse writes; none: as many as the disk has. A tenth of it,
    /// at most 64 MiB, is kept for what other leaders replicate to this node, which is never refused.
    pub disk_quota_bytes: Option<u64>,
    /// Bytes that the disk must have free, or groups led here refuse writes; 0: none. A quarter of it is kept as a file
    /// that is given up when the disk is full.
    pub disk_keep_free_bytes: u64,
    /// Bytes of memory for what grows with data and load. Set it with [`NodeConfig::set_memory`], which divides it; parts changed
    /// afterwards are not part of it.
    pub memory_bytes: u64,
    /// Bytes of log entries kept in memory.
    pub tail_bytes: usize,
    /// When what is applied is written to runs, so that a restart need not apply it again, and what of it is in memory.
    pub store: StoreOptions,
    /// How files are read again to find damage before it is needed.
    pub scrub: ScrubOptions,
    /// What holds the live rows of the groups.
    pub state_backend: StateBackend,
    /// Election timing.
    pub raft: RaftOptions,
    /// How far back groups can be read that are led here; none: not at all. Every node should have the same.
    pub history: Option<HistoryLimits>,
    /// Bytes of this node's disk that a scan may keep from being freed before its page ends early; on a small disk, or with a small
    /// quota, a sixteenth of that at most.
    pub pin_bytes: u64,
    /// Bounds of sessions. Replicas that disagree about them would differ, so this is no setting: it is
    /// for tests of whole clusters that cannot wait an hour.
    pub sessions: SessionLimits,
}

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {value:?}: {reason}")]
pub struct ConfigError {
    /// Which setting: a field of [`NodeConfig`], with hyphens.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong with it and what is allowed.
    pub reason: &'static str,
}

const NOT_LOOPBACK: &str = "this is not a loopback address: traffic would be unencrypted and open to anyone who can \
                            reach it. Until TLS exists, allow it with --insecure if that is acceptable";

impl NodeConfig {
    /// Defaults for a node that keeps its data in `data_dir` and serves at `listen`.
    pub fn new(data_dir: impl Into<PathBuf>, listen: impl Into<String>) -> Self {
        let shares = MemoryShares::of(MEMORY_BYTES_DEFAULT);
        Self {
            data_dir: data_dir.into(),
            listen: listen.into(),
            advertise: None,
            join: Vec::new(),
            dial_map: Vec::new(),
            zone: String::new(),
            insecure: false,
            keys: None,
            segment_bytes: 64 * 1024 * 1024,
            preallocate: true,
            disk_quota_bytes: None,
            disk_keep_free_bytes: 1024 * 1024 * 1024,
            memory_bytes: MEMORY_BYTES_DEFAULT,
            tail_bytes: shares.tail,
            store: shares.within(StoreOptions::default()),
            scrub: ScrubOptions::default(),
            state_backend: StateBackend::default(),
            raft: RaftOptions::default(),
            history: None,
            pin_bytes: 128 * 1024 * 1024,
            sessions: SessionLimits::default(),
        }
    }

    /// Divides so much memory among everything that grows.
    pub fn set_memory(&mut self, bytes: u64) {
        let shares = MemoryShares::of(bytes);
        self.memory_bytes = bytes;
        self.tail_bytes = shares.tail;
        self.store = shares.within(self.store);
    }

    /// The first of [`NodeConfig::problems`], if there is one.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that can be found wrong without touching the machine.
    pub fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Problems::default();
        if self.data_dir.as_os_str().is_empty() {
            problems.add("data-dir", "", "a node needs a folder to keep its data in");
        }
        problems.check(self.check_reach("listen", &self.listen));
        match &self.advertise {
            Some(address) => {
                problems.check(
                    self.check_reach("advertise", address)
                        .and_then(|()| check_dialable("advertise", address)),
                );
            }
            None if is_unspecified(&self.listen) => {
                let reason = "others cannot dial this; give --advertise with an address they can reach";
                problems.add("listen", &self.listen, reason);
            }
            None => {}
        }
        for address in &self.join {
            problems.check(check_dialable("join", address));
        }
        self.check_dial_map(&mut problems);
        if !is_zone(&self.zone) {
            problems.add("zone", &self.zone, "a zone is 1 to 63 of A-Z a-z 0-9 . _ -");
        }
        if !self.state_backend.is_built_in() {
            problems.add("state-backend", "sled", NOT_BUILT_IN);
        }
        if self.keys.is_some() && self.state_backend != StateBackend::Native {
            let reason = "its files are not encrypted, so it cannot be used with encryption keys";
            problems.add("state-backend", "sled", reason);
        }
        self.check_numbers(&mut problems);
        problems.0
    }

    fn check_reach(&self, setting: &'static str, address: &str) -> Result<(), ConfigError> {
        let (host, _) = split(setting, address)?;
        if self.insecure || is_loopback(host) {
            return Ok(());
        }
        Err(error(setting, address, NOT_LOOPBACK))
    }

    fn check_dial_map(&self, problems: &mut Problems) {
        let mut mapped = BTreeSet::new();
        for (address, dialed) in &self.dial_map {
            for side in [address, dialed] {
                problems.check(check_dialable("dial-map", side));
            }
            if !mapped.insert(address) {
                problems.add(
                    "dial-map",
                    address,
                    "this address is given twice; it is dialed at one place",
                );
            }
        }
    }

    fn check_numbers(&self, problems: &mut Problems) {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            let value = self.segment_bytes.to_string();
            problems.add("segment-bytes", &value, "a journal segment has 8 MiB to 1 GiB");
        }
        if self.memory_bytes < MEMORY_BYTES_MIN {
            let value = self.memory_bytes.to_string();
            problems.add("memory-mib", &value, "a node needs at least 64 MiB");
        }
        if let Some(HistoryLimits { window_ms, bytes }) = self.history
            && (window_ms == 0 || bytes == 0)
        {
            let reason = "history has a length and a size, or there is none";
            problems.add("history", &format!("{window_ms} ms, {bytes} bytes"), reason);
        }
        let raft = &self.raft;
        if raft.heartbeat_ms == 0 || raft.heartbeat_ms.saturating_mul(3) > raft.election_min_ms {
            let reason =
                "the heartbeat is at least 1 ms and at most a third of the shortest election timeout";
            problems.add("heartbeat-ms", &raft.heartbeat_ms.to_string(), reason);
        }
        if raft.election_min_ms >= raft.election_max_ms {
            let reason = "the shortest election timeout is below the longest";
            problems.add("election-min-ms", &raft.election_min_ms.to_string(), reason);
        }
    }
}

#[derive(Default)]
struct Problems(Vec<ConfigError>);

impl Problems {
    fn add(&mut self, setting: &'static str, value: &str, reason: &'static str) {
        self.0.push(error(setting, value, reason));
    }

    fn check(&mut self, checked: Result<(), ConfigError>) {
        self.0.extend(checked.err());
    }
}

fn error(setting: &'static str, value: &str, reason: &'static str) -> ConfigError {
    ConfigError {
        setting,
        value: value.to_owned(),
        reason,
    }
}

fn split<'a>(setting: &'static str, address: &'a str) -> Result<(&'a str, u16), ConfigError> {
    let refuse = |reason| Err(error(setting, address, reason));
    let Some((host, port)) = address.rsplit_once(':') else {
        return refuse("an address is host:port, for example 127.0.0.1:7401");
    };
    let bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    if host.is_empty() || bare_ipv6 || address.len() > ADDRESS_BYTES_MAX || address.contains([' ', ',', '/'])
    {
        return refuse("an address is host:port, for example 127.0.0.1:7401 or [::1]:7401");
    }
    match port.parse() {
        Ok(port) => Ok((host, port)),
        Err(_) => refuse("the port is a number up to 65535"),
    }
}

fn check_dialable(setting: &'static str, address: &str) -> Result<(), ConfigError> {
    let (_, port) = split(setting, address)?;
    if port == 0 {
        return Err(error(setting, address, "port 0 cannot be dialed"));
    }
    if is_unspecified(address) {
        let reason = "this means every interface and cannot be dialed";
        return Err(error(setting, address, reason));
    }
    Ok(())
}

fn ip(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || ip(host).is_some_and(|ip| ip.is_loopback())
}

fn is_unspecified(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    ip(host).is_some_and(|ip| ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(listen: &str, advertise: Option<&str>, insecure: bool) -> Result<(), ConfigError> {
        let mut config = NodeConfig::new("data", listen);
        config.advertise = advertise.map(str::to_owned);
        config.insecure = insecure;
        config.validate()
    }

    #[test]
    fn loopback_addresses_need_no_permission() {
        for listen in ["127.0.0.1:0", "127.9.9.9:7000", "localhost:7000", "[::1]:7000"] {
            assert_eq!(with(listen, None, false), Ok(()), "{listen}");
        }
    }

    #[test]
    fn other_addresses_need_the_insecure_flag_and_say_why() {
        for listen in [
            "10.0.0.1:7000",
            "example.org:7000",
            "[2001:db8::1]:7000",
            "0.0.0.0:7000",
        ] {
            let error = with(listen, Some("127.0.0.1:7000"), false).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("unencrypted") && text.contains("--insecure") && text.contains(listen),
                "{text}"
            );
            assert_eq!(with(listen, Some("10.0.0.1:7000"), true), Ok(()), "{listen}");
        }
        let error = with("127.0.0.1:7000", Some("10.0.0.1:7000"), false).unwrap_err();
        assert!(
            error.to_string().starts_with("advertise \"10.0.0.1:7000\""),
            "{error}"
        );
    }

    #[test]
    fn every_interface_needs_an_advertised_address() {
        assert!(
            with("0.0.0.0:7000", None, true)
                .unwrap_err()
                .to_string()
                .contains("--advertise")
        );
        assert!(with("127.0.0.1:7000", Some("0.0.0.0:7000"), true).is_err());
        assert!(with("127.0.0.1:7000", Some("127.0.0.1:0"), true).is_err());
    }

    #[test]
    fn malformed_addresses_and_numbers_are_refused() {
        for listen in [
            "",
            "7000",
            ":7000",
            "localhost",
            "localhost:x",
            "localhost:70000",
            "http://localhost:1",
        ] {
            assert!(with(listen, None, true).is_err(), "{listen}");
        }
        let mut config = NodeConfig::new("data", "127.0.0.1:0");
        config.join = vec!["127.0.0.1:7000".to_owned(), "127.0.0.1".to_owned()];
        assert!(config.validate().unwrap_err().to_string().starts_with("join"));
        config.join.clear();
        config.segment_bytes = 4096;
        assert!(config.validate().is_err());
        config.segment_bytes = SEGMENT_BYTES_MIN;
        assert_eq!(config.validate(), Ok(()));
        config.raft.heartbeat_ms = config.raft.election_min_ms;
        assert!(config.validate().is_err());
    }

    #[test]
    fn a_dial_map_has_addresses_that_can_be_dialed_each_once() {
        let check = |pairs: &[(&str, &str)]| {
            let mut config = NodeConfig::new("data", "127.0.0.1:0");
            let pairs = pairs.iter().map(|(to, by)| ((*to).to_owned(), (*by).to_owned()));
            config.dial_map = pairs.collect();
            config.validate().map_err(|error| error.to_string())
        };
        assert_eq!(
            check(&[("127.0.0.1:1", "127.0.0.1:9"), ("b.example:1", "127.0.0.1:9")]),
            Ok(())
        );
        for bad in [
            ("a", "b:1"),
            ("a:1", "b"),
            ("a:0", "b:1"),
            ("a:1", "b:0"),
            ("a:1", "0.0.0.0:1"),
        ] {
            let error = check(&[bad]).unwrap_err();
            assert!(error.starts_with("dial-map"), "{error}");
        }
        let error = check(&[("a:1", "b:1"), ("a:1", "c:1")]).unwrap_err();
        assert!(error.contains("a:1") && error.contains("twice"), "{error}");
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let mut config = NodeConfig::new("data", "10.0.0.1:1");
        config.join = vec!["a".to_owned(), "b:1".to_owned(), "c:0".to_owned()];
        config.zone = "rack 7".to_owned();
        config.segment_bytes = 1;
        config.set_memory(MEMORY_BYTES_MIN - 1);
        let settings: Vec<_> = config.problems().iter().map(|problem| problem.setting).collect();
        assert_eq!(
            settings,
            ["listen", "join", "join", "zone", "segment-bytes", "memory-mib"]
        );
    }

    #[test]
    fn zones_have_a_form() {
        let zone = |zone: &str| {
            let mut config = NodeConfig::new("data", "127.0.0.1:0");
            config.zone = zone.to_owned();
            config.validate().is_ok()
        };
        for good in ["", "a", "eu-west-1.a_B", &"z".repeat(63)] {
            assert!(zone(good), "{good}");
        }
        for bad in [" ", "a b", "a/b", "ü", &"z".repeat(64)] {
            assert!(!zone(bad), "{bad}");
        }
    }
}
