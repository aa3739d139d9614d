//! Runs that are kept because they found something: one file for each bug, replayed to see that it stays found, or fixed.
//!
//! A file names the deliberate bug that is awake in it, or none, and what the run must conclude: `violation` for a bug that the
//! run must find, `pass` for one that is fixed. Processes are real, so a replay meets the same faults in the same order, but not the same
//! moments: a file belongs here only if it concludes the same every time.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use atoll_env::{Env, vfs};
use serde::Deserialize;

use crate::interrupt::Interrupt;
use crate::nemesis::{choose, control};
use crate::options::Options;
use crate::record::Conclusion;
use crate::run::{self, Failed, Progress, sterner};
use crate::workload::workloads;

/// A file is short.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// No run that is kept is longer.
const SECONDS_MAX: u64 = 600;

/// A run that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// The bug, in one sentence.
    pub about: String,
    /// What clients do.
    pub workload: Vec<String>,
    /// What is broken; empty: nothing.
    pub nemesis: Vec<String>,
    /// Decides every fault and every operation.
    pub seed: u64,
    /// How long faults are injected, in seconds.
    pub seconds: u64,
    /// How many nodes.
    pub nodes: u16,
    /// How many data groups.
    pub groups: u32,
    /// Operations per second all clients together aim at.
    pub rate: u32,
    /// Workers.
    pub concurrency: u32,
    /// The deliberate bug that is awake.
    pub mutant: Option<String>,
    /// What the run must conclude.
    pub expected: Expected,
}

/// What a run must conclude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// No promise is broken.
    Pass,
    /// The bug is found.
    Violation,
}

/// What came of all of them.
pub struct Replayed {
    /// A table in Markdown, one line for each.
    pub table: String,
    /// 0: all concluded as they must. 1: one did not. 2: one was not run, or nothing is known of it.
    pub exit_code: u8,
}

impl Regression {
    /// Reads a file's text. The error is for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let kept: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        workloads(&kept.workload)?;
        choose(&kept.nemesis)?;
        if kept.seconds == 0 || kept.seconds > SECONDS_MAX {
            return Err(format!(
                "seconds: {} is not a number from 1 to {SECONDS_MAX}",
                kept.seconds
            ));
        }
        if !(1..=16).contains(&kept.nodes) || kept.groups == 0 || kept.rate == 0 || kept.concurrency == 0 {
            return Err("nodes, groups, rate and concurrency: at least 1, and at most 16 nodes".to_owned());
        }
        match &kept.mutant {
            Some(name) if atoll_types::Mutant::named(name).is_none() => {
                Err(format!("mutant: there is no deliberate bug {name}"))
            }
            _ => Ok(kept),
        }
    }

    fn options(&self, rest: &Options) -> Options {
        Options {
            workloads: self.workload.clone(),
            nemeses: self.nemesis.clone(),
            time: Duration::from_secs(self.seconds),
            seed: self.seed,
            nodes: self.nodes,
            groups: self.groups,
            rate: self.rate,
            concurrency: self.concurrency,
            mutant: self.mutant.clone(),
            ..rest.clone()
        }
    }
}

/// All files of a folder by name. One that cannot be understood is an error: it would be a test that nobody runs.
pub fn load(env: &Env, dir: &Path) -> Result<Vec<(String, Regression)>, String> {
    let names = env.vfs.list(dir).map_err(|error| error.to_string())?;
    let files = names.into_iter().filter(|name| {
        Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "toml")
    });
    let read = |name: String| {
        let text = vfs::Vfs::read_small(&*env.vfs, &dir.join(&name), FILE_BYTES_MAX)
            .and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
            .map_err(|error| error.to_string())?;
        let kept = Regression::parse(&text).map_err(|error| format!("{name}: {error}"))?;
        Ok((name, kept))
    };
    let all = files.map(read).collect::<Result<Vec<_>, String>>()?;
    if all.is_empty() {
        return Err(format!("{}: no .toml file is in it", dir.display()));
    }
    Ok(all)
}

/// Replays all files of a folder. What they do not say (program, links, where reports go) is taken from `rest`.
pub async fn replay(
    env: &Env,
    dir: &Path,
    rest: &Options,
    command: impl Fn(&Options) -> String,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Replayed, Failed> {
    let all = load(env, dir).map_err(Failed::Usage)?;
    let mut table = "| file | mutant | expected | was | |\n|---|---|---|---|---|\n".to_owned();
    let mut worst = Conclusion::Pass;
    for (name, kept) in all {
        if interrupt.is_raised() {
            worst = sterner(worst, Conclusion::Unknown);
            break;
        }
        let (was, told) = one(env, &kept, rest, &command, interrupt, progress).await?;
        worst = sterner(worst, judge(kept.expected, was));
        let mutant = kept.mutant.as_deref().unwrap_or("-");
        let (expected, was) = (format!("{:?}", kept.expected), was.map(|was| format!("{was:?}")));
        let was = was.unwrap_or_else(|| "not run".to_owned());
        let told = told.replace(['|', '\n'], " ");
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {name} | {mutant} | {expected} | {was} | {told} |");
    }
    let exit_code = worst.exit_code();
    Ok(Replayed { table, exit_code })
}

/// What a run concluded, if it took place, and where its report is, or why it did not.
async fn one(
    env: &Env,
    kept: &Regression,
    rest: &Options,
    command: &impl Fn(&Options) -> String,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<(Option<Conclusion>, String), Failed> {
    if let Some(why) = kept.mutant.as_ref().and_then(|_| control::missing(&rest.binary)) {
        return Ok((None, why.to_string()));
    }
    let options = kept.options(rest);
    let line = command(&options);
    progress.say(&kept.about);
    match run::run(env, options, line, interrupt, progress).await {
        Ok(ended) => {
            progress.say(&run::text(&ended.record, &ended.dir));
            Ok((Some(ended.record.conclusion()), ended.dir.display().to_string()))
        }
        Err(Failed::Setup(why)) => Ok((None, why)),
        Err(usage) => Err(usage),
    }
}

/// Whether a run concluded as it must: a bug that was not found is as bad as one that was.
fn judge(expected: Expected, was: Option<Conclusion>) -> Conclusion {
    match (expected, was) {
        (Expected::Pass, Some(Conclusion::Pass)) | (Expected::Violation, Some(Conclusion::Violation)) => {
            Conclusion::Pass
        }
        (_, None | Some(Conclusion::Unknown)) => Conclusion::Unknown,
        _ => Conclusion::Violation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        about = "a follower answers from what it has"
        workload = ["register"]
        nemesis = ["pause/one"]
        seed = 7
        seconds = 20
        nodes = 3
        groups = 1
        rate = 200
        concurrency = 8
        mutant = "FollowerReadWithoutLeader"
        expected = "violation"
    "#;

    #[test]
    fn a_file_says_everything_about_a_run() {
        let kept = Regression::parse(FILE).unwrap();
        assert_eq!((kept.seed, kept.expected), (7, Expected::Violation));
        assert_eq!(kept.mutant.as_deref(), Some("FollowerReadWithoutLeader"));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told() {
        let wrong = [
            ("seed = 7", "sead = 7", "sead"),
            ("seconds = 20", "seconds = 0", "seconds"),
            ("nodes = 3", "nodes = 17", "nodes"),
            ("FollowerReadWithoutLeader", "Follower", "deliberate bug"),
            ("\"register\"", "\"regster\"", "regster"),
            ("pause/one", "paws", "paws"),
            ("\"violation\"", "\"perhaps\"", "perhaps"),
        ];
        for (right, wrong, told) in wrong {
            let error = Regression::parse(&FILE.replace(right, wrong)).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn what_is_kept_can_be_read_and_is_not_nothing() {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/regressions"));
        let all = load(&Env::real(), dir).unwrap();
        let mutants = all.iter().filter(|(_, kept)| kept.mutant.is_some()).count();
        assert!(mutants >= 5, "{mutants} deliberate bugs are kept");
    }

    #[test]
    fn a_bug_that_is_not_found_is_as_bad_as_one_that_was() {
        use Conclusion::{Pass, Unknown, Violation};
        assert_eq!(judge(Expected::Pass, Some(Pass)), Pass);
        assert_eq!(judge(Expected::Pass, Some(Violation)), Violation);
        assert_eq!(judge(Expected::Violation, Some(Violation)), Pass);
        assert_eq!(judge(Expected::Violation, Some(Pass)), Violation);
        assert_eq!(judge(Expected::Violation, Some(Unknown)), Unknown);
        assert_eq!(judge(Expected::Pass, None), Unknown);
    }
}
