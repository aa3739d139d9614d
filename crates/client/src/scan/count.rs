//! Counting rows.

use super::{Scan, ScanOptions};
use crate::client::Client;
use crate::error::Error;

pub(crate) async fn count(client: &Client, options: ScanOptions) -> Result<u64, Error> {
    let options = ScanOptions {
        keys_only: true,
        ..options
    };
    let mut scan = Scan::new(client.clone(), options);
    let mut rows = 0;
    while let Some(page) = scan.next_page().await? {
        rows += page.len() as u64;
    }
    Ok(rows)
}
