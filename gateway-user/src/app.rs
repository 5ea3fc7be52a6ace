//! The agent, wired together: the one place that sees the model, the kernel, the proxy and the admin API.
//!
//! [`life`] starts and ends it; [`control`] is what happens in between: what is declared (by files or by a
//! cluster), state and node become a plan ([`desired`]), the plan goes to the kernel ([`kernel`]) and to the proxy.

pub(crate) mod answer;
mod cluster;
mod control;
pub mod controller;
mod declared;
mod desired;
mod health_ports;
mod kernel;
mod life;
mod logging;
mod mark;
mod node;
#[expect(unsafe_code, reason = "sched_setattr(2)")]
mod sched;
mod served;
mod signals;
mod sources;
mod succession;
mod uplinks;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{config::Config, dataplane};

pub(crate) use desired::now;

/// Runs the agent until it is told to stop or succeeded by another.
///
/// # Errors
/// Where it cannot start, with what to do about it.
pub fn run(config: Config) -> anyhow::Result<()> {
    logging::start(config.log_format, &config.log)?;
    allow_many_connections();
    if let Err(error) = sched::run_soon_after_waking() {
        tracing::debug!(%error, "changes wait for a processor as long as everybody does");
    }
    // One thread for control; the kernel's ticks and each of the proxy's workers have their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(life::live(config))
}

/// The proxy holds two descriptors for each client; shells and services start with a low soft limit.
fn allow_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, open_files = limit.current, "the limit of open files stays low");
    }
}

/// Waits until the process is told to end.
///
/// # Errors
/// Where signals cannot be caught.
pub async fn told_to_end() -> anyhow::Result<()> {
    signals::Signals::new()?.next().await;
    Ok(())
}

/// Detaches and unpins everything, removes folders of state, and says what that was.
///
/// # Errors
/// Where something cannot be removed; calling it again goes on from there.
pub fn uninstall(pin_dir: &Path, state_dirs: &[PathBuf], unless_running: bool) -> anyhow::Result<String> {
    let is_running = succession::is_running(pin_dir);
    ensure!(!(is_running && unless_running), "an agent still runs, and would come back for it: end it first");
    let removed = dataplane::uninstall(pin_dir)?;
    let dataplane::Removed { links, maps, rings, local_routes, cgroup } = &removed;
    let mut folders = Vec::new();
    for folder in state_dirs {
        match fs::remove_dir_all(folder) {
            Ok(()) => folders.push(folder),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("removing {}", folder.display())),
        }
    }
    if removed == dataplane::Removed::default() && folders.is_empty() {
        return Ok(format!("Nothing of Weir's is left below {}.\n", pin_dir.display()));
    }
    let mut lines = vec![format!(
        "Removed from {}: {} links, {maps} maps, {rings} rings.\n",
        pin_dir.display(),
        links.len()
    )];
    lines.extend(local_routes.iter().map(|address| format!("Removed the local route to {address}.\n")));
    lines.extend(cgroup.iter().map(|cgroup| format!("Removed the cgroup {}.\n", cgroup.display())));
    lines.extend(folders.iter().map(|folder| format!("Removed {}.\n", folder.display())));
    if is_running {
        lines.push("An agent still runs, and has lost the kernel: stop it, or start it anew.\n".to_owned());
    }
    Ok(lines.concat())
}
