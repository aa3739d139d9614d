//! What `use` has set.

use std::collections::BTreeMap;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// Options of which one said makes the others set earlier void.
const LEVEL: [&str; 2] = ["consistency", "max-age"];

/// What `use` has set, by the long name of the option.
#[derive(Debug, Default)]
pub(super) struct Settings {
    now: BTreeMap<String, String>,
    at_first: BTreeMap<String, String>,
}

impl Settings {
    /// What a shell begins with, and comes back to.
    pub(super) fn starting_with(name: &str, value: String) -> Self {
        let at_first = BTreeMap::from([(name.to_owned(), value)]);
        Self {
            now: at_first.clone(),
            at_first,
        }
    }

    /// Forgets all that was set since the beginning.
    pub(super) fn reset(&mut self) {
        self.now = self.at_first.clone();
    }

    /// Takes what was said in a `use`.
    pub(super) fn learn(&mut self, definition: &Command, said: &ArgMatches) {
        let options = definition
            .find_subcommand("use")
            .into_iter()
            .flat_map(Command::get_arguments);
        let named = |id: &&str| said.value_source(id) == Some(ValueSource::CommandLine) && *id != "reset";
        let ids: Vec<_> = options
            .map(|option| option.get_id().as_str())
            .filter(named)
            .collect();
        if ids.iter().any(|id| LEVEL.contains(&long(id).as_str())) {
            self.now.retain(|name, _| !LEVEL.contains(&name.as_str()));
        }
        for id in ids {
            if let Ok(Some(values)) = said.try_get_raw(id) {
                let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
                self.now.insert(long(id), values.join(","));
            }
        }
    }

    /// Adds to words what is set, the command knows, and is not said in them.
    pub(super) fn complete(&self, definition: &Command, mut words: Vec<String>) -> Vec<String> {
        let mut command = definition;
        let mut depth = 0;
        while let Some(below) = words.get(depth).and_then(|word| command.find_subcommand(word)) {
            command = below;
            depth += 1;
        }
        if depth == 0 || command.get_name() == "use" {
            return words;
        }
        let mut added = Vec::new();
        for option in command.get_arguments() {
            let Some(name) = option.get_long() else {
                continue;
            };
            if let Some(value) = self.now.get(name)
                && !is_said(&words, name, option.get_short())
            {
                added.push(format!("--{name}={value}"));
            }
        }
        words.splice(depth..depth, added);
        words
    }

    /// As they would be said.
    pub(super) fn lines(&self) -> Vec<String> {
        self.now
            .iter()
            .map(|(name, value)| format!("--{name} {value}"))
            .collect()
    }
}

/// The long name of an option from its id.
fn long(id: &str) -> String {
    id.replace('_', "-")
}

fn is_said(words: &[String], name: &str, short: Option<char>) -> bool {
    let options = words.iter().take_while(|word| *word != "--");
    options.into_iter().any(|word| {
        let is = |name: &str| {
            let rest = word.strip_prefix("--").and_then(|word| word.strip_prefix(name));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        let same_kind = LEVEL.contains(&name) && LEVEL.iter().any(|name| is(name));
        let is_short = short.is_some_and(|short| word.starts_with(&format!("-{short}")));
        is(name) || same_kind || is_short
    })
}
