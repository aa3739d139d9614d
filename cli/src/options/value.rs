//! Where a value comes from.

use std::io::Read;
use std::path::PathBuf;

use atoll_env::Env;
use atoll_types::limits::VALUE_BYTES_MAX;
use bytes::Bytes;
use clap::Args;

use crate::encoding::Encoding;
use crate::failure::{Failure, Result};

/// Where a value comes from.
#[derive(Clone, Debug, Args)]
pub(crate) struct ValueSource {
    /// The value; `-` reads standard input.
    #[arg(allow_negative_numbers = true, required_unless_present = "file")]
    value: Option<String>,

    /// Take the value from this file, byte for byte.
    #[arg(long, short, conflicts_with = "value", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl ValueSource {
    /// The value's bytes, within the bound on values.
    pub(crate) fn read(&self, env: &Env, encoding: Encoding) -> Result<Bytes> {
        let bytes = match (&self.file, self.value.as_deref()) {
            (Some(path), _) => {
                let read = env.vfs.read_small(path, VALUE_BYTES_MAX as u64);
                read.map(Bytes::from).map_err(|error| {
                    Failure::usage(format!("cannot take the value from {}: {error}", path.display()))
                })?
            }
            (None, Some("-")) => {
                let mut bytes = Vec::new();
                std::io::stdin()
                    .lock()
                    .take(VALUE_BYTES_MAX as u64 + 1)
                    .read_to_end(&mut bytes)?;
                bytes.into()
            }
            (None, text) => encoding.decode(text.unwrap_or_default(), "value")?,
        };
        check_value(bytes)
    }
}

fn check_value(bytes: Bytes) -> Result<Bytes> {
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(
            Failure::usage(format!("the value has more than {VALUE_BYTES_MAX} bytes"))
                .next("split it over several keys"),
        );
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_bounds() {
        assert!(check_value(vec![0; VALUE_BYTES_MAX].into()).is_ok());
        assert!(check_value(vec![0; VALUE_BYTES_MAX + 1].into()).is_err());
    }
}
