//! Runs statements.

use std::io::Write;
use std::time::Duration;

use clap::error::ErrorKind;
use tokio::runtime::Runtime;

use super::grammar::{self, Said, Use};
use super::settings::Settings;
use super::text;
use crate::cmd;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;
use crate::screen::{Tint, paint};
use crate::units::span;

/// Commands whose value can come from a heredoc.
const TAKE_VALUES: [&str; 3] = ["put", "cas", "append"];

/// What comes after a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The next one.
    On,
    /// The end of the shell.
    Leave,
}

/// Runs statements one after the other.
pub(super) struct Interpreter {
    pub(super) context: Context,
    pub(super) settings: Settings,
    pub(super) runtime: Runtime,
    /// Somebody sits there: commands can be cancelled, and their time is shown.
    pub(super) interactive: bool,
    pub(super) timing: bool,
}

impl Interpreter {
    /// Runs one statement.
    pub(super) fn run(&mut self, statement: &str) -> Result<Flow> {
        let parsed = text::parse(statement)
            .ok_or_else(|| Failure::usage("a quote is open, or a backslash is the last character"))?;
        let mut words = parsed.words;
        let Some(name) = words.first().cloned() else {
            return Ok(Flow::On);
        };
        if let Some(value) = parsed.heredoc {
            if !TAKE_VALUES.contains(&name.as_str()) {
                return Err(Failure::usage(format!(
                    "'{name}' takes no value in lines of its own"
                )));
            }
            // Whatever the value begins with, it is no option.
            words.extend(["--".to_owned(), value]);
        } else if words.iter().any(|word| word == "-") && name != "export" {
            return Err(
                Failure::usage("a shell has no standard input for values: it is the shell's own")
                    .next("write the value in quotes, as a heredoc (<<EOF), or take it with --file"),
            );
        }
        self.context.screen = self.context.screen.again();
        match grammar::parse(words, &mut self.settings) {
            Ok(said) => self.obey(said),
            Err(error) => explain(&error, &self.context),
        }
    }

    fn obey(&mut self, said: Said) -> Result<Flow> {
        match said {
            Said::Exit => return Ok(Flow::Leave),
            Said::Timing { state } => self.timing = state == "on",
            Said::Use(Use { .. }) => self.show_settings()?,
            Said::Query(query) => {
                let start = self.context.env.clock.now();
                let result = self.ask(query);
                let elapsed = self.context.env.clock.now().since(start);
                self.show_time(elapsed);
                result?;
            }
        }
        Ok(Flow::On)
    }

    fn ask(&self, query: crate::args::Query) -> Result {
        let asking = cmd::query(query, &self.context);
        if !self.interactive {
            return self.runtime.block_on(asking);
        }
        self.runtime.block_on(async {
            tokio::select! {
                result = asking => result,
                _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Unknown, "cancelled")
                    .next("a write that was under way may or may not have happened")),
            }
        })
    }

    fn show_settings(&self) -> Result {
        let mut output = Output::stdout();
        for line in self.settings.lines() {
            output.line(&line)?;
        }
        output.finish()
    }

    fn show_time(&self, elapsed: Duration) {
        if self.timing {
            let line = paint(
                self.context.screen.color_errors,
                Tint::Dim,
                &format!("({})", span(elapsed)),
            );
            // Not worth failing for.
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        }
    }
}

/// Help is what was asked for; everything else that clap says is an error.
fn explain(error: &clap::Error, context: &Context) -> Result<Flow> {
    let shown = error.render();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let mut output = Output::stdout();
        let shown = if context.screen.color {
            shown.ansi().to_string()
        } else {
            shown.to_string()
        };
        output.line(shown.trim_matches('\n'))?;
        output.finish()?;
        return Ok(Flow::On);
    }
    let shown = shown.to_string();
    let what = shown.trim_start_matches("error: ").trim();
    // The usage and the hint to --help follow in lines of their own.
    let (what, rest) = what.split_once("\n\n").unwrap_or((what, ""));
    let usage = rest.lines().find_map(|line| line.trim().strip_prefix("Usage: "));
    let similar = rest.lines().find_map(|line| {
        line.trim()
            .strip_prefix("tip: ")
            .filter(|tip| tip.contains("similar"))
    });
    let next = match usage {
        _ if let Some(tip) = similar => tip.to_owned(),
        Some(usage) if !usage.starts_with('<') => format!("usage: {}", usage.trim()),
        _ => "`help` lists the commands".to_owned(),
    };
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(Failure::usage(what).next(next))
}
