//! `cargo xtask cluster`: a real Kubernetes of several nodes on this machine, without Docker, and without anything left
//! when it is taken down. [`plan`] has the picture, [`description`] what a test harness reads.

mod cgroup;
mod control;
pub mod convergence;
mod daemon;
pub mod demo;
mod description;
mod dns;
mod identity;
mod images;
mod life;
mod logs;
mod network;
mod node;
mod objects;
mod outage;
mod plan;
mod scale;
mod status;
pub mod suite;

use std::{os::unix::process::CommandExt, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;

use crate::{exec::need_root, setup::kubernetes};
use plan::Plan;

/// Arguments of `cargo xtask cluster`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which cluster, where there are several
    #[arg(long, global = true, default_value = plan::DEFAULT_NAME)]
    name: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Start it and wait until it is ready; what is left of one that is half up is removed first
    Up {
        /// How many nodes
        #[arg(long, default_value_t = 3)]
        nodes: u8,
        /// An image to give to every node, as `load-image` does
        #[arg(long)]
        image: Vec<PathBuf>,
    },
    /// End it and remove everything of it, whatever state it is in
    Down,
    /// Show what runs, and where
    Status {
        #[arg(short, long, value_enum, default_value_t)]
        output: status::Output,
    },
    /// Run kubectl as the cluster's administrator
    Kubectl {
        /// What kubectl is to do
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Show logs: of a component, a node, or a pod (`NAMESPACE/POD`); without a name, which there are
    Logs {
        /// `kube-apiserver`, `n1`, `n1/kubelet`, `default/my-pod`
        of: Option<String>,
    },
    /// Give images to every node
    LoadImage {
        /// Files as `cargo xtask image` or `docker save` write them
        #[arg(required = true)]
        tars: Vec<PathBuf>,
    },
    /// Show a canary of real traffic moving from one version to the next, on a cluster of its own
    Demo(demo::Args),
    /// Run the tests of what users see on a cluster, on one of its own
    Test(suite::Args),
    /// Have a node fail and come back
    Node {
        /// What becomes of it
        what: outage::OfNode,
        /// Which node: n1, n2, …
        node: String,
    },
    /// Start kwok, which plays nodes annotated with `kwok.x-k8s.io/node` and the pods on them, by the thousand
    Kwok,
    /// Have the API fail and come back; nothing else is touched
    Apiserver {
        /// What becomes of it
        what: outage::OfApi,
    },
}

/// Does it.
pub fn command_line(args: &Args) -> Result<()> {
    plan::check_name(&args.name)?;
    match &args.what {
        What::Up { nodes, image } => {
            need_root("a cluster")?;
            images::check(image)?;
            life::up(&args.name, *nodes, image)
        }
        What::Down => {
            need_root("a cluster")?;
            life::down(&args.name)
        }
        What::Status { output } => status::show(&args.name, *output),
        What::Kubectl { arguments } => {
            let (plan, _) = existing(&args.name)?;
            Err(kubectl(&plan)?.args(arguments).exec()).context("starting kubectl")
        }
        What::Logs { of } => logs::show(&existing(&args.name)?.0, of.as_deref()),
        What::LoadImage { tars } => {
            need_root("a cluster")?;
            images::check(tars)?;
            let (plan, _) = existing(&args.name)?;
            tars.iter().try_for_each(|tar| images::load(&plan, tar))
        }
        What::Test(suite) => {
            need_root("a cluster")?;
            suite::command_line(&args.name, suite)
        }
        What::Demo(demo) => {
            need_root("a cluster")?;
            demo::command_line(&args.name, demo)
        }
        What::Node { what, node } => {
            need_root("a cluster")?;
            let plan = existing(&args.name)?.0;
            outage::of_node(&plan, plan.node(node)?, *what)
        }
        What::Kwok => {
            need_root("a cluster")?;
            scale::start(&existing(&args.name)?.0)
        }
        What::Apiserver { what } => {
            need_root("a cluster")?;
            outage::of_api(&existing(&args.name)?.0, *what)
        }
    }
}

/// The cluster of that name.
///
/// # Errors
/// Where there is none.
fn existing(name: &str) -> Result<(Plan, Value)> {
    description::read(name)?.with_context(|| {
        format!("there is no cluster {name}: `cargo xtask cluster up --name {name}` starts one")
    })
}

/// kubectl as administrator, in the folder where this was called.
fn kubectl(plan: &Plan) -> Result<Command> {
    let mut kubectl = Command::new(kubernetes::kube()?);
    kubectl.arg("kubectl").env("KUBECONFIG", plan.dir()?.join("kubeconfig/admin"));
    Ok(kubectl)
}
