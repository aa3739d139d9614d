//! `atoll status`: what is there, and first of all what is wrong.
//!
//! [`problems`] reads a survey like somebody on call and says in plain words what needs attention and
//! what to do; the tables have the figures; `--watch` shows both again and again.

mod command;
mod json;
mod problems;
mod tables;
mod watch;

pub(crate) use self::command::Status;
