//! The proxy on real sockets, without the kernel's part: every test has a proxy and endpoints of its own.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do the few lines it shares with others"
)]

mod backend;
mod bodies;
mod choice;
mod client;
mod drain;
mod errors;
mod fields;
mod h2;
mod h2spec;
mod pool;
mod refusals;
mod stage;
mod stats;
mod storm;
mod swaps;
mod timeouts;
mod upgrade;
