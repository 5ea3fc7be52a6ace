//! How fast a change is followed, by Weir and by kube-proxy, with thousands of endpoints that kwok makes up:
//! `cargo xtask bench convergence`.
//!
//! Both are told by the same API server on the same node in the same run. Of Weir, the time from the arrival of a
//! watch event to the last write of a map is what the agent logs of itself; of kube-proxy it is the time from the
//! arrival of the slice at a watch of ours to the last change of the rules, as `nft monitor` shows it.

mod cluster;
mod first;
mod measure;
mod plot;
mod scene;
mod summary;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;

/// Measure how fast changes are followed.
#[derive(Debug, Parser)]
struct Args {
    /// The description of the cluster
    #[arg(long)]
    cluster: PathBuf,
    /// Gateways, and as many Services for kube-proxy
    #[arg(long, default_value_t = 1_000)]
    services: usize,
    /// Endpoints of each
    #[arg(long, default_value_t = 10)]
    endpoints: usize,
    /// Single changes
    #[arg(long, default_value_t = 200)]
    changes: usize,
    /// Where the plot goes
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Leave kube-proxy's Services out: to look at memory alone
    #[arg(long)]
    alone: bool,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(Args::parse())));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let cluster = cluster::Cluster::open(&args.cluster).await?;
    let scene = scene::Scene { services: args.services, endpoints: args.endpoints, alone: args.alone };
    scene.set(&cluster).await?;
    let mut summary = summary::Summary::new(&scene);
    let measured = measure(&cluster, &scene, &args, &mut summary).await;
    // Also where something has failed: it took long to come to it.
    print!("{summary}");
    measured
}

async fn measure(
    cluster: &cluster::Cluster,
    scene: &scene::Scene,
    args: &Args,
    summary: &mut summary::Summary,
) -> Result<()> {
    summary.memory("when all was made", cluster)?;
    measure::until_all_is_done(cluster, scene).await?;
    summary.memory("at rest", cluster)?;
    let singles = measure::singles(cluster, scene, args.changes).await?;
    summary.add("one endpoint goes or comes back", &singles);
    let many = measure::many(cluster, scene).await?;
    summary.add("one endpoint of each service at once", &many);
    let weights = measure::weights(cluster).await?;
    summary.single("a weight, from the patch to the node's acknowledgement", &weights);
    let firsts = first::connections(cluster, 10).await?;
    summary.single("a pod, from turning ready to its first connection", &firsts);
    summary.single("start of an agent, until everything is in force", &measure::starts(cluster).await?);
    if let Some(path) = &args.plot {
        plot::draw(path, &singles, &many)?;
        println!("{}", path.display());
    }
    Ok(())
}
