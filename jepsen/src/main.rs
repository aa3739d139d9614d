//! `cargo run --release -p atoll-jepsen`
fn main() {}
