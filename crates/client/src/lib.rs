//! The client that users embed.
