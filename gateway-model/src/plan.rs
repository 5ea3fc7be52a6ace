//! What is to be in force: [`l4`] for the kernel, [`l7`] for the proxy. A pure function of the snapshot.

pub mod l4;
pub mod l7;

use std::sync::Arc;

/// Both halves of what is to be in force.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// For the kernel.
    pub l4: l4::L4Plan,
    /// For the proxy.
    pub l7: Arc<l7::RouteTable>,
}
