//! L4 with real XDP: clients, a node whose kernel runs the data plane, pods, in namespaces of their own.
#![allow(clippy::unwrap_used, reason = "what surprises a test is to end it, in helpers as well")]
#![allow(clippy::cast_precision_loss, reason = "counts of a test are far below 2^52")]

mod access;
mod agent;
mod announce;
mod attach;
mod bulk;
mod counters;
mod eastwest;
mod eastwest_agent;
mod held;
mod l7;
mod nat;
mod node;
mod outgoing;
mod paths;
mod plan;
mod pods;
mod refuse;
mod shares;
