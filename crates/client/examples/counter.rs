//! Two ways to count from many places at once.
//!
//! `increment` adds where the number is stored: one call, never a conflict. Compare-and-set reads,
//! computes and stores only if nobody was faster; it takes more calls, and any computation will do.
//!
//! cargo run --example counter -- 127.0.0.1:7401
#![expect(clippy::print_stdout, reason = "what an example is for")]

use atoll_client::{Cas, Client, Error};

const TASKS: i64 = 8;
const ROUNDS: i64 = 25;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let seeds = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ATOLL_ENDPOINTS").ok());
    let seeds = seeds.unwrap_or_else(|| "127.0.0.1:7401".to_owned());
    println!("{}", run(&seeds).await?);
    Ok(())
}

/// Counts in both ways and says how far it came.
pub(crate) async fn run(seeds: &str) -> Result<String, Error> {
    let client = Client::builder().seeds(seeds.split(',')).build().await?;
    client.delete("counter:added").await?;
    client.delete("counter:swapped").await?;
    let tasks = (0..TASKS).map(|_| count(client.clone()));
    futures_util::future::try_join_all(tasks).await?;
    let added = client.increment("counter:added", 0).await?;
    let swapped = client.increment("counter:swapped", 0).await?;
    client.close().await;
    Ok(format!("added {added}, swapped {swapped}, of {}", TASKS * ROUNDS))
}

async fn count(client: Client) -> Result<(), Error> {
    for _ in 0..ROUNDS {
        client.increment("counter:added", 1).await?;
        swap(&client, "counter:swapped", |number| number + 1).await?;
    }
    Ok(())
}

/// Replaces a number by what `change` makes of it, as often as somebody else is faster.
async fn swap(client: &Client, key: &'static str, change: impl Fn(i64) -> i64) -> Result<(), Error> {
    loop {
        let found = client.get(key).await?;
        let version = found.as_ref().map(|value| value.version);
        let number = found.and_then(|value| std::str::from_utf8(&value.bytes).ok()?.parse().ok());
        let next = change(number.unwrap_or(0)).to_string();
        // An error of the kind `Unknown` ends it here: trying again after that might count twice.
        if let Cas::Done(_) = client.compare_and_set(key, version, next).await? {
            return Ok(());
        }
    }
}
