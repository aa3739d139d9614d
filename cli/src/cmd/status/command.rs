//! Options of `status`, and one look.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;

use super::watch::Watch;
use super::{json, problems, tables};
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::options::Connect;
use crate::output::{Output, Report};
use crate::survey::Survey;
use crate::units::parse_duration;

const EXAMPLES: &str = "\
Examples:
  atoll status
  atoll status --watch                      again every 2 seconds; q or Ctrl-C ends it
  atoll status --watch 500ms
  atoll status --output json | jq '.problems[].what'
  atoll status --endpoints 10.0.0.5:7401

LAG is how many log entries the slowest answering replica still has to apply, AGE how old the state of the
stalest answering replica may be. CMDS/ENTRY and ENTRIES/SYNC are medians of what one log entry and one
disk sync carry. CLOCK is by how much a node's wall clock is ahead of the median; a node more than 500 ms
apart leaves leading to others.
Exits with 3 if no node answers or a group has no leader.";

/// Show what needs attention, nodes, groups, leaders and how far replicas are behind.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Status {
    /// Look again and again, this often.
    #[arg(long, value_parser = parse_interval, value_name = "TIME", num_args = 0..=1, default_missing_value = "2s")]
    watch: Option<Duration>,

    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t)]
    output: Report,

    #[command(flatten)]
    connect: Connect,
}

fn parse_interval(text: &str) -> std::result::Result<Duration, String> {
    match parse_duration(text)? {
        interval if interval < Duration::from_millis(100) => Err("give at least 100ms".to_owned()),
        interval => Ok(interval),
    }
}

impl Status {
    /// Asks every node and prints the picture.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let Some(interval) = self.watch else {
            let survey = Survey::take(&context.env, &self.connect.endpoints).await?;
            let mut output = Output::stdout();
            for line in self.lines(&survey, context) {
                output.line(&line)?;
            }
            output.finish()?;
            return health(&survey);
        };
        let mut watch = Watch::begin(std::io::stdout().is_terminal() && self.output == Report::Table)?;
        loop {
            let lines = match Survey::take(&context.env, &self.connect.endpoints).await {
                Ok(survey) => self.lines(&survey, context),
                // Whoever watches wants to see it come back.
                Err(failure) => vec![format!("{}; trying again", failure.what)],
            };
            watch.show(&lines)?;
            if !watch.wait(&context.env, interval).await {
                return Ok(());
            }
        }
    }

    fn lines(&self, survey: &Survey, context: &Context) -> Vec<String> {
        match self.output {
            Report::Json => vec![json::to_json(survey).to_string()],
            Report::Table | Report::Raw => {
                let screen = if self.watch.is_some() {
                    context.screen.again()
                } else {
                    context.screen
                };
                tables::to_lines(survey, &problems::find(survey), self.output.screen(screen))
            }
        }
    }
}

/// What keeps the cluster from serving, as the exit code.
fn health(survey: &Survey) -> Result {
    let leaderless: Vec<_> = survey
        .groups()
        .iter()
        .filter(|view| view.leader == 0)
        .map(|view| view.group.to_string())
        .collect();
    if leaderless.is_empty() {
        return Ok(());
    }
    let what = format!("no leader is known for group {}", leaderless.join(", "));
    Err(Failure::new(Exit::Unavailable, what)
        .next("an election takes about 2 seconds; if it lasts, a majority of the nodes is not running"))
}

#[cfg(test)]
mod tests {
    use super::super::tables::tests::survey;
    use super::*;

    #[test]
    fn a_group_without_leader_shows_in_the_exit_code() {
        assert!(health(&survey(1)).is_ok());
        assert_eq!(health(&survey(0)).unwrap_err().exit, Exit::Unavailable);
    }

    #[test]
    fn intervals_have_a_floor() {
        assert_eq!(parse_interval("1s"), Ok(Duration::from_secs(1)));
        assert!(parse_interval("10ms").is_err());
        assert!(parse_interval("often").is_err());
    }
}
