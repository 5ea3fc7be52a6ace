//! The agent, wired together: the one place that sees the model, the kernel, the proxy and the admin API.

use std::path::Path;

use crate::config::Config;

/// Runs the agent.
pub fn run(_: Config) -> anyhow::Result<()> {
    anyhow::bail!("not wired yet")
}

/// Removes everything.
pub fn uninstall(_: &Path) -> anyhow::Result<()> {
    anyhow::bail!("not wired yet")
}
