//! Web sessions, read from whatever replica is at hand, and still never older than the user's last click.
//!
//! Each request may reach another web server. What a server has written for a user is in its token; the
//! token travels in a cookie; and the next server reads with it. No read has to go to the leader.
//!
//! cargo run --example session_store -- 127.0.0.1:7401
#![expect(clippy::print_stdout, reason = "what an example is for")]

use atoll_client::{Client, Consistency, Error, Routing, SessionToken};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let seeds = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ATOLL_ENDPOINTS").ok());
    let seeds = seeds.unwrap_or_else(|| "127.0.0.1:7401".to_owned());
    println!("{}", run(&seeds).await?);
    Ok(())
}

/// A user's five requests, each at another server than the one before.
pub(crate) async fn run(seeds: &str) -> Result<String, Error> {
    let servers = [web_server(seeds).await?, web_server(seeds).await?];
    let user = "session:u-1723";
    servers[0].delete(user).await?;
    let mut cookie = servers[0].session_token().encode();
    let mut cart = String::new();
    for (click, item) in ["apple", "pear", "plum", "fig", "quince"].into_iter().enumerate() {
        let server = if click % 2 == 0 { &servers[1] } else { &servers[0] };
        (cookie, cart) = request(server, user, &cookie, item).await?;
    }
    for server in &servers {
        server.delete(user).await?;
        server.close().await;
    }
    Ok(format!("cart:{cart}"))
}

/// Reads go to all replicas in turn.
async fn web_server(seeds: &str) -> Result<Client, Error> {
    let builder = Client::builder().seeds(seeds.split(','));
    builder.routing(Routing::RoundRobin).build().await
}

/// Puts an item into the user's cart. Gives the next cookie, and the cart.
async fn request(
    client: &Client,
    user: &'static str,
    cookie: &[u8],
    item: &str,
) -> Result<(Vec<u8>, String), Error> {
    let mut token = SessionToken::decode(cookie)?;
    let reader = client.with_consistency(Consistency::Session(token.clone()));
    let cart = match reader.get(user).await? {
        Some(value) => String::from_utf8_lossy(&value.bytes).into_owned(),
        None => String::new(),
    };
    let cart = format!("{cart} {item}");
    client.put(user, cart.clone()).await?;
    token.merge(&client.session_token());
    Ok((token.encode(), cart))
}
