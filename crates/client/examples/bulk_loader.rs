//! Loading many rows quickly, without losing sight of those that fail.
//!
//! `multi_put` keeps hundreds of writes under way; a batch of rows at a time bounds what is in memory.
//! Rows that fail are loaded again: putting a row twice does no harm.
//!
//! cargo run --release --example bulk_loader -- 127.0.0.1:7401 100000
#![expect(clippy::print_stdout, reason = "what an example is for")]

use atoll_client::{Bytes, Client, Error, ScanOptions};

/// Rows in memory at a time.
const CHUNK: u32 = 5_000;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let seeds = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ATOLL_ENDPOINTS").ok());
    let seeds = seeds.unwrap_or_else(|| "127.0.0.1:7401".to_owned());
    let rows = std::env::args().nth(2).and_then(|rows| rows.parse().ok());
    println!("{}", run(&seeds, rows.unwrap_or(20_000)).await?);
    Ok(())
}

/// Loads rows and counts what is there.
pub(crate) async fn run(seeds: &str, rows: u32) -> Result<String, Error> {
    let client = Client::builder().seeds(seeds.split(',')).build().await?;
    let mut again = 0;
    for first in (0..rows).step_by(CHUNK as usize) {
        let mut left: Vec<(Bytes, Bytes)> = (first..rows.min(first + CHUNK)).map(row).collect();
        while !left.is_empty() {
            let outcomes = client.multi_put(left.clone()).await;
            let failed = left
                .into_iter()
                .zip(&outcomes)
                .filter(|(_, outcome)| outcome.is_err());
            left = failed.map(|(row, _)| row).collect();
            // Nothing but an error at all: then it is not the weather.
            if let (true, Some(Err(error))) = (outcomes.iter().all(Result::is_err), outcomes.first()) {
                return Err(error.clone());
            }
            again += left.len();
        }
    }
    let there = client.count(ScanOptions::prefix("load:")).await?;
    client.close().await;
    Ok(format!("{there} rows there, {again} loaded twice"))
}

fn row(number: u32) -> (Bytes, Bytes) {
    (format!("load:{number:08}").into(), format!("row {number}").into())
}
