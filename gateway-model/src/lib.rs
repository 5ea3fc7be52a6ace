//! What a Weir gateway is.
//!
//! No I/O, no async, no clock, no randomness: times and seeds are passed in. The way through it:
//! [`snapshot`] (everything that is declared or observed) → [`resolve`] (what that means, with findings)
//! → [`plan`] (what the kernel and the proxy are to do) → [`plan::diff`]. A [`planner`] goes it again for what a
//! change touches.
#![forbid(unsafe_code)]

pub mod balance;
pub mod compare;
pub mod condition;
pub mod discovery;
pub mod document;
pub mod explain;
pub mod expression;
pub mod finding;
pub mod format;
pub mod gateway;
mod hash;
pub mod key;
pub mod matching;
pub mod pick;
pub mod plan;
pub mod planner;
pub mod resolve;
pub mod rewrite;
pub mod ring;
pub mod selector;
pub mod snapshot;
pub mod sticky;
pub mod weight;
pub mod workload;

#[cfg(test)]
mod tests;
