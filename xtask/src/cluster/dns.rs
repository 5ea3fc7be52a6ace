//! Names in pods: CoreDNS as a pod, behind the address that every kubelet tells.

use std::path::PathBuf;

use anyhow::Result;

use super::{
    objects,
    plan::{DNS4, DNS6, Node, Plan},
};
use crate::{
    exec::read,
    image,
    setup::coredns::{self, VERSION},
};

/// Where it runs.
pub const NODE: Node = Node::FIRST;
const OBJECTS: &str = include_str!("dns.yaml");
const READY_SECONDS: u32 = 60;

/// The image, packed once per machine.
pub fn image() -> Result<PathBuf> {
    let program = coredns::ensure()?;
    let tar = program.with_extension("tar");
    if !tar.is_file() {
        image::pack(&[image_name()], &program, &tar)?;
    }
    Ok(tar)
}

/// Makes its objects.
pub fn create(plan: &Plan) -> Result<()> {
    let objects = [("NODE", &*NODE.to_string()), ("IMAGE", &*image_name()), ("DNS4", DNS4), ("DNS6", DNS6)]
        .into_iter()
        .fold(OBJECTS.to_owned(), |objects, (name, value)| objects.replace(name, value));
    objects::apply(plan, &objects)
}

/// Waits until it answers.
pub fn wait_ready(plan: &Plan) -> Result<()> {
    let mut wait = super::kubectl(plan)?;
    wait.args(["wait", "--for=condition=Available", "--namespace=kube-system", "deployment/coredns"]);
    read(wait.arg(format!("--timeout={READY_SECONDS}s"))).map(drop)
}

fn image_name() -> String {
    format!("weir.dev/coredns:{VERSION}")
}
