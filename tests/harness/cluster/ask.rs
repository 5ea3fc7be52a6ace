//! Asking a number of times, and no longer, from wherever somebody may ask.

use std::{fmt, process::Command};

use anyhow::{Context, Result};

use super::{Cluster, Node, Tally, load::weir_app};
use crate::netns::run;

/// Where somebody asks from.
#[derive(Clone, Debug)]
pub enum Asker {
    /// The client outside the cluster.
    Outside,
    /// A node itself, as a program of its own.
    Node(Node),
    /// A pod of the application's image.
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The network of a pod, by a process that is in none of the node's cgroups: nothing that hangs on cgroups sees it.
    Network {
        /// The node that the pod is on.
        node: Node,
        /// The pod's namespace.
        namespace: String,
        /// The pod's name.
        pod: String,
    },
}

impl fmt::Display for Asker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside => formatter.write_str("outside"),
            Self::Node(node) => write!(formatter, "node {}", node.name),
            Self::Pod { name, .. } => write!(formatter, "pod {name}"),
            Self::Network { pod, .. } => write!(formatter, "network of {pod}"),
        }
    }
}

impl Cluster {
    /// Has `from` ask `count` times, each time anew; `target` as `weir-app load` takes it. What came of it is counted.
    ///
    /// # Errors
    /// Where nobody can be asked from there.
    pub fn ask(&self, from: &Asker, count: u32, target: &[&str]) -> Result<Tally> {
        let count = count.to_string();
        let mut command = self.asking(from)?;
        command.arg("load").args(["--fresh", "--rate", "400", "--connections", "8", "--count", &count]);
        let said = run(command.args(target)).with_context(|| format!("{from} asks {target:?}"))?;
        let last = said.lines().next_back().with_context(|| format!("{from} has counted nothing"))?;
        Ok(Tally::read(&serde_json::from_str(last).with_context(|| format!("{from} says {last:?}"))?))
    }

    /// `weir-app`, run there.
    fn asking(&self, from: &Asker) -> Result<Command> {
        Ok(match from {
            Asker::Outside => self.client()?.command(weir_app()?),
            Asker::Node(node) => node.command(&weir_app()?.display().to_string())?,
            Asker::Pod { namespace, name } => {
                let mut command = self.kubectl().command();
                command.args(["--namespace", namespace, "exec", name, "--", "/weir-app"]);
                command
            }
            Asker::Network { node, namespace, pod } => {
                let pid = node.processes_of(namespace, pod)?.into_iter().next();
                let pid = pid.with_context(|| format!("{pod} does not run on {}", node.name))?;
                let mut command = Command::new("nsenter");
                command.args(["--target", &pid.to_string(), "--net", "--"]).arg(weir_app()?);
                command
            }
        })
    }
}
