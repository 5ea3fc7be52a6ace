//! Names in pods: CoreDNS as a pod, behind the address that every kubelet tells.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use super::plan::{DNS4, DNS6, Node, Plan};
use crate::{
    image,
    setup::coredns::{self, VERSION},
};

/// Where it runs.
pub const NODE: Node = Node::FIRST;
const OBJECTS: &str = include_str!("dns.yaml");

/// The image, packed once per machine.
pub fn image() -> Result<PathBuf> {
    let program = coredns::ensure()?;
    let tar = program.with_extension("tar");
    if !tar.is_file() {
        image::pack(&[image_name()], &program, &tar)?;
    }
    Ok(tar)
}

/// Its objects.
pub fn objects() -> String {
    let values = [("NODE", &*NODE.to_string()), ("IMAGE", &*image_name()), ("DNS4", DNS4), ("DNS6", DNS6)];
    values.into_iter().fold(OBJECTS.to_owned(), |objects, (name, value)| objects.replace(name, value))
}

/// What waits until it answers.
pub fn ready(plan: &Plan) -> Result<Command> {
    let mut wait = super::kubectl(plan)?;
    wait.args(["wait", "--for=condition=Available", "--namespace=kube-system", "--timeout=10m"]);
    wait.arg("deployment/coredns");
    Ok(wait)
}

fn image_name() -> String {
    format!("weir.dev/coredns:{VERSION}")
}
