//! A real cluster, as `cargo xtask cluster` makes it: its nodes, the client outside it, kubectl, Weir on it, and
//! failures on purpose.

pub mod app;
pub mod ask;
pub mod kubectl;
pub mod load;
mod xtask;

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    agent::weir,
    netns::{Netns, run},
    wait::came_true,
};

pub use app::App;
pub use ask::Asker;
pub use kubectl::Kubectl;
pub use load::{Load, Tally};

/// Weir's own namespace.
pub const SYSTEM: &str = "weir-system";
/// What takes as long as the cluster takes: pods to start on a busy machine, programs to be verified.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// A cluster that is up.
#[derive(Clone, Debug)]
pub struct Cluster {
    name: String,
    description: Value,
    kubectl: Kubectl,
}

/// A node of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// A process in its namespaces; none while it is down.
    pub pid: Option<u64>,
    /// Its network namespace.
    pub netns: String,
    /// The cgroup of everything that runs on it, as this machine sees it.
    pub cgroup: PathBuf,
}

impl Cluster {
    /// The cluster called `name`, which is up.
    ///
    /// # Errors
    /// Where it is not.
    pub fn open(name: &str) -> Result<Self> {
        let said = xtask::run(&["cluster", "--name", name, "status", "--output", "json"])?;
        let description: Value = serde_json::from_str(&said).context("`cluster status` says no JSON")?;
        let path = |field: &str| {
            description[field].as_str().map(PathBuf::from).with_context(|| format!("no {field}"))
        };
        let kubectl = Kubectl::new(path("kubectl")?, path("kubeconfig")?);
        Ok(Self { name: name.to_owned(), kubectl, description })
    }

    /// Ends it and removes everything of it.
    ///
    /// # Errors
    /// Where something is left.
    pub fn down(name: &str) -> Result<()> {
        xtask::run(&["cluster", "--name", name, "down"]).map(drop)
    }

    /// kubectl, as its administrator.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// Its nodes, as they are now.
    ///
    /// # Errors
    /// Where the description lacks something.
    pub fn nodes(&self) -> Result<Vec<Node>> {
        let nodes = self.description["nodes"].as_array().context("a cluster without nodes")?;
        nodes.iter().map(|node| Node::read(node).with_context(|| format!("node {node}"))).collect()
    }

    /// The node of that name, as it is now.
    ///
    /// # Errors
    /// Where there is none.
    pub fn node(&self, name: &str) -> Result<Node> {
        let node = self.nodes()?.into_iter().find(|node| node.name == name);
        node.with_context(|| format!("there is no node {name}"))
    }

    /// The namespace of a client outside the cluster, on the nodes' link.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn client(&self) -> Result<Netns> {
        Netns::existing(self.description["client_namespace"].as_str().context("no client")?)
    }

    /// Addresses of that client, IPv4 first.
    pub fn client_addresses(&self) -> Vec<IpAddr> {
        addresses(&self.description["client_addresses"])
    }

    /// Addresses, as a range of IPv4, that the client takes to be on its link: for load balancers.
    ///
    /// # Errors
    /// Where the cluster has none.
    pub fn pool4(&self) -> Result<String> {
        self.description["pool4"].as_str().map(str::to_owned).context("no pool4")
    }

    /// The same for IPv6.
    ///
    /// # Errors
    /// Where the cluster has none.
    pub fn pool6(&self) -> Result<String> {
        self.description["pool6"].as_str().map(str::to_owned).context("no pool6")
    }

    /// Installs Weir as deploy/overlays/testbed says, and waits until all of it is ready.
    ///
    /// # Errors
    /// With what is not ready, and the end of its log.
    pub fn install(&self) -> Result<()> {
        let overlay = xtask::root()?.join("deploy/overlays/testbed");
        self.kubectl.run(&[
            "apply",
            "--server-side",
            "--force-conflicts",
            "-k",
            &overlay.display().to_string(),
        ])?;
        for what in ["daemonset/weir-agent", "deployment/weir-controller"] {
            self.rolled_out(SYSTEM, what)?;
        }
        Ok(())
    }

    /// Takes it off again, as deploy/overlays/testbed-uninstall says.
    ///
    /// # Errors
    /// With what does not go.
    pub fn uninstall(&self) -> Result<()> {
        let root = xtask::root()?;
        let overlay = |name: &str| root.join("deploy/overlays").join(name).display().to_string();
        let patience = format!("--timeout={}s", PATIENCE.as_secs());
        let (all, rest) = (overlay("testbed"), overlay("testbed-uninstall"));
        self.kubectl.run(&["delete", "--ignore-not-found", &patience, "-k", &all])?;
        self.kubectl.run(&["apply", "--server-side", "-k", &rest])?;
        self.rolled_out("weir-uninstall", "daemonset/weir-uninstall")?;
        self.kubectl.run(&["delete", &patience, "-k", &rest]).map(drop)
    }

    /// Waits until all pods of `what`, as in `deployment/foo`, are the newest and ready.
    ///
    /// # Errors
    /// With its pods and the end of their logs.
    pub fn rolled_out(&self, namespace: &str, what: &str) -> Result<()> {
        let limit = format!("{}s", PATIENCE.as_secs());
        let done = self.kubectl.run(&["-n", namespace, "rollout", "status", what, "--timeout", &limit]);
        done.map(drop).with_context(|| {
            let look =
                |arguments: &[&str]| self.kubectl.run(arguments).unwrap_or_else(|error| format!("{error:#}"));
            let pods = look(&["-n", namespace, "get", "pods", "-o", "wide"]);
            let log = look(&["-n", namespace, "logs", what, "--tail", "20"]);
            format!("{what} in {namespace} is not ready\n{pods}\n{log}")
        })
    }

    /// Runs `weir` against the cluster, from outside; its standard output.
    ///
    /// # Errors
    /// Where it fails, with what it says.
    pub fn weir(&self, arguments: &[&str]) -> Result<String> {
        run(self.weir_command()?.args(arguments))
    }

    /// `weir` that asks this cluster.
    ///
    /// # Errors
    /// Where there is no binary.
    pub fn weir_command(&self) -> Result<Command> {
        let mut command = Command::new(weir()?);
        command.env("KUBECONFIG", self.kubectl.kubeconfig()).env_remove("WEIR_ADMIN").env_remove("WEIR_LOG");
        Ok(command)
    }

    /// A node's power fails, and it boots again, with the same name and addresses.
    ///
    /// # Errors
    /// Where it does not come back.
    pub fn reboot(&mut self, node: &str) -> Result<()> {
        xtask::run(&["cluster", "--name", &self.name, "node", "reboot", node])?;
        *self = Self::open(&self.name)?;
        Ok(())
    }

    /// Ends the API server.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn stop_api(&self) -> Result<()> {
        xtask::run(&["cluster", "--name", &self.name, "apiserver", "stop"]).map(drop)
    }

    /// Starts it again, and waits until it answers.
    ///
    /// # Errors
    /// Where it does not.
    pub fn start_api(&self) -> Result<()> {
        xtask::run(&["cluster", "--name", &self.name, "apiserver", "start"]).map(drop)
    }

    /// Waits until `promise` holds of the object `what` (as in `wgw/foo`), and gives it.
    ///
    /// # Errors
    /// Past the deadline, with the object as it is.
    pub fn wait_for(
        &self,
        namespace: &str,
        what: &str,
        said: &str,
        deadline: Duration,
        promise: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = Ok(Value::Null);
        let holds = came_true(deadline, || {
            last = self.kubectl.json(&["-n", namespace, "get", what]);
            last.as_ref().is_ok_and(&promise)
        });
        let last = last.with_context(|| format!("{what} in {namespace}"));
        ensure!(holds, "after {deadline:?} {what} in {namespace} is still not {said}: {:#}", last?);
        last
    }
}

impl Node {
    fn read(node: &Value) -> Result<Self> {
        let text =
            |field: &str| node[field].as_str().map(str::to_owned).with_context(|| format!("no {field}"));
        Ok(Self {
            name: text("name")?,
            addresses: addresses(&node["addresses"]),
            pid: node["pid"].as_u64(),
            netns: text("netns")?,
            cgroup: text("cgroup")?.into(),
        })
    }

    /// Where this machine finds a file of the node.
    ///
    /// # Errors
    /// Where the node is down.
    pub fn file(&self, path: &str) -> Result<PathBuf> {
        let pid = self.pid.with_context(|| format!("{} is down", self.name))?;
        Ok(PathBuf::from(format!("/proc/{pid}/root{path}")))
    }

    /// A command on the node itself, as an operator who is logged in there runs it.
    ///
    /// # Errors
    /// Where the node is down.
    pub fn command(&self, program: &str) -> Result<Command> {
        let pid = self.pid.with_context(|| format!("{} is down", self.name))?.to_string();
        // What runs on a node runs in its cgroups.
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#]).arg(&self.cgroup);
        command.args(["nsenter", "--target", &pid, "--mount", "--net", "--uts", "--", program]);
        Ok(command)
    }

    /// The processes of a pod that Kubernetes tells its namespace and name, as `POD_NAMESPACE` and `POD_NAME`. Pods of
    /// other namespaces may have the same name, those of a test that is over among them.
    ///
    /// # Errors
    /// Where the node's processes cannot be listed.
    pub fn processes_of(&self, namespace: &str, name: &str) -> Result<Vec<i32>> {
        let told = [format!("POD_NAMESPACE={namespace}"), format!("POD_NAME={name}")];
        let is_told = |pid: &i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let is_in =
                |said: &String| environment.split(|byte| *byte == 0).any(|one| one == said.as_bytes());
            told.iter().all(is_in)
        };
        let mut all = Vec::new();
        processes_in(&self.cgroup, &mut all)?;
        Ok(all.into_iter().filter(is_told).collect())
    }
}

/// Processes of a cgroup and of those below it; one that goes meanwhile has none.
fn processes_in(cgroup: &Path, found: &mut Vec<i32>) -> Result<()> {
    let listed = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    found.extend(listed.lines().filter_map(|line| line.parse::<i32>().ok()));
    for entry in fs::read_dir(cgroup).with_context(|| format!("reading {}", cgroup.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            processes_in(&path, found)?;
        }
    }
    Ok(())
}

fn addresses(list: &Value) -> Vec<IpAddr> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::command::Folder;

    #[test]
    fn pods_of_one_name_are_told_apart_by_their_namespace() {
        let cgroup = Folder::new("processes");
        fs::create_dir(cgroup.path().join("pod")).unwrap();
        let run = |namespace: &str| {
            // It waits for input that does not come.
            let mut command = Command::new("cat");
            command.env("POD_NAMESPACE", namespace).env("POD_NAME", "asker").stdin(Stdio::piped());
            command.spawn().unwrap()
        };
        let mut processes = [run("over"), run("here")];
        let [over, here] = processes.each_ref().map(|process| process.id().cast_signed());
        cgroup.write("cgroup.procs", &format!("{over}\n"));
        cgroup.write("pod/cgroup.procs", &format!("{here}\n"));
        let node = Node {
            name: String::new(),
            addresses: Vec::new(),
            pid: None,
            netns: String::new(),
            cgroup: cgroup.path().to_owned(),
        };
        let found =
            ["over", "here", "nowhere"].map(|namespace| node.processes_of(namespace, "asker").unwrap());
        for process in &mut processes {
            drop(process.stdin.take());
            process.wait().unwrap();
        }
        assert_eq!(found, [vec![over], vec![here], vec![]]);
    }
}
