//! Made-up nodes and pods, by kwok: they cost what they cost the API, and run nothing.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{
    cgroup, control, network,
    plan::{Host, Plan},
};
use crate::{
    exec::{read, wait_for},
    setup::kwok,
};

const STAGES: &str = include_str!("scale.yaml");
const ADDRESS: &str = "127.0.0.1:10247";
const READY_SECONDS: u64 = 30;

/// Starts kwok, which plays the nodes that are annotated for it.
pub fn start(plan: &Plan) -> Result<()> {
    let program = kwok::ensure()?;
    ensure!(!cgroup::is_populated(&control::group(plan, "kwok")?), "kwok runs already");
    let dir = plan.dir()?;
    let stages = dir.join("kwok.yaml");
    fs::write(&stages, STAGES).with_context(|| format!("writing {}", stages.display()))?;
    let arguments = [
        format!("--kubeconfig={}", dir.join("kubeconfig/admin").display()),
        format!("--config={}", stages.display()),
        // Nobody is asked there: it stands for all of them.
        format!("--node-ip={}", plan.v4(Host::CONTROL)),
        // Nodes live by their status: the stages say why.
        "--node-lease-duration-seconds=0".to_owned(),
        format!("--server-address={ADDRESS}"),
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node".to_owned(),
    ];
    let mut kwok = control::run(plan, "kwok", program, &arguments)?;
    let waited = wait_for("kwok to be ready", READY_SECONDS, || {
        kwok.check()?;
        let mut curl = network::inside(&plan.namespace("control"), "curl");
        Ok(read(curl.args(["--silent", "--fail", &format!("http://{ADDRESS}/readyz")])).is_ok().then_some(()))
    });
    kwok.explain(waited)
}
