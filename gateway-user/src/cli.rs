//! The command line. Some commands ask a running agent over its admin address, others work on files alone.
//!
//! Exit codes: 0 done, 1 failed (or found wrong), 2 used wrongly.

pub(crate) mod args;
mod client;
mod cluster;
mod commands;
mod draw;
mod offline;
mod output;
mod table;
mod top;

use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Cli, Command};
use crate::{
    app, causes,
    config::{Config, ConfigError, ControllerConfig},
};

const FAILED: u8 = 1;
const USED_WRONGLY: u8 = 2;

/// Does what the arguments of this process say.
pub fn main() -> ExitCode {
    // On its own it prints help and usage errors, and exits with 0 and 2.
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", causes::text_of(&error));
            let is_usage = error.is::<ConfigError>() || error.is::<args::UsageError>();
            ExitCode::from(if is_usage { USED_WRONGLY } else { FAILED })
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => {
            let print = args.serving.print_config;
            run(Config::try_from(*args)?, print)
        }
        Command::Agent(args) => {
            let print = args.serving.print_config;
            run(Config::try_from(*args)?, print)
        }
        Command::Controller(args) => {
            let print = args.print_config;
            run_controller(ControllerConfig::try_from(*args)?, print)
        }
        Command::Uninstall { pin_dir, state_dirs, unless_running, stay } => {
            output::print(&app::uninstall(&pin_dir, &state_dirs, unless_running)?)?;
            if stay {
                block_on(app::told_to_end())?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Ask(ask) => block_on(commands::answer(ask)),
        Command::Apply { files, dry_run, namespace, cluster, output } => {
            block_on(cluster::apply(&files, namespace.as_deref(), dry_run, &cluster, output.output))
        }
        Command::Offline(offline) => offline::run(offline),
    }
}

/// Waits for an answer of somebody else's.
fn block_on<T>(answer: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(answer)
}

fn run(config: Config, print: bool) -> anyhow::Result<ExitCode> {
    if print {
        output::print(&output::yaml(&serde_json::to_value(&config)?)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    app::run(config).map(|()| ExitCode::SUCCESS)
}

fn run_controller(config: ControllerConfig, print: bool) -> anyhow::Result<ExitCode> {
    if print {
        output::print(&output::yaml(&serde_json::to_value(&config)?)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    app::controller::run(config).map(|()| ExitCode::SUCCESS)
}
