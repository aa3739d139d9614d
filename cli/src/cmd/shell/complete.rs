//! Completion: commands and options from the grammar, keys from the cluster.

use std::time::Duration;

use atoll_client::{Client, ScanOptions};
use clap::Command;
use rustyline::completion::{Completer, Pair};
use tokio::runtime::Handle;

use crate::context::Keeper;

/// Keys are looked up only as long as nobody notices the wait.
const PATIENCE: Duration = Duration::from_millis(300);
/// As many keys are offered.
const KEYS_MAX: u64 = 50;
/// Commands whose arguments are keys.
const TAKE_KEYS: [&str; 12] = [
    "get", "put", "del", "cas", "incr", "append", "min", "max", "scan", "count", "show", "export",
];

/// Completes the word before the cursor.
pub(super) struct Words {
    definition: Command,
    clients: Keeper,
    runtime: Handle,
}

impl Words {
    pub(super) fn new(definition: Command, clients: Keeper, runtime: Handle) -> Self {
        Self {
            definition,
            clients,
            runtime,
        }
    }

    /// What the word could be, given the words before it.
    fn candidates(&self, before: &[&str], word: &str) -> Vec<String> {
        let mut command = &self.definition;
        let mut words = before.iter();
        while let Some(below) = words
            .clone()
            .next()
            .and_then(|name| command.find_subcommand(name))
        {
            command = below;
            words.next();
        }
        let beginning_so = |name: &String| name.starts_with(word);
        if let Some(values) = before.last().and_then(|option| values_of(command, option)) {
            return values.into_iter().filter(beginning_so).collect();
        }
        if command.has_subcommands() {
            let names = command.get_subcommands().map(|below| below.get_name().to_owned());
            let help = (before.is_empty()).then(|| "help".to_owned());
            return names.chain(help).filter(beginning_so).collect();
        }
        if word.starts_with('-') {
            let options = command.get_arguments().filter(|option| !option.is_hide_set());
            let names = options.filter_map(|option| Some(format!("--{}", option.get_long()?)));
            return names.filter(beginning_so).collect();
        }
        if TAKE_KEYS.contains(&command.get_name()) {
            return self.keys(word);
        }
        Vec::new()
    }

    /// Keys that begin like this, as far as the cluster tells them in time.
    fn keys(&self, prefix: &str) -> Vec<String> {
        let Some(client) = self.clients.latest() else {
            return Vec::new();
        };
        let rows = self.runtime.block_on(keys(&client, prefix.to_owned()));
        let text = rows
            .into_iter()
            .filter_map(|key| String::from_utf8(key.to_vec()).ok());
        text.filter_map(|key| Some(shlex::try_quote(&key).ok()?.into_owned()))
            .collect()
    }
}

async fn keys(client: &Client, prefix: String) -> Vec<bytes::Bytes> {
    let options = ScanOptions {
        limit: Some(KEYS_MAX),
        keys_only: true,
        ..ScanOptions::prefix(prefix)
    };
    let page = client.with_deadline(PATIENCE).scan(options).next_page().await;
    let rows = page.ok().flatten().unwrap_or_default();
    rows.into_iter().map(|row| row.key).collect()
}

/// The values of an option that has a list of them.
fn values_of(command: &Command, option: &str) -> Option<Vec<String>> {
    let name = option.strip_prefix("--")?;
    let option = command
        .get_arguments()
        .find(|known| known.get_long() == Some(name))?;
    let values = option.get_possible_values();
    let takes = option.get_action().takes_values() && !values.is_empty();
    takes.then(|| values.iter().map(|value| value.get_name().to_owned()).collect())
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..cursor).unwrap_or(line);
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let (before, word) = before.split_at(start);
        let words: Vec<_> = before.split_whitespace().collect();
        // A quote at the beginning is taken off and put back by the quoting of keys.
        let bare = word.trim_start_matches(['\'', '"']);
        let candidates = self.candidates(&words, bare);
        // The only one is the whole word: what is typed next is another.
        let end = if candidates.len() == 1 { " " } else { "" };
        let pairs = candidates.into_iter().map(|text| Pair {
            replacement: format!("{text}{end}"),
            display: text,
        });
        Ok((start, pairs.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::grammar;
    use super::*;

    #[tokio::test]
    async fn commands_options_and_their_values() {
        let words = Words::new(grammar::definition(), Keeper::default(), Handle::current());
        let all = |before: &[&str], word| words.candidates(before, word);
        assert_eq!(all(&[], "sc"), ["scan"]);
        assert_eq!(all(&[], "he"), ["help"]);
        assert!(all(&["shard"], "").contains(&"show".to_owned()));
        assert_eq!(all(&["get", "k"], "--con"), ["--consistency"]);
        assert_eq!(all(&["get", "--consistency"], "e"), ["eventual"]);
        assert_eq!(all(&["shard", "show"], "--sl"), ["--slot"]);
        // Without a client there are no keys, and no wait.
        assert_eq!(all(&["get"], "k"), [""; 0]);
    }
}
