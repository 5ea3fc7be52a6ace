//! Commands about files: no agent, no cluster, no root.

mod check;
mod explain;
pub(super) mod files;
mod format;
mod generate;
mod plan;
mod select;

use std::process::ExitCode;

use super::args::Offline;

/// Does what is asked, and prints the answer.
pub(super) fn run(command: Offline) -> anyhow::Result<ExitCode> {
    match command {
        Offline::Check { files, workloads, deny_warnings, namespace, output } => {
            check::run(&files, &workloads, &namespace.namespace, deny_warnings, output.output)
        }
        Offline::Select { selector, workloads, kind, namespace, cluster, output } => {
            select::run(&selector, &workloads, kind, (namespace.as_deref(), &cluster), output.output)
        }
        Offline::Explain { files, request, headers, from, sni, user, output } => {
            let asked = explain::read_request(&request.join(" "), &headers, from, sni)?;
            explain::run(&files, &asked, user.as_deref(), output.output)
        }
        Offline::Plan { files, against, against_workloads, output } => {
            plan::run(&files, &against, &against_workloads, output.output)
        }
        Offline::Fmt { files, write, check, output } => format::run(&files, write, check, output.output),
        Offline::Schema { crds } => {
            if crds {
                generate::definitions()
            } else {
                generate::schema()
            }
        }
        Offline::Completion { shell } => generate::completion(shell),
        Offline::Man { dir } => generate::manual(&dir),
    }
}
