//! `atoll storage check`

use std::path::PathBuf;

use atoll_env::Env;
use atoll_server::offline::{self, CheckOptions, Offline, Report as Found};
use clap::Args;
use serde_json::json;

use super::progress::Progress;
use super::{advice, environment, report};
use crate::failure::{Exit, Failure, Result};
use crate::keys::KeyFlags;
use crate::output::{Output, Report};
use crate::screen::{Screen, Tint};

const EXAMPLES: &str = "\
Examples:
  atoll storage check /var/lib/atoll
  atoll storage check /var/lib/atoll --deep
  atoll storage check /var/lib/atoll --output json | jq '.files[] | select(.state != \"sound\")'

Reads every file of the directory to its last byte and changes none. Exit code 1 if anything is damaged, missing or
refused; files that are left behind or unknown are told and are no damage.";

/// Look at every file of a data directory, and say whether it is sound.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// The data directory of a node that does not run.
    dir: PathBuf,

    #[command(flatten)]
    keys: KeyFlags,

    /// Read every value too, and compare it with the checksum that its row has; takes long.
    #[arg(long)]
    deep: bool,

    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t)]
    output: Report,
}

impl Check {
    pub(super) async fn run(self, screen: Screen) -> Result {
        let env = environment(&self.keys, &self.dir).await?;
        let offline = Offline::open(&env, &self.dir)?;
        let mut progress = Progress::new(&env);
        let options = CheckOptions { deep: self.deep };
        let found = offline.check(options, &mut |done, total| progress.show(done, total))?;
        drop(progress);
        let in_use = offline::keys_in_use(&*Env::real().vfs, &self.dir)?;
        let (verdict, next) = (advice::verdict(&found), advice::next(&found, &self.dir));
        let mut output = Output::stdout();
        if self.output == Report::Json {
            let mut object = report::json(&found, &verdict, &next);
            let keys = in_use
                .keys
                .iter()
                .map(|(key, files)| (key.to_string(), json!(files.to_string())));
            report::set(&mut object, "keys", keys.collect());
            output.json(&object)?;
        } else {
            print(&mut output, &found, self.output.screen(screen))?;
            for path in &in_use.halves {
                let path = path.display();
                output.line(&format!(
                    "{path}: one copy of its header is damaged; the next start makes it good"
                ))?;
            }
            for path in &in_use.unread {
                let path = path.display();
                output.line(&format!(
                    "{path}: the disk does not read its header, so nobody knows its key"
                ))?;
            }
            for (key, files) in &in_use.keys {
                output.line(&format!("encrypted: {files} files under key {key}"))?;
            }
            for step in &next {
                output.line(&format!("next: {step}"))?;
            }
            let tint = if found.is_sound() { Tint::Good } else { Tint::Bad };
            output.line(&self.output.screen(screen).tint(tint, &verdict))?;
        }
        output.finish()?;
        if found.is_sound() {
            Ok(())
        } else {
            Err(Failure::told(Exit::Negative))
        }
    }
}

/// Files, groups, and what is wrong with them.
fn print(output: &mut Output, found: &Found, screen: Screen) -> Result {
    let mut lines = report::files(found).fitted(screen);
    lines.push(String::new());
    if !found.groups.is_empty() {
        lines.extend(report::groups(found).fitted(screen));
        lines.push(String::new());
    }
    let details = report::details(found).into_iter();
    lines.extend(details.map(|(tint, line)| screen.tint(tint, &line)));
    lines.iter().try_for_each(|line| output.line(line))
}
