//! The process `weir`: [`dataplane`] (the kernel), [`proxy`] (requests), Kubernetes ([`control`]), the agent and the command line.

pub mod admin;
pub mod allocator;
pub mod app;
mod causes;
pub mod cli;
pub mod config;
pub mod control;
pub mod dataplane;
pub mod proxy;
pub mod state;
pub mod watch;
