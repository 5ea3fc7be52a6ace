//! The binary `weir` as its users meet it: its command line, the agent's files, state and admin API.
//!
//! [`usage`] needs no rights; what runs an agent needs root.

#![allow(clippy::unwrap_used, reason = "what surprises a test is to end it, in helpers as well")]

mod admin;
mod files;
mod overrides;
mod run;
mod shop;
mod state;
mod succession;
mod usage;
