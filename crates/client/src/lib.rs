//! The client of Atoll, a replicated and sharded key-value database: what programs embed.
//!
//! ```no_run
//! use atoll_client::{Client, Error};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let client = Client::builder().seeds(["127.0.0.1:7401"]).build().await?;
//!     client.put("greeting", "hello").await?;
//!     println!("{:?}", client.get("greeting").await?);
//!     client.close().await;
//!     Ok(())
//! }
//! ```
//!
//! # Connecting
//!
//! [`Client::builder`] takes the addresses of some nodes; one that answers is enough, and the rest of the
//! cluster is found through it. A [`Client`] is cheap to clone and meant to be shared: calls made at the
//! same time, from however many tasks, travel in the same frames. It needs a tokio runtime with time and
//! I/O enabled, of either kind.
//!
//! # What it promises
//!
//! - A write that returned `Ok` is on the disks of a majority and was applied once, however often it had
//!   to be sent.
//! - Every call ends within its deadline ([`ClientBuilder::deadline`]). Until then the client follows
//!   redirects, waits for elections and reconnects, with growing random pauses; only re-sends to an
//!   overloaded cluster are rationed.
//! - An [`Error`] says what to do by its [`ErrorKind`]. Every kind but [`ErrorKind::Unknown`] and
//!   [`ErrorKind::Internal`] means that nothing happened and nothing will.
//! - A version returned to this client is below that of every write it begins later.
//! - Any future may be dropped at any point. A read then never happened, a write may still happen, and
//!   the client is as good as before.
//!
//! # Retries, and outcomes nobody knows
//!
//! The client sends a call again whenever that cannot do harm, which is nearly always: every write carries
//! a session and a number, and the group that owns the key remembers what became of it. So there is no need
//! for a loop around a call. What is left are errors that trying again at once would not cure. After
//! [`ErrorKind::Unknown`] a write may have happened, or may happen a little later: read before deciding, or
//! repeat it if that does no harm (a put of the same value, [`Client::store_max`], a compare-and-set).
//!
//! # What reads see
//!
//! Reads are linearizable unless [`Client::with_consistency`] says otherwise:
//!
//! | [`Consistency`] | sees | costs |
//! |---|---|---|
//! | `Linearizable` | every write acknowledged before | a round with a quorum, shared by reads made together |
//! | `Session(token)` | what the token and this client have seen | nothing, or a wait on a replica that lags |
//! | `Bounded(age)` | a state at most that old | nothing, or a redirect from a replica that lags more |
//! | `Eventual` | whatever the replica has | nothing |
//!
//! [`Client::read`] gives the value with its [`Proof`]: which replica answered, from what state, how old at
//! most. [`Client::session_token`] is what this client has seen, as a value for another process or another
//! day; see [`SessionToken`].
//!
//! # Which replica answers
//!
//! Writes go to the leader of the key's group. Where reads go is the [`Routing`]: to the leader, to the
//! nearest replica, to all in turn, or to the fastest. A replica that fails three times in a row is left out
//! and tried again with one call now and then, after half a second at first and half a minute at most; if
//! all are out, the one whose turn is next is asked. Slow ones are avoided by `Nearest` and `Fastest`.
//!
//! ```no_run
//! # async fn example(client: atoll_client::Client) -> Result<(), atoll_client::Error> {
//! use atoll_client::{Consistency, Routing};
//!
//! let nearby = client.with_routing(Routing::Nearest).with_consistency(Consistency::Eventual);
//! let read = nearby.read("greeting").await?;
//! println!("replica {} says {:?}, at most {:?} old", read.proof.replica, read.value, read.proof.age);
//! # Ok(())
//! # }
//! ```
//!
//! # Writing
//!
//! [`Client::put`] and [`Client::delete`], [`Client::compare_and_set`]; [`Client::increment`],
//! [`Client::store_min`], [`Client::store_max`] and [`Client::append`], which compute where the value is
//! stored; [`Client::multi_put`] for many at once. Keys with the same `{tag}` in their names are stored
//! together: they can be written all or none ([`Client::batch`]), and removed as a range
//! ([`Client::delete_range`]).
//!
//! ```no_run
//! # async fn example(client: atoll_client::Client) -> Result<(), atoll_client::Error> {
//! let order = client.batch().put("order:{7}:head", "open").put("order:{7}:line:1", "3 apples");
//! order.increment("order:{7}:lines", 1).commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Scans
//!
//! [`Client::scan`] reads a range or a prefix in key order over all groups, forwards or backwards, by page or
//! as a stream ([`Scan::rows`]); [`Client::count`] counts in the groups and fetches nothing. Memory stays
//! bounded whatever the number of keys, and slots that move meanwhile are neither missed nor seen twice. A
//! scan over several groups is not a snapshot: each page is of the client's level by itself.
//!
//! # Tuning
//!
//! - Throughput comes from calls under way, not from threads: a few hundred at a time fill the frames.
//! - `deadline` bounds what a caller waits. Below 3 s an election (about 2 s) may show as an error.
//! - `attempt_timeout` is how soon a silent node is given up for another one.
//! - Of each group at most 4,096 writes of one client are under way; more wait. Of each connection, 65,535
//!   calls and 32 MiB. A node or group that is stuck uses up nothing that others need.
//! - [`Client::stats`] counts frames, retries, redirects and so on. Each call is a `tracing` span at the
//!   level debug, target `atoll_client`, with operation, group, node and attempts.
//!
//! There are no feature flags. Programs that show all this are in `crates/client/examples/`.
//!
//! # Where to read on
//!
//! `client.rs` and `write.rs` are the surface, `engine/` one call from start to end, `retry/` the rules after
//! a failure, `session/` exactly-once, `route/` the shard map and the choice among replicas, `pipe/` the
//! stream that concurrent calls share, `scan/` the merge of all groups.

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

/// So do those of the client guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/client.md")]
struct Guide;

pub use atoll_env::Env;
pub use atoll_types::Version;
pub use bytes::Bytes;

/// The operating system's clock, randomness, files and network, for [`Client::connect`] and [`admin`].
/// Needs a running tokio runtime with time and I/O enabled.
pub fn real_env() -> Env {
    Env::real()
}
