//! Where statements come from.

use std::io::BufRead;

use super::editor::{Editor, Typed};
use super::text;
use crate::failure::{Failure, Result};

/// A statement is never longer.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where statements come from.
pub(super) enum Source {
    /// A person.
    Terminal(Box<Editor>),
    /// A script, and the number of the line read last.
    Script(Box<dyn BufRead>, u64),
}

/// What a source gave.
pub(super) enum Next {
    /// A whole statement, and the line it begins at, in a script.
    Statement(String, Option<u64>),
    /// Nothing to run, but more may come.
    Nothing,
    /// No more.
    End,
}

impl Source {
    /// The next statement.
    pub(super) fn next(&mut self) -> Result<Next> {
        match self {
            Self::Terminal(editor) => Ok(match editor.next()? {
                Typed::Text(text) => Next::Statement(text, None),
                Typed::GivenUp => Next::Nothing,
                Typed::End => Next::End,
            }),
            Self::Script(lines, number) => script(lines.as_mut(), number),
        }
    }
}

fn script(lines: &mut dyn BufRead, number: &mut u64) -> Result<Next> {
    let mut statement = String::new();
    let begin = *number + 1;
    loop {
        let read = lines.read_line(&mut statement).map_err(|error| {
            Failure::usage(format!("line {}: {error}", *number + 1)).next("a script is UTF-8 text")
        })?;
        if read == 0 && statement.is_empty() {
            return Ok(Next::End);
        }
        if read == 0 {
            let what = format!("line {begin}: the statement has no end: a quote or a heredoc is open");
            return Err(Failure::usage(what));
        }
        *number += 1;
        if statement.len() > BYTES_MAX {
            return Err(Failure::usage(format!(
                "line {begin}: the statement has more than {BYTES_MAX} bytes"
            )));
        }
        let text = statement.strip_suffix('\n').unwrap_or(&statement);
        if text::is_complete(text) {
            statement.truncate(text.len());
            return Ok(Next::Statement(statement, Some(begin)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_cut_into_statements() {
        let mut source = Source::Script(Box::new(&b"get a\n\nput b 'x\ny'\nput c <<E\nz\nE\nget d"[..]), 0);
        let mut statements = Vec::new();
        while let Next::Statement(text, line) = source.next().unwrap() {
            statements.push((text, line.unwrap()));
        }
        let wanted = [
            ("get a", 1),
            ("", 2),
            ("put b 'x\ny'", 3),
            ("put c <<E\nz\nE", 5),
            ("get d", 8),
        ];
        assert_eq!(statements, wanted.map(|(text, line)| (text.to_owned(), line)));
    }

    #[test]
    fn a_statement_without_end_is_an_error() {
        let mut source = Source::Script(Box::new(&b"get a\nput b 'x\n"[..]), 0);
        source.next().unwrap();
        let failure = source.next().map(|_| ()).unwrap_err();
        assert!(failure.what.contains("line 2"), "{}", failure.what);
    }
}
