//! The log: to standard error, as text or JSON.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::cli::args::LogFormat;

/// What the Kubernetes client logs by itself: each error of each try, which is told here when it is news.
const CLIENT: [&str; 2] = ["kube_client", "kube_runtime"];

/// Starts logging for the whole process.
///
/// # Errors
/// Where the filter does not parse, or something logs already.
pub(super) fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let mut directives = filter.to_owned();
    for module in CLIENT.into_iter().filter(|module| !filter.contains(module)) {
        directives = format!("{directives},{module}=off");
    }
    let filter = EnvFilter::builder().parse(directives)?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    match format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow::anyhow!(error))
}
