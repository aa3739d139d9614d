//! The four places put together, and checked as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use atoll_env::Env;
use atoll_server::{Compression, HistoryLimits, NodeConfig, RaftOptions, StateBackend};
use tracing_subscriber::EnvFilter;

use super::field::Field;
use super::given::{Given, Problem, Source, Value, parse};
use super::machine::default_memory_mib;
use super::{SettingFlags, file};
use crate::failure::Failure;
use crate::telemetry::LogFormat;

/// More threads than this bring nothing for one node.
const THREADS_DEFAULT_MAX: usize = 4;
/// A settings file is short.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Names the file where no option does.
const CONFIG_VARIABLE: &str = "ATOLL_CONFIG";

/// Settings that a node can be started with.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) config: NodeConfig,
    pub(crate) threads: usize,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    /// Every setting with its source, in order.
    pub(crate) all: BTreeMap<Field, Given>,
}

impl Resolved {
    /// The text of a setting, if it is set.
    pub(crate) fn text(&self, field: Field) -> Option<String> {
        let text = self.all.get(&field)?.value.to_string();
        Some(text).filter(|text| !text.is_empty())
    }
}

/// Settings from a file and the defaults alone.
pub(crate) fn from_file(path: &Path) -> Result<Resolved, Vec<Problem>> {
    let mut layers = Layers::defaults();
    layers.read_file(path);
    layers.resolve()
}

/// All problems, for people.
pub(crate) fn failure(problems: &[Problem]) -> Failure {
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    let what = match problems.len() {
        1 => "a setting cannot be used".to_owned(),
        count => format!("{count} settings cannot be used"),
    };
    Failure::usage(format!("{what}:{}", lines.concat()))
}

impl SettingFlags {
    /// What these options, the environment, the file and the defaults say together.
    pub(crate) fn resolve(&self) -> Result<Resolved, Vec<Problem>> {
        self.resolve_in(|name| std::env::var(name).ok())
    }

    pub(super) fn resolve_in(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Resolved, Vec<Problem>> {
        let variable = |name: &str| variable(name).filter(|text| !text.is_empty());
        let mut layers = Layers::defaults();
        let named = self
            .config
            .clone()
            .or_else(|| Some(variable(CONFIG_VARIABLE)?.into()));
        if let Some(path) = named {
            layers.read_file(&path);
        }
        for field in Field::ALL {
            if let Some(text) = variable(field.variable()) {
                layers.say(field, &text, Source::Variable(field.variable()));
            }
        }
        for (field, text) in self.said() {
            layers.say(field, &text, Source::Option(field.option()));
        }
        layers.resolve()
    }
}

/// What was said so far, later places over earlier ones.
#[derive(Default)]
struct Layers {
    given: BTreeMap<Field, Given>,
    problems: Vec<Problem>,
}

impl Layers {
    fn defaults() -> Self {
        let mut layers = Self::default();
        let (env, raft) = (Env::real(), RaftOptions::default());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for field in Field::ALL {
            let text = match field {
                Field::Threads => cores.min(THREADS_DEFAULT_MAX).to_string(),
                Field::MemoryMib => default_memory_mib(&*env.vfs).to_string(),
                Field::HeartbeatMs => raft.heartbeat_ms.to_string(),
                Field::ElectionMinMs => raft.election_min_ms.to_string(),
                Field::ElectionMaxMs => raft.election_max_ms.to_string(),
                // Its variable says the contrary, but its default does not.
                Field::Preallocate => "false".to_owned(),
                other => other.default_text().to_owned(),
            };
            layers.say(field, &text, Source::Default);
        }
        layers
    }

    fn say(&mut self, field: Field, text: &str, source: Source) {
        match parse(field, text) {
            Ok(value) => {
                self.given.insert(field, Given { value, source });
            }
            Err(what) => self.problems.push(Problem {
                setting: field.name().to_owned(),
                what,
                source: source.to_string(),
            }),
        }
    }

    fn read_file(&mut self, path: &Path) {
        let shown = path.display().to_string();
        let bytes = Env::real().vfs.read_small(path, FILE_BYTES_MAX);
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
        match text {
            Ok(text) => {
                let (given, problems) = file::read(&shown, &text);
                self.given.extend(given);
                self.problems.extend(problems);
            }
            Err(error) => self.problems.push(Problem {
                setting: "file".to_owned(),
                what: format!("cannot be read: {error}"),
                source: shown,
            }),
        }
    }

    fn resolve(mut self) -> Result<Resolved, Vec<Problem>> {
        let config = self.config();
        for problem in config.problems() {
            let field = Field::named(problem.setting);
            let source = field.and_then(|field| self.given.get(&field));
            self.problems.push(Problem {
                setting: problem.setting.to_owned(),
                what: if problem.value.is_empty() {
                    problem.reason.to_owned()
                } else {
                    format!("'{}': {}", problem.value, problem.reason)
                },
                source: match source {
                    Some(given) if problem.value.is_empty() && given.source == Source::Default => {
                        "not set".to_owned()
                    }
                    Some(given) => given.source.to_string(),
                    None => "default".to_owned(),
                },
            });
        }
        self.check_log();
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        Ok(Resolved {
            config,
            threads: self.number(Field::Threads) as usize,
            log: self.text(Field::Log),
            log_format: match self.text(Field::LogFormat).as_str() {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
            all: self.given,
        })
    }

    fn config(&self) -> NodeConfig {
        let mut config = NodeConfig::new(self.text(Field::DataDir), self.text(Field::Listen));
        config.advertise = Some(self.text(Field::Advertise)).filter(|address| !address.is_empty());
        config.join = match self.given.get(&Field::Join).map(|given| &given.value) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        };
        config.zone = self.text(Field::Zone);
        config.insecure = self.flag(Field::Insecure);
        config.preallocate = self.flag(Field::Preallocate);
        // At most 1,024, so it fits.
        config.segment_bytes = self.number(Field::SegmentMib) as u32 * 1024 * 1024;
        // A tebibyte at most, so it fits.
        config.set_memory(self.number(Field::MemoryMib) * 1024 * 1024);
        config.disk_quota_bytes = match self.number(Field::DiskQuotaMib) {
            0 => None,
            mib => Some(mib * 1024 * 1024),
        };
        // A pebibyte at most, so it fits.
        config.disk_keep_free_bytes = self.number(Field::DiskKeepFreeMib) * 1024 * 1024;
        config.history = match self.number(Field::HistoryS) {
            0 => None,
            // A month, and a pebibyte, at most.
            seconds => Some(HistoryLimits {
                window_ms: seconds * 1000,
                bytes: self.number(Field::HistoryMib) * 1024 * 1024,
            }),
        };
        // A pebibyte at most, so it fits.
        config.pin_bytes = self.number(Field::PinMib) * 1024 * 1024;
        // A tebibyte at most, so it fits.
        config.scrub.bytes_per_second = self.number(Field::ScrubMibPerSecond) * 1024 * 1024;
        config.state_backend = match self.text(Field::StateBackend).as_str() {
            "sled" => StateBackend::Sled,
            _ => StateBackend::Native,
        };
        config.store.compression = match self.text(Field::Compression).as_str() {
            "off" => Compression::Off,
            "lz4" => Compression::Lz4,
            _ => Compression::Zstd,
        };
        config.raft.heartbeat_ms = self.number(Field::HeartbeatMs);
        config.raft.election_min_ms = self.number(Field::ElectionMinMs);
        config.raft.election_max_ms = self.number(Field::ElectionMaxMs);
        config
    }

    fn check_log(&mut self) {
        if let Some(given) = self.given.get(&Field::Log)
            && let Err(error) = EnvFilter::try_new(given.value.to_string())
        {
            self.problems.push(Problem {
                setting: Field::Log.name().to_owned(),
                what: format!("'{}' is no log filter: {error}", given.value),
                source: given.source.to_string(),
            });
        }
    }

    fn text(&self, field: Field) -> String {
        self.given
            .get(&field)
            .map_or_else(String::new, |given| given.value.to_string())
    }

    fn flag(&self, field: Field) -> bool {
        matches!(
            self.given.get(&field),
            Some(Given {
                value: Value::Flag(true),
                ..
            })
        )
    }

    fn number(&self, field: Field) -> u64 {
        match self.given.get(&field).map(|given| &given.value) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }
}
