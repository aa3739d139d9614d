//! `atoll storage dump`

use std::path::PathBuf;

use atoll_server::offline::{self, DumpError, DumpedEntry, DumpedRow, Manifest, Offline, Space};
use atoll_types::GroupKey;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::environment;
use super::group::GroupName;
use super::report::{json_id, set};
use crate::encoding::{Encoding, base64_encode};
use crate::failure::{Exit, Failure, Result};
use crate::keys::KeyFlags;
use crate::output::{Output, Report};
use crate::screen::Screen;

/// Rows or entries read at once.
const PAGE: usize = 64;

const EXAMPLES: &str = "\
Examples:
  atoll storage dump /var/lib/atoll                          the manifests of all groups
  atoll storage dump /var/lib/atoll --what log --group 1 --from 1000 --limit 20
  atoll storage dump /var/lib/atoll --what rows --group 1 --behind user/17 --bytes 200
  atoll storage dump /var/lib/atoll --what sessions --output json

Rows are those of the newest checkpoint; what was written since stands in the log. Every byte shown was checked. Keys and
values are shown as text with everything else escaped, and in JSON, if they are no text, in base64.";

/// What to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum What {
    /// What the manifests say.
    #[default]
    Manifest,
    /// Entries of the log.
    Log,
    /// Rows of users in the checkpoint.
    Rows,
    /// Rows of the system in the checkpoint.
    System,
    /// Of these, the sessions of clients.
    Sessions,
}

/// Show what stands in a data directory: manifests, entries of logs, rows of checkpoints.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Dump {
    /// The data directory of a node that does not run.
    dir: PathBuf,

    /// What to show.
    #[arg(long, value_enum, default_value_t)]
    what: What,

    /// Only of this group [default: all of them]
    #[arg(long, value_name = "GROUP", value_parser = GroupName::parse)]
    group: Option<GroupName>,

    #[command(flatten)]
    keys: KeyFlags,

    /// Entries of the log from this index on.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,

    /// Rows behind this key.
    #[arg(long, value_name = "KEY")]
    behind: Option<String>,

    /// At most so many entries or rows of each group.
    #[arg(long, default_value_t = 100)]
    limit: usize,

    /// At most so many bytes of each key and value; the rest is only counted.
    #[arg(long, default_value_t = 64)]
    bytes: usize,

    /// The form of the output; json is one object per line.
    #[arg(long, short, value_enum, default_value_t)]
    output: Report,
}

impl Dump {
    pub(super) async fn run(self, _screen: Screen) -> Result {
        let env = environment(&self.keys, &self.dir).await?;
        let offline = Offline::open(&env, &self.dir)?;
        let dump = offline.dump(self.what == What::Log)?;
        let mut groups: Vec<_> = dump.groups()?.into_iter().map(|(group, _)| group).collect();
        if let Some(name) = self.group {
            groups = vec![name.find(groups)?];
        }
        let mut shown = Shown {
            options: &self,
            dump,
            output: Output::stdout(),
        };
        for group in groups {
            let done = match self.what {
                What::Manifest => shown.manifest(group),
                What::Log => shown.log(group),
                What::Rows => shown.rows(group, Space::Users),
                What::System | What::Sessions => shown.rows(group, Space::System),
            };
            // One group that cannot be shown does not hide the others.
            if self.group.is_some() {
                done?;
            } else if let Err(failure) = done {
                shown.missed(group, &failure)?;
            }
        }
        shown.output.finish()
    }

    /// Bytes within a line, the first of them.
    fn text(&self, bytes: &[u8]) -> String {
        let shown = bytes.get(..self.bytes).unwrap_or(bytes);
        let text = Encoding::Utf8.line(shown);
        match bytes.len() - shown.len() {
            0 => format!("\"{text}\""),
            more => format!("\"{text}\" and {more} bytes"),
        }
    }

    /// The same in JSON.
    fn put(&self, object: &mut Value, name: &str, bytes: &[u8]) {
        let shown = bytes.get(..self.bytes).unwrap_or(bytes);
        match str::from_utf8(shown) {
            Ok(text) => set(object, name, json!(text)),
            Err(_) => set(object, &format!("{name}_base64"), json!(base64_encode(shown))),
        }
        set(object, &format!("{name}_bytes"), json!(bytes.len().to_string()));
    }
}

impl From<DumpError> for Failure {
    fn from(error: DumpError) -> Self {
        let exit = match error {
            DumpError::NoGroup(_) | DumpError::NoCheckpoint(_) => Exit::Negative,
            _ => Exit::Internal,
        };
        Self::new(exit, error.to_string()).next("`atoll storage check` says which files are sound")
    }
}

struct Shown<'a> {
    options: &'a Dump,
    dump: offline::Dump,
    output: Output,
}

impl Shown<'_> {
    fn is_json(&self) -> bool {
        self.options.output == Report::Json
    }

    fn missed(&mut self, group: GroupKey, failure: &Failure) -> Result {
        if self.is_json() {
            return self
                .output
                .json(&json!({ "group": group.to_string(), "error": failure.what }));
        }
        self.output.line(&format!("group {group}: {}", failure.what))
    }

    fn manifest(&mut self, group: GroupKey) -> Result {
        let manifest = self.dump.manifest(group)?.ok_or(DumpError::NoCheckpoint(group))?;
        if self.is_json() {
            return self.output.json(&manifest_json(group, &manifest));
        }
        for line in manifest_lines(self.options, group, &manifest) {
            self.output.line(&line)?;
        }
        Ok(())
    }

    fn log(&mut self, group: GroupKey) -> Result {
        let (mut from, mut left) = (self.options.from, self.options.limit);
        while left > 0 {
            let entries = self.dump.entries(group, from, left.min(PAGE))?;
            let Some(last) = entries.last() else { break };
            from = last.id.index + 1;
            left -= entries.len();
            for entry in &entries {
                self.entry(group, entry)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, group: GroupKey, entry: &DumpedEntry) -> Result {
        let kind = match entry.kind {
            0 => "blank",
            1 => "normal",
            2 => "membership",
            _ => "unknown",
        };
        let DumpedEntry {
            id, segment, offset, ..
        } = entry;
        if self.is_json() {
            let mut object = json!({
                "group": group.to_string(),
                "id": json_id(*id),
                "kind": kind,
                "segment": segment,
                "offset": offset,
            });
            match &entry.payload {
                Ok(payload) => self.options.put(&mut object, "payload", payload),
                Err(error) => set(&mut object, "error", json!(error)),
            }
            return self.output.json(&object);
        }
        let payload = match &entry.payload {
            Ok(payload) => self.options.text(payload),
            Err(error) => format!("cannot be read: {error}"),
        };
        self.output.line(&format!(
            "group {group}  entry {id}  {kind}  segment {segment} at {offset}  {payload}"
        ))
    }

    fn rows(&mut self, group: GroupKey, space: Space) -> Result {
        let mut behind = self.options.behind.clone().map(String::into_bytes);
        let mut left = self.options.limit;
        while left > 0 {
            let rows = self.dump.rows(group, space, behind.as_deref(), PAGE)?;
            let Some(last) = rows.last() else { break };
            behind = Some(last.key.clone());
            let only_sessions = self.options.what == What::Sessions;
            let wanted = |row: &&DumpedRow| !only_sessions || offline::is_session(&row.key);
            for row in rows.iter().filter(wanted).take(left) {
                left -= 1;
                self.row(group, space, row)?;
            }
        }
        Ok(())
    }

    fn row(&mut self, group: GroupKey, space: Space, row: &DumpedRow) -> Result {
        let name = (space == Space::System).then(|| offline::system_row_name(&row.key));
        let version = row.version;
        if self.is_json() {
            let mut object = json!({ "group": group.to_string(), "version": version.to_string() });
            self.options.put(&mut object, "key", &row.key);
            if let Some(name) = name {
                set(&mut object, "name", json!(name));
            }
            match &row.value {
                None => set(&mut object, "deleted", json!(true)),
                Some(value) => {
                    set(&mut object, "place", json!(value.place));
                    match &value.bytes {
                        Ok(bytes) => self.options.put(&mut object, "value", bytes),
                        Err(error) => set(&mut object, "error", json!(error)),
                    }
                }
            }
            return self.output.json(&object);
        }
        let key = name.unwrap_or_else(|| self.options.text(&row.key));
        let value = match &row.value {
            None => "deleted".to_owned(),
            Some(value) => match &value.bytes {
                Ok(bytes) => format!("{}  {}", value.place, self.options.text(bytes)),
                Err(error) => format!("{}  cannot be read: {error}", value.place),
            },
        };
        self.output
            .line(&format!("group {group}  {key}  version {version}  {value}"))
    }
}

fn manifest_lines(options: &Dump, group: GroupKey, manifest: &Manifest) -> Vec<String> {
    let applied = manifest
        .applied
        .map_or("nothing".to_owned(), |id| format!("entry {id}"));
    let installed = manifest
        .installed
        .map_or("no snapshot".to_owned(), |id| format!("a snapshot of entry {id}"));
    let mut lines = vec![format!(
        "group {group}  manifest {}  applied {applied}  installed {installed}  last version {}  horizon {}  membership of {} bytes",
        manifest.number,
        manifest.last_version,
        manifest.horizon,
        manifest.membership.len()
    )];
    for run in &manifest.runs {
        let user = |key: &[u8]| options.text(key.get(1..).unwrap_or_default());
        lines.push(format!(
            "  run {:016x}  {} bytes  {} rows, {} deletions  versions {} to {}  keys {} to {}",
            run.number,
            run.len,
            run.entries,
            run.tombstones,
            run.min_version,
            run.max_version,
            user(&run.min_key),
            user(&run.max_key)
        ));
        let segments = run.journal_bytes.iter();
        lines.extend(
            segments.map(|(segment, bytes)| format!("    {bytes} bytes of values in segment {segment}")),
        );
    }
    for file in &manifest.value_files {
        lines.push(format!(
            "  values {:016x}  {} bytes  {} live, {} dead",
            file.number, file.len, file.live_bytes, file.dead_bytes
        ));
    }
    lines
}

fn manifest_json(group: GroupKey, manifest: &Manifest) -> Value {
    let runs = manifest.runs.iter().map(|run| {
        json!({
            "number": run.number.to_string(),
            "bytes": run.len.to_string(),
            "rows": run.entries.to_string(),
            "deletions": run.tombstones.to_string(),
            "min_version": run.min_version.to_string(),
            "max_version": run.max_version.to_string(),
            "min_key_base64": base64_encode(&run.min_key),
            "max_key_base64": base64_encode(&run.max_key),
            "journal_bytes": run.journal_bytes.iter()
                .map(|(segment, bytes)| json!({ "segment": segment, "bytes": bytes.to_string() }))
                .collect::<Vec<_>>(),
        })
    });
    let values = manifest.value_files.iter().map(|file| {
        json!({
            "number": file.number,
            "bytes": file.len.to_string(),
            "live_bytes": file.live_bytes.to_string(),
            "dead_bytes": file.dead_bytes.to_string(),
        })
    });
    json!({
        "group": group.to_string(),
        "manifest": manifest.number.to_string(),
        "applied": manifest.applied.map(json_id),
        "installed": manifest.installed.map(json_id),
        "last_version": manifest.last_version.to_string(),
        "horizon": manifest.horizon.to_string(),
        "membership_bytes": manifest.membership.len(),
        "runs": runs.collect::<Vec<_>>(),
        "value_files": values.collect::<Vec<_>>(),
    })
}
