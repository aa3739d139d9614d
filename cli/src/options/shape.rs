//! How commands on data read and show keys and values.

use atoll_types::Key;
use bytes::Bytes;
use clap::Args;

use crate::encoding::Encoding;
use crate::failure::{Failure, Result};
use crate::output::Format;

/// How commands on data read and show keys and values.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Form")]
pub(crate) struct Shape {
    /// How keys and values are written here, and shown in tables.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) encoding: Encoding,

    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: Format,
}

impl Shape {
    /// Reads a key argument and checks its bounds.
    pub(crate) fn key(self, text: &str) -> Result<Bytes> {
        let key = self.encoding.decode(text, "key")?;
        Key::check(&key).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(key)
    }

    /// Reads the bound of a range, which may be anything; left out: no bound.
    pub(crate) fn bound(self, text: Option<&str>, what: &str) -> Result<Bytes> {
        text.map_or(Ok(Bytes::new()), |text| self.encoding.decode(text, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_bounds() {
        let shape = Shape {
            encoding: Encoding::Utf8,
            output: Format::Table,
        };
        assert!(shape.key("k").is_ok());
        assert!(shape.key("").is_err());
        assert!(shape.key(&"k".repeat(4097)).is_err());
        assert_eq!(shape.bound(None, "end").unwrap(), "");
    }
}
