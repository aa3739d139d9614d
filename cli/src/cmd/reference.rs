//! `atoll reference`: docs/cli.md, from the same definition as the commands themselves.

use std::fmt::Write;

use clap::{Arg, Args, Command, CommandFactory};

use crate::args::Cli;
use crate::failure::{EXIT_CODES, Result};
use crate::output::Output;

/// Print docs/cli.md.
#[derive(Debug, Args)]
#[command(hide = true, after_help = "Examples:\n  atoll reference > docs/cli.md")]
pub(crate) struct Reference {}

impl Reference {
    /// Prints it.
    #[expect(clippy::unused_self, reason = "every command runs the same way")]
    pub(crate) fn run(self) -> Result {
        let mut output = Output::stdout();
        output.raw(markdown().as_bytes())?;
        output.finish()
    }
}

const HEAD: &str = "\
# Command line

<!-- Written by `atoll reference`; a test fails if it is stale. -->

Options follow the command. `atoll COMMAND --help` says the same as this page. In JSON, 64-bit numbers are
strings, and bytes that are not text are base64 in a field whose name ends with `_base64`. Results go to
standard output, progress and errors to standard error. Tables fit the terminal; where the output is no
terminal nothing is shortened. Colours are used on a terminal only, and never if `NO_COLOR` is set or
`--color never` given.
";

/// The whole page.
fn markdown() -> String {
    let mut cli = Cli::command();
    cli.build();
    let mut page = HEAD.to_owned();
    page.push_str("\n| command | does |\n|---|---|\n");
    for command in visible(&cli) {
        let name = command.get_name();
        row(
            &mut page,
            &[&format!("[`{name}`](#atoll-{name})"), &about(command)],
        );
    }
    page.push_str("\n| exit code | meaning |\n|---|---|\n");
    for line in EXIT_CODES.lines().skip(1) {
        if let Some((code, meaning)) = line.trim().split_once("  ") {
            row(&mut page, &[code, meaning]);
        }
    }
    for command in visible(&cli) {
        section(&mut page, command, "atoll", 2);
    }
    page
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

/// One command and those below it.
fn section(page: &mut String, command: &Command, parent: &str, level: usize) {
    let name = format!("{parent} {}", command.get_name());
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let _ = writeln!(page, "\n{} {name}\n\n{}\n", "#".repeat(level), about(command));
    let _ = writeln!(page, "```text\n{usage}\n```");
    let shown: Vec<_> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && !is_everywhere(argument))
        .collect();
    if !shown.is_empty() {
        page.push_str("\n| option | meaning |\n|---|---|\n");
    }
    for argument in shown {
        row(page, &[&format!("`{}`", spelled(argument)), &meaning(argument)]);
    }
    if let Some(examples) = command.get_after_help() {
        let _ = writeln!(page, "\n```text\n{}\n```", examples.to_string().trim_end());
    }
    for below in visible(command) {
        section(page, below, &name, level + 1);
    }
}

/// Options of every command, told once at the top.
fn is_everywhere(argument: &Arg) -> bool {
    ["help", "version", "color"].contains(&argument.get_id().as_str())
}

fn spelled(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let takes = argument.get_action().takes_values();
    let value = values
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ");
    let Some(long) = argument.get_long() else {
        return value;
    };
    let short = argument
        .get_short()
        .map_or(String::new(), |short| format!("-{short}, "));
    if takes {
        format!("{short}--{long} {value}")
    } else {
        format!("{short}--{long}")
    }
}

fn meaning(argument: &Arg) -> String {
    let mut meaning = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let choices: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|_| argument.get_action().takes_values())
        .map(|choice| format!("`{}`", choice.get_name()))
        .collect();
    if !choices.is_empty() {
        let _ = write!(meaning, " One of {}.", choices.join(", "));
    }
    let defaults: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    if !defaults.is_empty() && argument.get_action().takes_values() {
        let _ = write!(meaning, " Default: `{}`.", defaults.join(" "));
    }
    if let Some(name) = argument.get_env() {
        let _ = write!(meaning, " Environment: `{}`.", name.to_string_lossy());
    }
    meaning
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test compares a file of the repository"
    )]
    fn the_page_in_docs_is_current() {
        let current = markdown();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(PAGE, &current).unwrap();
        }
        let stored = std::fs::read_to_string(PAGE).unwrap();
        assert!(
            stored == current,
            "docs/cli.md is stale: run `UPDATE=1 cargo test -p atoll reference`"
        );
    }

    #[test]
    fn every_command_stands_in_it() {
        let page = markdown();
        for command in visible(&Cli::command()) {
            assert!(page.contains(&format!("## atoll {}\n", command.get_name())));
        }
        assert!(page.contains("--endpoints") && page.contains("ATOLL_ENDPOINTS"));
    }
}
