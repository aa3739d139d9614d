//! `atoll shell`: the same commands, one after the other, with one client for all.
//!
//! Text comes from a terminal with an editor, or from a pipe as a script ([`source`]); it is cut into
//! statements ([`text`]), completed by settings ([`settings`]) and parsed by the definition that the
//! command line has too ([`grammar`]). An error ends a statement, never the shell.

mod command;
mod complete;
mod editor;
mod grammar;
mod interpreter;
mod settings;
mod source;
mod text;

pub(crate) use self::command::Shell;
