//! What can be said in a shell: the commands that ask a cluster, and a few of its own.

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::settings::Settings;
use crate::args::{Query, with_plain_usage};
use crate::options::{Connect, Reading, Shape};

const HELP: &str = "\
Values with spaces stand in quotes; a quote that is open goes on in the next line. So does a heredoc:
  put poem <<EOF
  two lines,
  one value
  EOF
Tab completes commands, options and keys. Ctrl-C cancels a command or a line, Ctrl-D leaves.";

/// One statement.
#[derive(Debug, Parser)]
#[command(name = "", bin_name = "", no_binary_name = true, subcommand_required = true)]
#[command(after_help = HELP, disable_version_flag = true, disable_help_flag = true)]
#[command(help_template = "{subcommands}\n\n{after-help}", max_term_width = 100)]
struct Line {
    #[command(subcommand)]
    said: Said,
}

/// What was said.
#[derive(Debug, Subcommand)]
pub(super) enum Said {
    #[command(flatten)]
    Query(Query),
    /// Set options for all following statements; without options: show them.
    Use(Use),
    /// Show how long each statement took, or not.
    Timing {
        /// on or off.
        #[arg(value_parser = ["on", "off"])]
        state: String,
    },
    /// Leave the shell.
    #[command(alias = "quit")]
    Exit,
}

/// The options that can be set, for all commands that know them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  use --consistency eventual --routing nearest\n  use --output json\n  use --reset"
)]
pub(super) struct Use {
    /// Forget all that was set.
    #[arg(long)]
    pub(super) reset: bool,

    #[command(flatten)]
    _shape: Shape,

    #[command(flatten)]
    _reading: Reading,

    #[command(flatten)]
    _connect: Connect,
}

/// The definition of everything that can be said.
pub(super) fn definition() -> clap::Command {
    with_plain_usage(Line::command())
}

/// Parses words. What was set by `use` in them goes to `settings`.
pub(super) fn parse(words: Vec<String>, settings: &mut Settings) -> Result<Said, clap::Error> {
    let definition = definition();
    let words = settings.complete(&definition, words);
    let matches = definition.clone().try_get_matches_from(words)?;
    let line = Line::from_arg_matches(&matches)?;
    if let (Said::Use(set), Some(("use", matches))) = (&line.said, matches.subcommand()) {
        if set.reset {
            settings.reset();
        }
        settings.learn(&definition, matches);
    }
    Ok(line.said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str, settings: &mut Settings) -> Result<Said, clap::Error> {
        parse(line.split_whitespace().map(str::to_owned).collect(), settings)
    }

    #[test]
    fn the_grammar_is_consistent_and_has_every_query() {
        definition().debug_assert();
        let shell: Vec<_> = definition()
            .get_subcommands()
            .map(|c| c.get_name().to_owned())
            .collect();
        for name in ["get", "put", "scan", "shard", "status", "export", "use", "exit"] {
            assert!(shell.iter().any(|known| known == name), "{name}");
        }
        for name in ["start", "dev", "bench", "shell"] {
            assert!(!shell.iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn settings_complete_what_is_not_said() {
        let mut settings = Settings::default();
        said("use --output json --consistency eventual", &mut settings).unwrap();
        assert_eq!(settings.lines(), ["--consistency eventual", "--output json"]);
        let Said::Query(Query::Get(get)) = said("get k", &mut settings).unwrap() else {
            panic!("another command")
        };
        let shown = format!("{get:?}");
        assert!(shown.contains("Json") && shown.contains("Eventual"), "{shown}");
        let Said::Query(Query::Get(get)) = said("get k --output raw --max-age 1s", &mut settings).unwrap()
        else {
            panic!("another command")
        };
        let shown = format!("{get:?}");
        assert!(shown.contains("Raw") && !shown.contains("Eventual"), "{shown}");
        // Of a command below a command, and of one that knows neither option.
        said("shard show k", &mut settings).unwrap();
        said("transfer-leader --group 1 --to 2", &mut settings).unwrap();
        said("use --reset", &mut settings).unwrap();
        let Said::Query(Query::Get(get)) = said("get k", &mut settings).unwrap() else {
            panic!("another command")
        };
        assert!(format!("{get:?}").contains("Table"));
    }

    #[test]
    fn a_bad_setting_is_refused_when_it_is_made() {
        let mut settings = Settings::default();
        assert!(said("use --output xml", &mut settings).is_err());
        assert!(said("use --fast", &mut settings).is_err());
        assert!(said("fly", &mut settings).is_err());
        assert_eq!(settings.lines(), [""; 0]);
    }
}
