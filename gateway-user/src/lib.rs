//! The process `weir`: [`dataplane`] (the kernel), [`proxy`] (requests), the agent and the command line.

pub mod dataplane;
pub mod proxy;
