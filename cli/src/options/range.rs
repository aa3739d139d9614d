//! A range of keys.

use atoll_client::ScanOptions;
use clap::Args;

use super::Shape;
use crate::failure::Result;

/// A range of keys.
#[derive(Clone, Debug, Args)]
pub(crate) struct Range {
    /// The first key; left out: from the beginning.
    #[arg(conflicts_with = "prefix")]
    start: Option<String>,

    /// The first key not wanted any more; left out: up to the end.
    end: Option<String>,

    /// Only keys that begin like this.
    #[arg(long, conflicts_with = "end")]
    prefix: Option<String>,
}

impl Range {
    /// What to scan.
    pub(crate) fn options(&self, shape: Shape) -> Result<ScanOptions> {
        Ok(ScanOptions {
            start: shape.bound(self.start.as_deref(), "start")?,
            end: shape.bound(self.end.as_deref(), "end")?,
            prefix: shape.bound(self.prefix.as_deref(), "prefix")?,
            ..ScanOptions::default()
        })
    }
}
