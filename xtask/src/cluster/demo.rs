//! `cargo xtask cluster demo`: a canary of real traffic on a cluster of its own.

use std::{env, os::unix::process::CommandExt, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::{images, life, plan};
use crate::{
    build::{self, Profile},
    exec::{command, root, show, step},
    image, setup,
};

/// Name of the demo's cluster.
const NAME: &str = "demo";
/// Images that are tested, and never pulled.
const TAG: &str = "dev";

/// Arguments of `cargo xtask cluster demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Fail on the first thing that is not as promised; needs no terminal
    #[arg(long)]
    check: bool,
    /// How many nodes
    #[arg(long, default_value_t = 3)]
    nodes: u8,
    /// Leave the cluster up at the end
    #[arg(long)]
    keep: bool,
    /// Use the cluster that `--name` names, which is up already, and leave it up
    #[arg(long, conflicts_with = "nodes")]
    here: bool,
}

/// What is tested on a cluster.
#[derive(Debug)]
pub struct Binaries {
    weir: PathBuf,
    app: PathBuf,
}

impl Binaries {
    /// Builds them.
    pub fn build() -> Result<Self> {
        setup::to_build()?;
        let binary = |package: &str, name: &str| build::build(package, name, Profile::Dev);
        Ok(Self { weir: binary("gateway-user", "weir")?, app: binary("gateway-tests", "weir-app")? })
    }

    /// Packs them as images.
    pub fn pack(&self) -> Result<Vec<PathBuf>> {
        let pack = |binary: &PathBuf, name: &str| {
            let out = root().join(format!("target/image/{name}-{TAG}.tar"));
            image::pack(&[format!("weir.dev/{name}:{TAG}")], binary, &out).map(|()| out)
        };
        step("packing images", || Ok(vec![pack(&self.weir, "weir")?, pack(&self.app, "weir-app")?]))
    }

    /// Tells a program of gateway-tests where everything is.
    pub fn tell<'a>(&self, command: &'a mut Command) -> Result<&'a mut Command> {
        let xtask = env::current_exe().context("this program has no path")?;
        Ok(command.env("WEIR_BIN", &self.weir).env("WEIR_APP_BIN", &self.app).env("WEIR_XTASK", xtask))
    }
}

/// Starts the cluster, and becomes the demo, so that Ctrl-C is the demo's; that takes the cluster down.
pub fn command_line(name: &str, args: &Args) -> Result<()> {
    let (mut demo, keep) = prepare(if args.here { name } else { NAME }, args)?;
    for (flag, wanted) in [("--check", args.check), ("--keep", keep)] {
        demo.args(wanted.then_some(flag));
    }
    Err(demo.exec()).context("starting the demo")
}

/// The demo as a test, on so many nodes.
pub fn check(nodes: u8) -> Result<()> {
    let args = Args { check: true, nodes, keep: false, here: false };
    show(prepare(NAME, &args)?.0.arg("--check"))
}

fn prepare(name: &str, args: &Args) -> Result<(Command, bool)> {
    plan::check_name(name)?;
    let binaries = Binaries::build()?;
    let mut demo = command(build::build("gateway-tests", "weir-cluster-demo", Profile::Dev)?);
    let tars = binaries.pack()?;
    if args.here {
        let (plan, _) = super::existing(name)?;
        tars.iter().try_for_each(|tar| images::load(&plan, tar))?;
    } else {
        life::up(name, args.nodes, &tars)?;
    }
    binaries.tell(demo.args(["--cluster", name]))?;
    Ok((demo, args.keep || args.here))
}
