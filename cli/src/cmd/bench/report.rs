//! The results, for people and for programs.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::command::{Bench, Workload};
use super::figures::Figures;
use crate::output::Table;
use crate::screen::Screen;
use crate::units::{count, per_second, rate, span};

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999)];

/// The report as lines.
pub(super) fn lines(bench: &Bench, figures: &Figures) -> Vec<String> {
    let recording = &figures.recording;
    let mut table = Table::new(&[
        "throughput",
        &format!(
            "{} operations/s",
            count(per_second(recording.operations(), recording.elapsed))
        ),
    ]);
    table.row([
        "operations".to_owned(),
        format!("{} in {}", count(recording.operations()), span(recording.elapsed)),
    ]);
    table.row(["latency".to_owned(), latency_line(&recording.latencies())]);
    if bench.workload == Workload::Mixed {
        table.row(["  of reads".to_owned(), latency_line(&recording.reads)]);
        table.row(["  of writes".to_owned(), latency_line(&recording.writes)]);
    }
    table.row(["errors".to_owned(), errors_line(figures)]);
    if recording.missing > 0 {
        let hint = if bench.preload {
            ""
        } else {
            "; --preload writes all keys first"
        };
        table.row([
            "absent keys".to_owned(),
            format!("{} reads{hint}", count(recording.missing)),
        ]);
    }
    let gap = format!(
        "{}, {} after the start",
        span(recording.longest_gap),
        span(recording.longest_gap_at)
    );
    table.row(["longest gap".to_owned(), gap]);
    table.row(["CPU per operation".to_owned(), cpu_line(figures)]);
    for (name, median, mean) in batching(figures) {
        table.row([name.replace('_', " "), format!("p50 {median}, mean {mean:.1}")]);
    }
    if !figures.recording.reads.is_empty() {
        table.row([
            "reads per round".to_owned(),
            format!("mean {:.1}", figures.reads_per_round_mean()),
        ]);
    }
    let detours: Vec<_> = figures
        .detours()
        .map(|(name, number)| format!("{} {}", count(number), name.replace('_', " ")))
        .into();
    table.row(["served".to_owned(), detours.join(", ")]);
    let mut lines = vec![headline(bench), String::new()];
    lines.extend(table.fitted(bench.output.screen(Screen::NONE)));
    lines
}

fn headline(bench: &Bench) -> String {
    let how = if bench.unary { "unary calls" } else { "pipe" };
    let what = match bench.workload {
        Workload::Put => "put".to_owned(),
        Workload::Get => "get".to_owned(),
        Workload::Scan => "scan".to_owned(),
        Workload::Mixed => format!("mixed, {} % reads", bench.read_percent),
    };
    format!(
        "{what}: {} in flight, values of {} bytes, {} keys, {how}, {} client thread(s)",
        bench.in_flight,
        bench.value_size,
        count(bench.keys),
        bench.client_threads,
    )
}

fn latency_line(latencies: &Histogram<u64>) -> String {
    let millis = |nanos: u64| nanos as f64 / 1e6;
    let [p50, p99, p99_9] = QUANTILES.map(|(_, quantile)| millis(latencies.value_at_quantile(quantile)));
    let max = millis(latencies.max());
    format!("p50 {p50:.3} ms, p99 {p99:.3} ms, p99.9 {p99_9:.3} ms, max {max:.3} ms")
}

fn errors_line(figures: &Figures) -> String {
    let errors = &figures.recording.errors;
    if errors.is_empty() {
        return "none".to_owned();
    }
    let kinds: Vec<_> = errors
        .iter()
        .map(|(kind, number)| format!("{} {kind}", count(*number)))
        .collect();
    kinds.join(", ")
}

fn cpu_line(figures: &Figures) -> String {
    let client = figures.per_operation(figures.client_cpu_us);
    let servers = figures.per_operation(figures.servers_cpu_us());
    let nodes: Vec<_> = figures
        .nodes
        .iter()
        .map(|(node, counters)| format!("node {node} {:.1}", figures.per_operation(counters.cpu_us)))
        .collect();
    format!(
        "client {client:.1} µs, servers {servers:.1} µs ({})",
        nodes.join(", ")
    )
}

/// Name, median, mean.
fn batching(figures: &Figures) -> [(&'static str, u64, f64); 2] {
    [
        (
            "commands_per_entry",
            figures.commands_per_entry_p50(),
            figures.commands_per_entry_mean(),
        ),
        (
            "entries_per_sync",
            figures.entries_per_sync_p50(),
            figures.entries_per_sync_mean(),
        ),
    ]
}

/// The report as one object. 64-bit counts are strings.
pub(super) fn json(bench: &Bench, figures: &Figures) -> Value {
    let recording = &figures.recording;
    let errors: Map<_, _> = recording
        .errors
        .iter()
        .map(|(kind, number)| (kind.clone(), json!(number.to_string())))
        .collect();
    json!({
        "settings": settings_json(bench),
        "seconds": recording.elapsed.as_secs_f64(),
        "operations": recording.operations().to_string(),
        "operations_per_second": rate(recording.operations(), recording.elapsed),
        "latency_us": latency_json(&recording.latencies()),
        "read_latency_us": latency_json(&recording.reads),
        "write_latency_us": latency_json(&recording.writes),
        "errors": errors,
        "absent_keys": recording.missing.to_string(),
        "longest_gap_ms": recording.longest_gap.as_secs_f64() * 1e3,
        "longest_gap_at_ms": recording.longest_gap_at.as_secs_f64() * 1e3,
        "cpu_us_per_operation": cpu_json(figures),
        "commands_per_entry_p50": figures.commands_per_entry_p50().to_string(),
        "commands_per_entry_mean": figures.commands_per_entry_mean(),
        "entries_per_sync_p50": figures.entries_per_sync_p50().to_string(),
        "entries_per_sync_mean": figures.entries_per_sync_mean(),
        "reads_per_round_mean": figures.reads_per_round_mean(),
        "served": figures
            .detours()
            .map(|(name, number)| (name.to_owned(), json!(number.to_string())))
            .into_iter()
            .collect::<Map<_, _>>(),
    })
}

fn settings_json(bench: &Bench) -> Value {
    let workload = match bench.workload {
        Workload::Put => "put",
        Workload::Get => "get",
        Workload::Scan => "scan",
        Workload::Mixed => "mixed",
    };
    json!({
        "workload": workload,
        "read_percent": bench.read_percent(),
        "transport": if bench.unary { "unary" } else { "pipe" },
        "in_flight": bench.in_flight,
        "value_size": bench.value_size,
        "keys": bench.keys.to_string(),
        "client_threads": bench.client_threads,
        "seed": bench.seed.to_string(),
    })
}

/// Null where nothing was measured.
fn latency_json(latencies: &Histogram<u64>) -> Value {
    if latencies.is_empty() {
        return Value::Null;
    }
    let micros = |nanos: u64| nanos as f64 / 1e3;
    let mut object: Map<_, _> = QUANTILES
        .iter()
        .map(|&(name, quantile)| {
            (
                name.to_owned(),
                json!(micros(latencies.value_at_quantile(quantile))),
            )
        })
        .collect();
    object.insert("max".to_owned(), json!(micros(latencies.max())));
    object.insert("mean".to_owned(), json!(latencies.mean() / 1e3));
    Value::Object(object)
}

fn cpu_json(figures: &Figures) -> Value {
    let nodes: Map<_, _> = figures
        .nodes
        .iter()
        .map(|(node, counters)| (node.to_string(), json!(figures.per_operation(counters.cpu_us))))
        .collect();
    json!({
        "client": figures.per_operation(figures.client_cpu_us),
        "servers": figures.per_operation(figures.servers_cpu_us()),
        "nodes": nodes,
    })
}

#[cfg(test)]
mod tests {
    use atoll_env::Instant;
    use atoll_proto::v1::Counters;
    use clap::Parser;

    use super::super::recorder::Recorder;
    use super::super::target::Outcome;
    use super::*;
    use crate::args::{Cli, Command};

    fn bench(line: &str) -> Bench {
        match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
            Command::Bench(bench) => bench,
            other => panic!("{other:?}"),
        }
    }

    fn figures() -> Figures {
        let at = |micros: u64| Instant::from_nanos(micros * 1000);
        let recorder = Recorder::new(at(0));
        recorder.open(at(0));
        for n in 1..=100 {
            recorder.record(n % 2 == 0, at(0), at(n * 1000), Outcome::Done);
        }
        recorder.record(false, at(0), at(1), Outcome::Failed("unknown".to_owned()));
        let counters = |cpu_us| Counters {
            cpu_us,
            entries: 10,
            commands: 50,
            commands_per_entry_p50: 5,
            ..Counters::default()
        };
        Figures {
            recording: recorder.close(at(100_000)),
            client_cpu_us: 250,
            nodes: [(1, counters(1000)), (2, counters(500))].into(),
        }
    }

    #[test]
    fn lines_tell_everything_that_was_asked() {
        let lines = lines(&bench("atoll bench mixed"), &figures()).join("\n");
        for part in [
            "95 % reads",
            "1,000 operations/s",
            "p99.9",
            "1 unknown",
            "client 2.5 µs, servers 15.0 µs (node 1 10.0, node 2 5.0)",
            "p50 5, mean 5.0",
            "longest gap",
        ] {
            assert!(lines.contains(part), "{part} in\n{lines}");
        }
    }

    #[test]
    fn json_has_figures_as_numbers_and_counts_as_strings() {
        let json = json(&bench("atoll bench put --unary"), &figures());
        assert_eq!(json["operations"], "100");
        assert_eq!(json["errors"]["unknown"], "1");
        assert_eq!(json["settings"]["transport"], "unary");
        assert_eq!(json["commands_per_entry_p50"], "5");
        let p50 = json["latency_us"]["p50"].as_f64().unwrap();
        assert!((49_900.0..50_200.0).contains(&p50), "{p50}");
        assert!((json["cpu_us_per_operation"]["servers"].as_f64().unwrap() - 15.0).abs() < 1e-9);
    }
}
