//! Deleting a range, after asking.

use std::io::{self, BufRead, IsTerminal, Write};

use atoll_client::{Client, ScanOptions};
use bytes::Bytes;

use crate::encoding::Encoding;
use crate::failure::{Exit, Failure, Result};
use crate::units::count;

/// Deletes [start, end) and gives the number of keys. Asks first, unless `sure`.
pub(super) async fn run(
    client: &Client,
    (start, end): (Bytes, Bytes),
    encoding: Encoding,
    sure: bool,
) -> Result<u64> {
    if !sure {
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Err(Failure::usage(
                "deleting a range needs a confirmation, and nobody can be asked here",
            )
            .next("give --yes if you are sure; `atoll count START END` tells how many keys it is"));
        }
        let keys = client
            .count(ScanOptions::range(start.clone(), end.clone()))
            .await?;
        if keys == 0 {
            return Ok(0);
        }
        let range = format!("from '{}' up to '{}'", encoding.line(&start), encoding.line(&end));
        if !asked(&format!("Delete {} keys {range}? [y/N] ", count(keys)))? {
            return Err(Failure::new(Exit::Negative, "nothing was deleted"));
        }
    }
    Ok(client.delete_range(start, end).await?)
}

fn asked(question: &str) -> Result<bool> {
    let mut stderr = io::stderr().lock();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
