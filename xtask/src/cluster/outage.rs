//! Failures on purpose: a node that loses its power, an API that is away.

use anyhow::{Result, ensure};

use super::{
    cgroup, control, description, node, objects,
    plan::{Node, Plan},
};
use crate::exec::step;

/// What becomes of a node.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum OfNode {
    /// It is off: processes, network and bpffs are gone at once
    Stop,
    /// It boots, with the same name, addresses and /var
    Start,
    /// The one, then the other
    Reboot,
}

/// What becomes of the API.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum OfApi {
    /// It ends at once
    Stop,
    /// It comes back with what it knew
    Start,
}

/// Does it to a node.
pub fn of_node(plan: &Plan, node: Node, what: OfNode) -> Result<()> {
    if matches!(what, OfNode::Stop | OfNode::Reboot) {
        step(&format!("stopping {node}"), || node::stop(plan, node))?;
    }
    if matches!(what, OfNode::Start | OfNode::Reboot) {
        ensure!(node::holder(plan, node).is_none(), "{node} is up");
        step(&format!("booting {node}"), || {
            // What a boot that failed half-way has left.
            node::stop(plan, node)?;
            node::boot(plan, node)?;
            node::join(plan, node).map(drop)
        })?;
    }
    description::write(plan, true, |node| node::holder(plan, node))?;
    // Without the API there is nobody to hear of it.
    if matches!(what, OfNode::Start | OfNode::Reboot) && control::is_ready(plan)? {
        step(&format!("waiting for {node} to tell of its boot"), || objects::wait_booted(plan, node))?;
    }
    Ok(())
}

/// Does it to the API.
pub fn of_api(plan: &Plan, what: OfApi) -> Result<()> {
    let group = control::group(plan, control::API_SERVER)?;
    match what {
        OfApi::Stop => cgroup::kill(&group),
        OfApi::Start => {
            ensure!(!cgroup::is_populated(&group), "the API is up");
            let mut api = control::start(plan, control::API_SERVER)?;
            control::wait_ready(plan, &mut [&mut api])
        }
    }
}
