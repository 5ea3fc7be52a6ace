//! Giving images to the nodes.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    node,
    plan::{Node, Plan},
};
use crate::{
    image::{self, PAUSE},
    setup::kubernetes,
};

/// The pause image, packed once per machine.
pub fn pause() -> Result<PathBuf> {
    let program = kubernetes::pause()?;
    let tar = program.with_extension("tar");
    if !tar.is_file() {
        image::pack(&[PAUSE.to_owned()], &program, &tar)?;
    }
    Ok(tar)
}

/// Gives the images in `tar` to every node.
pub fn load(plan: &Plan, tar: &Path) -> Result<()> {
    let tar = fs::canonicalize(tar).with_context(|| format!("there is no {}", tar.display()))?;
    std::thread::scope(|scope| {
        let tar = &tar;
        let import = |node| scope.spawn(move || load_into(plan, node, tar));
        let imports: Vec<_> = plan.nodes().map(import).collect();
        imports.into_iter().try_for_each(|import| import.join().expect("importing does not panic"))
    })
}

/// Gives the images in `tar` to a node.
pub fn load_into(plan: &Plan, node: Node, tar: &Path) -> Result<()> {
    let mut ctr = node::containerd_client(plan, node)?;
    ctr.args(["images", "import", "-"]).stdin(File::open(tar)?).stdout(Stdio::null());
    let output = ctr.stderr(Stdio::piped()).output().context("starting ctr")?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("importing {} into {node}: {}", tar.display(), complaint.trim_end());
    }
    Ok(())
}

/// Fails where one of the files cannot be read, before anything is done.
pub fn check(tars: &[PathBuf]) -> Result<()> {
    for tar in tars {
        ensure!(
            tar.is_file(),
            "there is no image {}: `cargo xtask image --out FILE` makes one",
            tar.display()
        );
    }
    Ok(())
}
