//! kubectl, as the cluster's administrator.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::netns::run;

/// Asks one cluster.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: Arc<Path>,
    kubeconfig: Arc<Path>,
}

impl Kubectl {
    pub(super) fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { program: program.into(), kubeconfig: kubeconfig.into() }
    }

    /// Whom it asks, and as whom.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// It, without arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&*self.program);
        command.env("KUBECONFIG", &*self.kubeconfig);
        command
    }

    /// Runs it; its standard output.
    ///
    /// # Errors
    /// Where it fails, with what it says.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        run(self.command().args(arguments))
    }

    /// Runs it with `--output json`; what it says.
    ///
    /// # Errors
    /// Where it fails, or says no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let said = run(self.command().args(arguments).args(["--output", "json"]))?;
        serde_json::from_str(&said).with_context(|| format!("kubectl {arguments:?} says no JSON"))
    }

    /// The items of a list.
    ///
    /// # Errors
    /// As [`Kubectl::json`].
    pub fn list(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let mut list = self.json(arguments)?;
        let Value::Array(items) = list["items"].take() else {
            anyhow::bail!("kubectl {arguments:?} gives no list: {list}")
        };
        Ok(items)
    }

    /// Applies objects, server-side.
    ///
    /// # Errors
    /// Where one is refused, with why.
    pub fn apply(&self, objects: &[Value]) -> Result<()> {
        let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        let arguments = ["apply", "--server-side", "--force-conflicts", "--filename", "-"];
        self.feed(&arguments, &list.to_string()).map(drop)
    }

    /// Applies a text of YAML, server-side, in this namespace where it names none.
    ///
    /// # Errors
    /// Where an object is refused, with why.
    pub fn apply_text(&self, namespace: &str, text: &str) -> Result<()> {
        let arguments =
            ["--namespace", namespace, "apply", "--server-side", "--force-conflicts", "--filename", "-"];
        self.feed(&arguments, text).map(drop)
    }

    /// Merges a change into an object, `what` as in `deployment/foo`.
    ///
    /// # Errors
    /// Where it is refused.
    pub fn patch(&self, namespace: &str, what: &str, change: &Value) -> Result<()> {
        let change = change.to_string();
        self.run(&["--namespace", namespace, "patch", what, "--type", "merge", "--patch", &change]).map(drop)
    }

    /// Has `what`, as in `deployment/foo`, this many pods.
    ///
    /// # Errors
    /// Where it is refused.
    pub fn scale(&self, namespace: &str, what: &str, replicas: u32) -> Result<()> {
        self.run(&["--namespace", namespace, "scale", what, "--replicas", &replicas.to_string()]).map(drop)
    }

    /// Runs it with this as standard input; its standard output.
    ///
    /// # Errors
    /// Where it fails, with what it says.
    pub fn feed(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("starting kubectl")?;
        let written = child.stdin.take().expect("it is a pipe").write_all(input.as_bytes());
        let output = child.wait_with_output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {arguments:?}: {}\n{input}", complaint.trim());
        written.context("feeding kubectl")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
