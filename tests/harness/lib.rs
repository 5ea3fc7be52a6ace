//! Test harness: namespaces, pods, clients and the agent under test.
//!
//! A [`Lab`] is a small network of namespaces (clients, a node, pods) that only this process knows: its names
//! carry the process id, its addresses are the same in every lab. Pods serve through [`pod`], clients load
//! through [`client`], [`Agent`] runs the binary `weir` in the node's namespace, [`Capture`] counts what was on
//! a wire. Everything is taken down when the lab is dropped, and as well when the process dies of anything.

#![allow(clippy::missing_panics_doc, reason = "what a lab expects of the machine, its expectations say")]

pub mod agent;
pub mod capture;
pub mod client;
pub mod cluster;
pub mod command;
pub mod lab;
pub mod name;
pub mod netns;
pub mod pattern;
pub mod pod;
pub mod process;
mod teardown;
pub mod wait;
mod wire;
pub mod workload;

pub use agent::Agent;
pub use capture::Capture;
pub use cluster::Cluster;
pub use lab::{Lab, LabPlan};
pub use name::Name;
pub use netns::Netns;
pub use process::{Process, Said};
pub use teardown::take_down;
pub use wait::{Beat, came_true, let_pass, wait_until};
pub use workload::Workload;
