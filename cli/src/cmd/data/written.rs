//! How writes answer.

use std::fmt::Display;

use atoll_types::Version;
use serde_json::json;

use crate::failure::Result;
use crate::output::{Format, Output};

/// Prints the version a write got.
pub(super) fn print(format: Format, version: Version) -> Result {
    let mut output = Output::stdout();
    match format {
        Format::Table => output.line(&format!("ok, version {version}"))?,
        Format::Raw => output.line(&version.to_string())?,
        Format::Json => output.json(&json!({ "applied": true, "version": version.to_string() }))?,
    }
    output.finish()
}

/// Prints what a write computed, under this name.
pub(super) fn print_number(format: Format, name: &str, number: impl Display) -> Result {
    let number = format!("{number}");
    let mut output = Output::stdout();
    match format {
        Format::Table | Format::Raw => output.line(&number)?,
        Format::Json => output.json(&json!({ name: number }))?,
    }
    output.finish()
}
