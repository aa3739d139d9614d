//! What a read may see, and which replica it asks.

use std::time::Duration;

use atoll_client::{Client, Consistency, Routing, SessionToken};
use atoll_types::Version;
use clap::{Args, ValueEnum};

use super::{Connect, Session};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::units::parse_duration;

/// What a read may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    /// Every write that returned before.
    Linearizable,
    /// At least what the session has seen.
    Session,
    /// A state at most --max-age old.
    Bounded,
    /// Whatever the replica has.
    Eventual,
}

/// Which replica is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Route {
    /// The leader.
    Leader,
    /// One in --zone, among several the fastest.
    Nearest,
    /// All in turn.
    RoundRobin,
    /// The faster ones more often.
    Fastest,
}

/// What a read may see, and which replica it asks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Reading")]
pub(crate) struct Reading {
    /// What the read may see [default: linearizable; with --session: session; with --max-age: bounded].
    #[arg(
        long,
        value_enum,
        value_name = "LEVEL",
        env = "ATOLL_CONSISTENCY",
        hide_env_values = true
    )]
    consistency: Option<Level>,

    /// How old the state may be, for bounded reads.
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    max_age: Option<Duration>,

    /// Read what there was at this version of a write or a row.
    #[arg(long, value_name = "VERSION")]
    at_version: Option<u64>,

    /// Which replica is asked first [default: leader; nearest for levels below linearizable].
    #[arg(
        long,
        value_enum,
        value_name = "WHICH",
        env = "ATOLL_ROUTING",
        hide_env_values = true
    )]
    routing: Option<Route>,

    #[command(flatten)]
    session: Session,
}

impl Reading {
    /// A client whose reads are as asked for.
    pub(crate) async fn client(&self, connect: &Connect, context: &Context) -> Result<Client> {
        let level = self.level()?;
        let seen = self.session.load(&context.env)?;
        let consistency = self.consistency(level, seen)?;
        let client = connect.client(context).await?;
        let routing = self.routing(level);
        let client = client.with_consistency(consistency).with_routing(routing);
        Ok(client.at_version(Version(self.at_version.unwrap_or_default())))
    }

    /// True if anything but the default was asked for.
    pub(crate) fn is_named(&self) -> bool {
        self.consistency.is_some()
            || self.max_age.is_some()
            || self.at_version.is_some()
            || self.routing.is_some()
            || self.session.is_named()
    }

    /// Call it after the reads: the session has seen what they saw.
    pub(crate) async fn done(&self, client: &Client, context: &Context) -> Result {
        self.session.save(client, context).await
    }

    fn level(&self) -> Result<Level> {
        let implied = match (self.max_age, self.session.is_named()) {
            (Some(_), _) => Level::Bounded,
            (None, true) => Level::Session,
            (None, false) => Level::Linearizable,
        };
        let level = self.consistency.unwrap_or(implied);
        if self.max_age.is_some() && level != Level::Bounded {
            return Err(
                Failure::usage("--max-age is for --consistency bounded").next("leave one of the two out")
            );
        }
        Ok(level)
    }

    fn consistency(&self, level: Level, seen: SessionToken) -> Result<Consistency> {
        Ok(match level {
            Level::Linearizable => Consistency::Linearizable,
            // In a shell, what the shell's own commands wrote and read is in every token.
            Level::Session => Consistency::Session(seen),
            Level::Eventual => Consistency::Eventual,
            Level::Bounded => {
                let age = self.max_age.ok_or_else(|| {
                    Failure::usage("a bounded read needs a bound").next("give --max-age, for example 500ms")
                })?;
                Consistency::Bounded(age)
            }
        })
    }

    fn routing(&self, level: Level) -> Routing {
        match self.routing {
            Some(Route::RoundRobin) => Routing::RoundRobin,
            Some(Route::Fastest) => Routing::Fastest,
            Some(Route::Leader) => Routing::Leader,
            None if level == Level::Linearizable => Routing::Leader,
            None | Some(Route::Nearest) => Routing::Nearest,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        reading: Reading,
    }

    fn asked(line: &str) -> Result<(Consistency, Routing)> {
        let reading = Line::try_parse_from(format!("x {line}").split_whitespace())
            .unwrap()
            .reading;
        let level = reading.level()?;
        let consistency = reading.consistency(level, SessionToken::default())?;
        Ok((consistency, reading.routing(level)))
    }

    #[test]
    fn what_is_not_said_follows_from_what_is() {
        let age = Consistency::Bounded(Duration::from_secs(1));
        let session = Consistency::Session(SessionToken::default());
        for (line, consistency, routing) in [
            ("", Consistency::Linearizable, Routing::Leader),
            ("--routing fastest", Consistency::Linearizable, Routing::Fastest),
            ("--max-age 1s", age.clone(), Routing::Nearest),
            (
                "--consistency bounded --max-age 1s --routing leader",
                age,
                Routing::Leader,
            ),
            ("--session f", session.clone(), Routing::Nearest),
            ("--consistency session", session, Routing::Nearest),
            (
                "--consistency eventual --routing round-robin",
                Consistency::Eventual,
                Routing::RoundRobin,
            ),
            (
                "--consistency linearizable --session f",
                Consistency::Linearizable,
                Routing::Leader,
            ),
        ] {
            assert_eq!(asked(line).unwrap(), (consistency, routing), "{line}");
        }
    }

    #[test]
    fn contradictions_are_usage_errors() {
        assert!(
            asked("--consistency bounded")
                .unwrap_err()
                .next
                .contains("--max-age")
        );
        assert!(asked("--consistency eventual --max-age 1s").is_err());
    }
}
