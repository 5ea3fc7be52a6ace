//! `cargo xtask bench convergence`: a cluster of one node, with Weir as it is shipped and pods that kwok makes up.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{control, life, plan::Plan, scale};
use crate::{
    build::{self, Profile},
    exec::{command, read, root, show, step},
    image, setup,
};

/// Name of the cluster.
const NAME: &str = "bench";
/// Where the plot goes.
const PLOT: &str = "docs/convergence.svg";

/// Arguments of `cargo xtask bench convergence`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Gateways, and as many Services for kube-proxy
    #[arg(long, default_value_t = 1_000)]
    services: u32,
    /// Endpoints of each
    #[arg(long, default_value_t = 10)]
    endpoints: u32,
    /// Changes of one endpoint
    #[arg(long, default_value_t = 100)]
    changes: u32,
    /// Without Services for kube-proxy
    #[arg(long)]
    alone: bool,
    /// Where the plot goes
    #[arg(long, default_value = PLOT)]
    plot: PathBuf,
}

/// Measures, and takes the cluster down.
pub fn measure(args: &Args) -> Result<()> {
    setup::to_build()?;
    setup::kubernetes::ensure()?;
    setup::kwok::ensure()?;
    let weir = build::build("gateway-user", "weir", Profile::Release)?;
    let program = build::build("gateway-tests", "weir-convergence", Profile::Release)?;
    let app = build::build("gateway-tests", "weir-app", Profile::Release)?;
    let pack = |binary: &PathBuf, name: &str| {
        let tar = root().join(format!("target/image/{name}-bench.tar"));
        image::pack(&[format!("weir.dev/{name}:dev")], &image::strip(binary)?, &tar).map(|()| tar)
    };
    let tars = step("packing images", || Ok([pack(&weir, "weir")?, pack(&app, "weir-app")?]))?;
    life::up(NAME, 1, &tars)?;
    let done = run(args, &program);
    let down = life::down(NAME).context("taking the cluster down");
    done.and(down)
}

fn run(args: &Args, program: &PathBuf) -> Result<()> {
    let (plan, _) = super::existing(NAME)?;
    let kubectl = |arguments: &[&str]| kubectl(&plan, arguments);
    step("installing Weir", || {
        kubectl(&["apply", "--server-side", "-k", "deploy/overlays/testbed"])?;
        // What it logs of each change is what is measured.
        let of = ["-n", "weir-system", "daemonset/weir-agent"];
        kubectl(&[&["set", "env"][..], &of, &["WEIR_LOG=info,weir::app=debug"]].concat())?;
        kubectl(&[&["rollout", "status", "--timeout=120s"][..], &of].concat())?;
        kubectl(&["rollout", "status", "--timeout=120s", "-n", "weir-system", "deployment/weir-controller"])
    })?;
    scale::start(&plan)?;
    control::give_way(&plan)?;
    let mut measure = command(program);
    measure.arg("--cluster").arg(plan.dir()?.join("cluster.json"));
    measure.args(["--services", &args.services.to_string(), "--endpoints", &args.endpoints.to_string()]);
    measure.args(["--changes", &args.changes.to_string()]);
    measure.args(args.alone.then_some("--alone")).arg("--plot").arg(&args.plot);
    show(&mut measure)
}

fn kubectl(plan: &Plan, arguments: &[&str]) -> Result<()> {
    let mut kubectl = command(setup::kubernetes::kubectl()?);
    kubectl.arg("--kubeconfig").arg(plan.dir()?.join("kubeconfig/admin")).args(arguments);
    read(&mut kubectl).map(drop)
}
