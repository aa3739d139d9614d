//! The client that users embed.
//!
//! ```no_run
//! # async fn example() -> Result<(), atoll_client::Error> {
//! use atoll_client::{Cas, Client, Options, ScanOptions};
//!
//! let env = atoll_client::real_env();
//! let client = Client::connect(&env, &["127.0.0.1:7601".to_owned()], Options::default()).await?;
//! client.put("fruit/apple", "red").await?;
//! let apple = client.get("fruit/apple").await?.expect("it was just stored");
//! if let Cas::Conflict { actual } = client.compare_and_set("fruit/apple", Some(apple.version), "green").await? {
//!     println!("somebody was faster: {actual:?}");
//! }
//! // Keys with the same {tag} can be written all or none.
//! client.batch().put("order:{7}:head", "open").put("order:{7}:line:1", "3 apples").commit().await?;
//! let mut scan = client.scan(ScanOptions::prefix("fruit/"));
//! while let Some(rows) = scan.next_page().await? {
//!     for row in rows {
//!         println!("{} = {} bytes", row.key.escape_ascii(), row.value.len());
//!     }
//! }
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - A write that returned `Ok` is on the disks of a majority and was applied once, however often it had
//!   to be sent: every write carries a session and a number, and groups remember what became of it.
//! - An [`Error`] says what to do by its [`ErrorKind`]. Every kind but [`ErrorKind::Unknown`] and
//!   [`ErrorKind::Internal`] means that nothing happened and nothing will.
//! - Every call ends within its deadline ([`Options::deadline`]). Until then the client follows
//!   redirects, waits for elections and reconnects, with growing random pauses; only re-sends to an
//!   overloaded cluster are rationed.
//! - A version returned to this client is below that of every write it begins later.
//!
//! # Where to read on
//!
//! `client.rs` is the surface, `engine/` one call from start to end, `retry/` the rules after a failure,
//! `session/` exactly-once, `route/` the shard map, `pipe/` the stream that concurrent calls share.

pub mod admin;
mod batch;
mod builder;
mod client;
mod consistency;
mod engine;
mod error;
mod model;
mod multi_get;
mod multi_put;
mod ops;
mod options;
mod pipe;
mod retry;
mod route;
mod scan;
mod session;
mod stats;
mod token;
mod write;

pub use batch::Batch;
pub use builder::ClientBuilder;
pub use client::Client;
pub use consistency::{Consistency, Routing};
pub use error::{Error, ErrorKind};
pub use model::{Cas, Committed, Proof, Read, Row, Value};
pub use options::Options;
pub use scan::{Rows, Scan, ScanOptions};
pub use stats::ClientStats;
pub use token::SessionToken;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

pub use atoll_env::Env;
pub use atoll_types::Version;
pub use bytes::Bytes;

/// The operating system's clock, randomness, files and network. Needs a running tokio runtime with
/// time and I/O enabled.
pub fn real_env() -> Env {
    Env::real()
}
