//! How writes answer.

use atoll_types::Version;

use crate::failure::Result;
use crate::output::{Format, Output};

/// Prints the version a write got.
pub(super) fn print(format: Format, version: Version) -> Result {
    let mut output = Output::stdout();
    match format {
        Format::Table => output.line(&format!("ok, version {version}"))?,
        Format::Raw => output.line(&version.to_string())?,
        Format::Json => {
            output.json(&serde_json::json!({ "applied": true, "version": version.to_string() }))?;
        }
    }
    output.finish()
}
