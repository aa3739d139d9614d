//! A leader board: everybody's best score, the best three, and a new season.
//!
//! `store_max` keeps the higher number, in whatever order results arrive. All rows of a board share the
//! tag in its name, so a season ends with one `delete_range`.
//!
//! cargo run --example leader_board -- 127.0.0.1:7401
#![expect(clippy::print_stdout, reason = "what an example is for")]

use atoll_client::{Bytes, Client, Error, ScanOptions};
use futures_util::TryStreamExt;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let seeds = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ATOLL_ENDPOINTS").ok());
    let seeds = seeds.unwrap_or_else(|| "127.0.0.1:7401".to_owned());
    println!("{}", run(&seeds).await?);
    Ok(())
}

/// Plays a season and names the winners.
pub(crate) async fn run(seeds: &str) -> Result<String, Error> {
    let client = Client::builder().seeds(seeds.split(',')).build().await?;
    let results = (0..200).map(|round| {
        let (player, score) = (round % 10, (round * 7_919) % 1_000);
        client.store_max(format!("board:{{chess}}:player-{player}"), score)
    });
    futures_util::future::try_join_all(results).await?;
    let mut scores: Vec<(i64, Bytes)> = client
        .scan(ScanOptions::prefix("board:{chess}:"))
        .rows()
        .try_fold(Vec::new(), async |mut scores, row| {
            let score = std::str::from_utf8(&row.value)
                .ok()
                .and_then(|text| text.parse().ok());
            scores.push((score.unwrap_or(0), row.key));
            Ok(scores)
        })
        .await?;
    scores.sort_unstable_by(|a, b| b.cmp(a));
    let lines = scores
        .iter()
        .take(3)
        .map(|(score, key)| format!("{score} {}", key.escape_ascii()));
    let lines: Vec<String> = lines.collect();
    // ';' is the character after ':': everything that begins with "board:{chess}:".
    let removed = client.delete_range("board:{chess}:", "board:{chess};").await?;
    client.close().await;
    Ok(format!("{}\n{removed} scores removed", lines.join("\n")))
}
