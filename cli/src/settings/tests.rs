//! Where settings come from, and what is said about bad ones.

use std::io::Write;
use std::path::Path;

use clap::{Command, FromArgMatches};

use super::field::Field;
use super::*;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/atoll.example.toml");
const PAGE: &str = include_str!("../../../docs/configuration.md");

fn flags(line: &str) -> SettingFlags {
    let command = <SettingFlags as clap::Args>::augment_args(Command::new("t"));
    let matches = command
        .try_get_matches_from(format!("t {line}").split_whitespace())
        .unwrap();
    SettingFlags::from_arg_matches(&matches).unwrap()
}

fn none(_: &str) -> Option<String> {
    None
}

/// Puts a settings file somewhere and gives the options that name it.
fn with_file(text: &str, rest: &str) -> (tempfile::TempDir, SettingFlags) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("atoll.toml");
    let file = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
    file.as_file().write_all(text.as_bytes()).unwrap();
    file.persist(&path).unwrap();
    let flags = flags(&format!("--config {} {rest}", path.display()));
    (dir, flags)
}

fn shown(resolved: &Resolved, field: Field) -> (String, String) {
    let given = &resolved.all[&field];
    let source = given.source.to_string();
    let name = source.rsplit('/').next().unwrap().to_owned();
    (given.value.to_string(), name)
}

#[test]
fn options_go_before_the_environment_that_before_the_file_that_before_defaults() {
    let text = "data-dir = \"/file\"\nlisten = \"127.0.0.1:1\"\nzone = \"file\"\njoin = [\"a:1\", \"b:2\"]\npreallocate = false\n";
    let (_dir, flags) = with_file(text, "--zone flag --threads 2");
    let variable = |name: &str| match name {
        "ATOLL_ZONE" => Some("variable".to_owned()),
        "ATOLL_LISTEN" => Some("127.0.0.1:2".to_owned()),
        "ATOLL_LOG" => Some(String::new()),
        _ => None,
    };
    let resolved = flags.resolve_in(variable).unwrap();
    let pair = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(shown(&resolved, Field::Zone), pair("flag", "--zone"));
    assert_eq!(
        shown(&resolved, Field::Listen),
        pair("127.0.0.1:2", "ATOLL_LISTEN")
    );
    assert_eq!(
        shown(&resolved, Field::Join),
        pair("a:1,b:2", "atoll.toml line 4")
    );
    assert_eq!(
        shown(&resolved, Field::Preallocate),
        pair("false", "atoll.toml line 5")
    );
    assert_eq!(shown(&resolved, Field::SegmentMib), pair("64", "default"));
    assert_eq!(
        shown(&resolved, Field::Log),
        pair("info,openraft=warn,openraft::raft::raft_inner=off", "default")
    );
    assert_eq!(resolved.threads, 2);
    assert_eq!(resolved.config.zone, "flag");
    assert_eq!(resolved.config.join, ["a:1", "b:2"]);
    assert_eq!(resolved.config.data_dir, Path::new("/file"));
    assert!(!resolved.config.preallocate);
}

#[test]
fn every_setting_can_be_an_option_and_a_variable() {
    let line = "--data-dir d --listen 127.0.0.1:0 --advertise h:1 --join a:1,b:1 --join c:1 --zone z --insecure \
                --threads 3 --memory-mib 320 --segment-mib 8 --no-preallocate --disk-quota-mib 500 --disk-keep-free-mib 300 --history-s 90 --history-mib 7 --pin-mib 5 --scrub-mib-per-second 20 --state-backend native --compression lz4 --heartbeat-ms 100 --election-min-ms 400 \
                --election-max-ms 900 --log warn --log-format json \
                --encryption-key-file keys --encryption-key-command ask";
    let by_options = flags(line).resolve_in(none).unwrap();
    let variable = |name: &str| {
        let text = match name {
            "ATOLL_DATA_DIR" => "d",
            "ATOLL_LISTEN" => "127.0.0.1:0",
            "ATOLL_ADVERTISE" => "h:1",
            "ATOLL_JOIN" => "a:1,b:1,c:1",
            "ATOLL_ZONE" => "z",
            "ATOLL_ENCRYPTION_KEY_FILE" => "keys",
            "ATOLL_ENCRYPTION_KEY_COMMAND" => "ask",
            "ATOLL_INSECURE" | "ATOLL_NO_PREALLOCATE" => "1",
            "ATOLL_THREADS" => "3",
            "ATOLL_MEMORY_MIB" => "320",
            "ATOLL_SEGMENT_MIB" => "8",
            "ATOLL_DISK_QUOTA_MIB" => "500",
            "ATOLL_DISK_KEEP_FREE_MIB" => "300",
            "ATOLL_HISTORY_S" => "90",
            "ATOLL_HISTORY_MIB" => "7",
            "ATOLL_PIN_MIB" => "5",
            "ATOLL_SCRUB_MIB_PER_SECOND" => "20",
            "ATOLL_STATE_BACKEND" => "native",
            "ATOLL_COMPRESSION" => "lz4",
            "ATOLL_HEARTBEAT_MS" => "100",
            "ATOLL_ELECTION_MIN_MS" => "400",
            "ATOLL_ELECTION_MAX_MS" => "900",
            "ATOLL_LOG" => "warn",
            "ATOLL_LOG_FORMAT" => "json",
            _ => return None,
        };
        Some(text.to_owned())
    };
    let by_variables = flags("").resolve_in(variable).unwrap();
    for field in Field::ALL {
        let (option, variable) = (&by_options.all[&field], &by_variables.all[&field]);
        assert_eq!(option.value, variable.value, "{field:?}");
        assert_eq!(option.source.to_string(), field.option());
        assert_eq!(variable.source.to_string(), field.variable());
    }
    assert!(!by_options.config.preallocate && by_options.config.insecure);
    assert_eq!(by_options.config.raft.election_min_ms, 400);
    assert_eq!(by_options.config.memory_bytes, 320 << 20);
    assert_eq!(by_options.config.store.row_memory, 80 << 20);
    assert_eq!(by_options.config.disk_quota_bytes, Some(500 << 20));
    assert_eq!(by_options.config.disk_keep_free_bytes, 300 << 20);
    let history = by_options.config.history.unwrap();
    assert_eq!((history.window_ms, history.bytes), (90_000, 7 << 20));
    assert_eq!(by_options.config.pin_bytes, 5 << 20);
    assert_eq!(by_options.config.scrub.bytes_per_second, 20 << 20);
    assert_eq!(
        by_options.config.store.compression,
        atoll_server::Compression::Lz4
    );
    let by_default = flags("--data-dir d").resolve_in(none).unwrap();
    assert_eq!(by_default.config.scrub, atoll_server::ScrubOptions::default());
    assert_eq!(by_default.config.disk_quota_bytes, None);
    assert_eq!(by_default.config.history, None);
    assert_eq!(
        by_default.config.pin_bytes,
        by_default.config.store.journal_budget / 4
    );
    assert!((256 << 20..=4096 << 20).contains(&by_default.config.memory_bytes));
}

#[test]
fn all_problems_are_told_at_once_with_their_places() {
    let text = "data-dir = \"d\"\nlissten = \"x\"\nsegment_mib = 9\nthreads = \"many\"\njoin = \"a:1\"\nlog = tru\nzone = \"two words\"\n";
    let (_dir, flags) = with_file(text, "--listen nowhere --segment-mib 4");
    let variable = |name: &str| (name == "ATOLL_INSECURE").then(|| "perhaps".to_owned());
    let problems = flags.resolve_in(variable).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        ("file: ", "line 6)"),
        (
            "lissten: there is no such setting; known are data-dir,",
            "line 2)",
        ),
        (
            "segment_mib: there is no such setting; it is written segment-mib",
            "line 3)",
        ),
        ("threads: a whole number", "line 4)"),
        ("join: a list of strings", "line 5)"),
        (
            "insecure: 'perhaps' is neither true nor false",
            "(ATOLL_INSECURE)",
        ),
        ("segment-mib: 4 is not a number from 8 to 1024", "(--segment-mib)"),
        ("listen: 'nowhere': an address is host:port", "(--listen)"),
        ("zone: 'two words': a zone is", "line 7)"),
    ];
    for (begin, end) in expected {
        let found = told
            .iter()
            .any(|line| line.starts_with(begin) && line.ends_with(end));
        assert!(found, "{begin} … {end} in {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    let failure = failure(&problems);
    assert!(
        failure.what.starts_with("9 settings cannot be used:"),
        "{}",
        failure.what
    );
}

#[test]
fn rules_between_settings_name_the_setting_to_mend() {
    let told = |line: &str| -> Vec<String> {
        let problems = flags(line).resolve_in(none).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    };
    let lines = told("--listen 127.0.0.1:0");
    assert!(
        lines[0].starts_with("data-dir: ") && lines[0].ends_with("(not set)"),
        "{lines:?}"
    );
    let lines = told("--data-dir d --listen 0.0.0.0:1 --advertise 10.0.0.1:1 --election-min-ms 100 --log =");
    let starts = ["listen: ", "advertise: ", "heartbeat-ms: ", "log: "];
    assert_eq!(lines.len(), starts.len(), "{lines:?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
    let lines = told("--config /nowhere/atoll.toml --data-dir d");
    assert!(
        lines[0].contains("cannot be read") && lines[0].contains("/nowhere/atoll.toml"),
        "{lines:?}"
    );
}

#[test]
fn the_example_file_works_and_names_every_setting() {
    let resolved = from_file(Path::new(EXAMPLE)).unwrap();
    assert_eq!(resolved.config.join.len(), 3);
    let text = include_str!("../../../docs/atoll.example.toml");
    for field in Field::ALL {
        let line = format!("{} = ", field.name());
        let named = text
            .lines()
            .any(|found| found.trim_start_matches("# ").starts_with(&line));
        assert!(named, "{} is not in the example", field.name());
    }
    // What is commented out is right too: it shows the default or an alternative.
    let uncommented = text.replace("\n# ", "\n");
    let words: Vec<&str> = uncommented.lines().filter(|line| line.contains(" = ")).collect();
    let (_dir, flags) = with_file(&words.join("\n"), "");
    assert!(flags.resolve_in(none).is_ok());
}

#[test]
fn the_page_describes_every_setting() {
    for field in Field::ALL {
        for name in [field.name(), field.variable(), field.option()] {
            assert!(PAGE.contains(&format!("`{name}`")), "{name} is not described");
        }
    }
}
