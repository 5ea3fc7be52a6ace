//! `cargo xtask cluster logs`.

use std::{fs, os::unix::process::CommandExt, path::Path};

use anyhow::{Context, Result, bail};

use super::plan::Plan;
use crate::exec::say;

/// Shows the log of a component (`kube-apiserver`, `n1/kubelet`), those of a node, or of a pod (`NAMESPACE/POD`); without
/// a name, which there are.
pub fn show(plan: &Plan, of: Option<&str>) -> Result<()> {
    let dir = plan.dir()?.join("logs");
    let names = names(&dir)?;
    let Some(of) = of else {
        return say(&format!("{}\n", names.join("\n")));
    };
    let of_node = format!("{of}/");
    let chosen: Vec<_> = names.iter().filter(|name| *name == of || name.starts_with(&of_node)).collect();
    if chosen.is_empty() {
        let Some((namespace, pod)) = of.split_once('/') else {
            bail!("no log {of}: there are {}, and pods as NAMESPACE/POD", names.join(", "));
        };
        let mut logs = super::kubectl(plan)?;
        logs.args(["logs", "--all-containers", "--namespace", namespace, pod]);
        return Err(logs.exec()).context("starting kubectl");
    }
    for name in &chosen {
        if chosen.len() > 1 {
            say(&format!("==> {name} <==\n"))?;
        }
        say(&fs::read_to_string(dir.join(format!("{name}.log")))?)?;
    }
    Ok(())
}

/// Names of the logs below `dir`, without their suffix.
fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            let below = self::names(&entry.path())?;
            names.extend(below.into_iter().map(|log| format!("{name}/{log}")));
        } else if let Some(name) = name.strip_suffix(".log") {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}
