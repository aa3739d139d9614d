//! Folders, ports and arguments of the nodes of one development cluster.

use std::path::{Path, PathBuf};

use atoll_env::Env;
use atoll_env::vfs::OpenMode;

use crate::failure::{Failure, Result};

/// As much of a log as is worth showing.
const LAST_WORDS_BYTES: u64 = 2048;
/// As many lines of it.
const LAST_WORDS_LINES: usize = 12;

/// Where everything is.
pub(super) struct Layout {
    dir: PathBuf,
    nodes: u16,
    base_port: u16,
    /// Keeps a second `atoll dev` out of the folder, which would begin the logs of running nodes anew.
    _lock: Option<Box<dyn Send + Sync>>,
}

impl Layout {
    /// Makes the folders, or checks that they belong to a cluster of so many nodes.
    pub(super) fn prepare(env: &Env, dir: &Path, nodes: u16, base_port: u16) -> Result<Self> {
        if base_port.checked_add(nodes).is_none() {
            return Err(Failure::usage(format!(
                "there are no {nodes} ports from {base_port}"
            )));
        }
        let cannot = |error: std::io::Error| {
            Failure::usage(format!("cannot use the folder {}: {error}", dir.display()))
        };
        // Absolute, so that the commands that are shown work from any folder.
        let dir = std::path::absolute(dir).map_err(cannot)?;
        env.vfs.create_dir_all(&dir).map_err(cannot)?;
        let lock = env.vfs.lock(&dir.join("LOCK")).map_err(|error| {
            let what = format!("{} is in use by another `atoll dev` ({error})", dir.display());
            Failure::usage(what).next("stop that one, or choose another --dir")
        })?;
        let found = node_folders(&env.vfs.list(&dir).map_err(cannot)?);
        if found != 0 && found != nodes {
            let what = format!("{} holds a cluster of {found} nodes, not {nodes}", dir.display());
            return Err(Failure::usage(what).next(format!("add --nodes {found}, or choose another --dir")));
        }
        let layout = Self {
            dir,
            nodes,
            base_port,
            _lock: Some(lock),
        };
        for number in layout.numbers() {
            env.vfs.create_dir_all(&layout.data(number)).map_err(cannot)?;
        }
        Ok(layout)
    }

    /// 1, 2, 3, …
    pub(super) fn numbers(&self) -> impl Iterator<Item = u16> + use<> {
        1..=self.nodes
    }

    /// The folder of everything.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The log file of one node.
    pub(super) fn log(&self, number: u16) -> PathBuf {
        self.node(number).join("log")
    }

    /// The address of one node.
    pub(super) fn address(&self, number: u16) -> String {
        format!("127.0.0.1:{}", self.base_port + number - 1)
    }

    /// All addresses.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.numbers().map(|number| self.address(number)).collect()
    }

    /// What one node is started with: small segments, because a laptop has better uses for disk.
    pub(super) fn arguments(&self, number: u16) -> Vec<String> {
        let mut arguments = vec![
            "start".to_owned(),
            "--data-dir".to_owned(),
            self.data(number).display().to_string(),
            "--listen".to_owned(),
            self.address(number),
            "--threads".to_owned(),
            "1".to_owned(),
            "--segment-mib".to_owned(),
            "8".to_owned(),
            "--no-preallocate".to_owned(),
        ];
        let others: Vec<_> = self.numbers().filter(|&other| other != number).collect();
        if !others.is_empty() {
            arguments.push("--join".to_owned());
            arguments.push(
                others
                    .into_iter()
                    .map(|other| self.address(other))
                    .collect::<Vec<_>>()
                    .join(","),
            );
        }
        arguments
    }

    /// The command that starts one node by hand.
    pub(super) fn command_line(&self, number: u16) -> Result<String> {
        let program = shown(&std::env::current_exe()?);
        let arguments: Vec<_> = self
            .arguments(number)
            .iter()
            .map(|argument| shown(Path::new(argument)))
            .collect();
        Ok(format!("{program} {}", arguments.join(" ")))
    }

    fn node(&self, number: u16) -> PathBuf {
        self.dir.join(format!("node-{number}"))
    }

    fn data(&self, number: u16) -> PathBuf {
        self.node(number).join("data")
    }
}

/// The path as a user would type it.
pub(super) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(' ') {
        format!("'{text}'")
    } else {
        text
    }
}

/// The highest `node-N` among names; 0 if there is none.
fn node_folders(names: &[String]) -> u16 {
    names
        .iter()
        .filter_map(|name| name.strip_prefix("node-")?.parse().ok())
        .max()
        .unwrap_or(0)
}

/// The end of a log file, indented; a sentence if it cannot be read.
pub(super) fn last_lines(env: &Env, log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let file = env.vfs.open(log, OpenMode::Read)?;
        let len = file.len()?;
        let wanted = len.min(LAST_WORDS_BYTES);
        let mut end = vec![0; wanted as usize];
        file.read_exact_at(&mut end, len - wanted)?;
        Ok(end)
    };
    match read() {
        Ok(end) => indented(&String::from_utf8_lossy(&end)),
        Err(error) => format!("    (cannot be read: {error})"),
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let shown = lines
        .get(lines.len().saturating_sub(LAST_WORDS_LINES)..)
        .unwrap_or_default();
    shown
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout {
            dir: "d".into(),
            nodes: 3,
            base_port: 7401,
            _lock: None,
        }
    }

    #[test]
    fn nodes_know_each_other_and_not_themselves() {
        let arguments = layout().arguments(2).join(" ");
        assert!(arguments.contains("--listen 127.0.0.1:7402"), "{arguments}");
        assert!(
            arguments.contains("--join 127.0.0.1:7401,127.0.0.1:7403"),
            "{arguments}"
        );
        assert!(arguments.contains("--data-dir d/node-2/data"), "{arguments}");
        let alone = Layout { nodes: 1, ..layout() };
        assert!(!alone.arguments(1).contains(&"--join".to_owned()));
    }

    #[test]
    fn a_folder_tells_how_many_nodes_it_holds() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(node_folders(&names(&["node-1", "node-3", "node-2", "notes"])), 3);
        assert_eq!(node_folders(&names(&["node-x", "other"])), 0);
    }

    #[test]
    fn the_arguments_are_ones_that_start_understands() {
        use clap::Parser;
        let mut line = vec!["atoll".to_owned()];
        line.extend(layout().arguments(1));
        line.push("--exit-with-stdin".to_owned());
        assert!(crate::args::Cli::try_parse_from(line).is_ok());
    }

    #[test]
    fn last_words_are_short() {
        let log = (0..50)
            .map(|n| format!("line {n}"))
            .collect::<Vec<_>>()
            .join("\n");
        let shown = indented(&log);
        assert_eq!(shown.lines().count(), LAST_WORDS_LINES);
        assert!(shown.ends_with("    line 49"));
        assert_eq!(indented(""), "");
    }
}
