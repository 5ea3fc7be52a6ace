//! What is generated from the definitions: the JSON Schema, completions, the manual.

use std::{fs, path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;
use gateway_model::gateway;

use crate::{
    cli::{args::Cli, output},
    control::resource,
};

/// Prints the JSON Schema of artifacts.
pub(super) fn schema() -> anyhow::Result<ExitCode> {
    output::print(&(serde_json::to_string_pretty(&gateway::schema())? + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the definitions of the custom resources.
pub(super) fn definitions() -> anyhow::Result<ExitCode> {
    for definition in resource::definitions() {
        output::print(&format!("---\n{}\n", serde_saphyr::to_string(&definition)?.trim_end()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints completions.
pub(super) fn completion(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "weir", &mut script);
    output::print(&String::from_utf8(script).context("a completion script is text")?)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a page for each command.
pub(super) fn manual(dir: &Path) -> anyhow::Result<ExitCode> {
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot be created", dir.display()))?;
    clap_mangen::generate_to(Cli::command(), dir)
        .with_context(|| format!("{}: the manual cannot be written there", dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
