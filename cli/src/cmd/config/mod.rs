//! `atoll config`: the settings of a node, looked at without starting one.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, Report, Table};
use crate::screen::Screen;
use crate::settings::{Problem, Resolved, SettingFlags, Value, failure, from_file};

const EXAMPLES: &str = "\
Examples:
  atoll config check /etc/atoll.toml
  atoll config check /etc/atoll.toml --output json
  atoll config show --config /etc/atoll.toml --zone b";

/// Check a settings file, or show where each setting comes from.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check a settings file by itself, and print what it comes to.
    Check {
        /// The file.
        file: PathBuf,

        /// The form of the output.
        #[arg(long, short, value_enum, default_value_t)]
        output: Report,
    },
    /// Print what `atoll start` would use with the same options, and where each setting comes from.
    Show {
        #[command(flatten)]
        settings: Box<SettingFlags>,

        /// The form of the output.
        #[arg(long, short, value_enum, default_value_t)]
        output: Report,
    },
}

impl Config {
    /// Prints; exit code 2 if a node would not start with these.
    pub(crate) fn run(self, screen: Screen) -> Result {
        let (resolved, form) = match self.what {
            What::Check { file, output } => (from_file(&file), output),
            What::Show { settings, output } => (settings.resolve(), output),
        };
        match (resolved, form) {
            (Ok(resolved), Report::Table | Report::Raw) => print_table(&resolved, form.screen(screen)),
            (Ok(resolved), Report::Json) => print_json(&settings(&resolved), &[]),
            (Err(problems), Report::Table | Report::Raw) => Err(failure(&problems)),
            (Err(problems), Report::Json) => {
                print_json(&serde_json::Map::new(), &problems)?;
                let count = problems.len();
                Err(Failure::new(
                    Exit::Usage,
                    format!("{count} problems, told on standard output"),
                ))
            }
        }
    }
}

fn print_table(resolved: &Resolved, screen: Screen) -> Result {
    let mut table = Table::new(&["SETTING", "VALUE", "SOURCE"]);
    for (field, given) in &resolved.all {
        let value = match given.value.to_string() {
            empty if empty.is_empty() => "-".to_owned(),
            value => value,
        };
        table.row([field.name().to_owned(), value, given.source.to_string()]);
    }
    let mut output = Output::stdout();
    for line in table.fitted(screen) {
        output.line(&line)?;
    }
    output.finish()
}

fn settings(resolved: &Resolved) -> serde_json::Map<String, serde_json::Value> {
    let row = |value: &Value, source: String| {
        let value = match value {
            Value::Text(text) => serde_json::json!(text),
            Value::List(items) => serde_json::json!(items),
            Value::Flag(flag) => serde_json::json!(flag),
            // As everywhere, because readers may take numbers for doubles.
            Value::Number(number) => serde_json::json!(number.to_string()),
        };
        serde_json::json!({ "value": value, "source": source })
    };
    let all = resolved.all.iter();
    all.map(|(field, given)| {
        (
            field.name().to_owned(),
            row(&given.value, given.source.to_string()),
        )
    })
    .collect()
}

fn print_json(settings: &serde_json::Map<String, serde_json::Value>, problems: &[Problem]) -> Result {
    let problem = |problem: &Problem| serde_json::json!({ "setting": problem.setting, "what": problem.what, "source": problem.source });
    let problems: Vec<_> = problems.iter().map(problem).collect();
    let mut output = Output::stdout();
    output.json(
        &serde_json::json!({ "ok": problems.is_empty(), "settings": settings, "problems": problems }),
    )?;
    output.finish()
}
