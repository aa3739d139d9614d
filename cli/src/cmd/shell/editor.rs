//! Lines from a terminal, with history and completion.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustyline::completion::{Completer, Pair};
use rustyline::config::Builder;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Context, Helper};

use super::complete::Words;
use super::text;
use crate::failure::{Exit, Failure, Result};

/// Statements that are remembered.
const HISTORY_MAX: usize = 5_000;

/// An editor of lines.
pub(super) struct Editor {
    lines: rustyline::Editor<Help, FileHistory>,
    history: Option<PathBuf>,
    prompt: String,
}

/// What was typed.
pub(super) enum Typed {
    /// A whole statement.
    Text(String),
    /// Ctrl-C: the line is given up.
    GivenUp,
    /// Ctrl-D on an empty line.
    End,
}

impl Editor {
    /// Takes the terminal. `history` is the file to keep, if one is wanted.
    pub(super) fn new(words: Words, history: Option<PathBuf>, prompt: String) -> Result<Self> {
        let config = Builder::new()
            .max_history_size(HISTORY_MAX)
            .map_err(|error| cannot(&error))?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor = rustyline::Editor::with_config(config).map_err(|error| cannot(&error))?;
        editor.set_helper(Some(Help(words)));
        // A history that cannot be kept must not keep anybody from working.
        let history = history.filter(|path| private_file(path).is_ok());
        if let Some(path) = &history {
            let _ = editor.load_history(path);
        }
        Ok(Self {
            lines: editor,
            history,
            prompt,
        })
    }

    /// The next statement.
    pub(super) fn next(&mut self) -> Result<Typed> {
        let text = match self.lines.readline(&self.prompt) {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => return Ok(Typed::GivenUp),
            Err(ReadlineError::Eof) => return Ok(Typed::End),
            Err(error) => return Err(cannot(&error)),
        };
        if !text.trim().is_empty() {
            let _ = self.lines.add_history_entry(&text);
            if let Some(path) = &self.history {
                let _ = self.lines.append_history(path);
            }
        }
        Ok(Typed::Text(text))
    }
}

fn cannot(error: &ReadlineError) -> Failure {
    Failure::new(Exit::Internal, format!("the terminal cannot be used: {error}"))
        .next("pipe the statements in, or set TERM")
}

/// Makes the file and its folder for the user alone. Keys and values can be secrets.
fn private_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    let mut permissions = file.metadata()?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    file.set_permissions(permissions)
}

/// Where the history is kept: the user's state folder.
pub(super) fn history_file() -> Option<PathBuf> {
    let from = |name: &str| {
        let value = std::env::var_os(name).map(PathBuf::from);
        value.filter(|path| path.is_absolute())
    };
    let state = from("XDG_STATE_HOME").or_else(|| Some(from("HOME")?.join(".local/state")))?;
    Some(state.join("atoll/history"))
}

struct Help(Words);

impl Completer for Help {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        self.0.complete(line, cursor, context)
    }
}

impl Validator for Help {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if text::is_complete(context.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Helper for Help {}
impl Highlighter for Help {}
impl Hinter for Help {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_history_is_for_the_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/atoll/history");
        private_file(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let folder = path.parent().unwrap().metadata().unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    }
}
