//! The agent under test: the binary `weir` in the node's namespace, and its command line.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    client::http::{Asker, get},
    lab::Lab,
    name::Name,
    netns::{Netns, run},
    teardown::cgroup_root,
    wait::came_true,
};

/// Ready after its start: the issue promises 10 s; a debug build on a busy machine gets more.
const READY: Duration = Duration::from_secs(30);
/// Where metrics and health are served, in the node's namespace.
const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9191);

/// The agent of a lab. Killed when dropped; what it pinned goes with the lab.
#[derive(Debug)]
pub struct Agent {
    node: Netns,
    name: Name,
    dir: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
    log: PathBuf,
    admin: String,
    /// Its control group.
    cgroup: Option<PathBuf>,
}

impl Agent {
    /// An agent that serves on every uplink of `lab`; not started yet. Its files are `gateways.yaml` and
    /// `workloads.yaml` in the lab's folder, both empty.
    pub fn new(lab: &Lab) -> Result<Self> {
        let dir = lab.dir();
        let mut agent = Self {
            node: lab.node.clone(),
            name: lab.name().clone(),
            log: dir.join("agent.log"),
            arguments: Vec::new(),
            admin: format!("unix:{}", dir.join("admin.sock").display()),
            child: None,
            cgroup: cgroup_root().map(|root| root.join(lab.name().as_str())),
            dir,
        };
        for client in &lab.clients {
            agent.arguments.extend(["--interface".to_owned(), client.uplink.clone()]);
        }
        agent.write_config("")?;
        agent.write_workloads("[]")?;
        Ok(agent)
    }

    /// Adds arguments to `weir run`.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Lets it serve the sockets of all processes of the lab's node, itself one of them.
    ///
    /// # Errors
    /// Where there is no cgroup2.
    pub fn with_services(mut self, lab: &Lab) -> Result<Self> {
        let root = lab.cgroup()?;
        self.arguments.extend(["--services-cgroup".to_owned(), root.display().to_string()]);
        self.cgroup = Some(root.join("agent"));
        Ok(self)
    }

    /// Lets it listen for operators on `address` instead of a unix socket in the lab's folder.
    #[must_use]
    pub fn with_admin(mut self, address: &str) -> Self {
        address.clone_into(&mut self.admin);
        self
    }

    /// Replaces the file of gateways, by rename.
    pub fn write_config(&self, text: &str) -> Result<()> {
        replace(&self.config(), text)
    }

    /// Replaces the file of workloads, by rename.
    pub fn write_workloads(&self, text: &str) -> Result<()> {
        replace(&self.workloads(), text)
    }

    /// The file of gateways.
    pub fn config(&self) -> PathBuf {
        self.dir.join("gateways.yaml")
    }

    /// The file of workloads.
    pub fn workloads(&self) -> PathBuf {
        self.dir.join("workloads.yaml")
    }

    /// The folder of its state.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The value of `--admin` and `WEIR_ADMIN`.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Where its pins are.
    pub fn pin_dir(&self) -> PathBuf {
        self.name.pin_dir()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The command `weir run` for this agent, as [`Agent::start`] would run it.
    pub fn run_command(&self) -> Result<Command> {
        let mut command = self.node.command(weir()?);
        command
            .arg("run")
            .args(["--config".as_ref(), self.config().as_os_str()])
            .args(["--workloads".as_ref(), self.workloads().as_os_str()])
            .args(["--state-dir".as_ref(), self.state_dir().as_os_str()])
            .args(["--pin-dir".as_ref(), self.pin_dir().as_os_str()])
            .args(["--admin", &self.admin])
            .args(["--metrics", &METRICS.to_string()])
            .args(&self.arguments);
        if let Some(cgroup) = &self.cgroup {
            command.args(["--cgroup".as_ref(), cgroup.as_os_str()]);
        }
        Ok(command)
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// Where it ends or is not ready in time; with what it logged.
    pub fn start(&mut self) -> Result<()> {
        let child = self.spawn()?;
        self.child = Some(child);
        self.wait_ready()
    }

    /// Starts another process on the same pins: the successor. It replaces the one that runs, whose exit is
    /// waited for.
    ///
    /// # Errors
    /// Where the successor is not ready, or the old one does not leave with status 0.
    pub fn replace(&mut self) -> Result<()> {
        let mut old = self.child.take().context("no agent runs that could be succeeded")?;
        self.child = Some(self.spawn()?);
        ensure!(
            came_true(READY, || matches!(old.try_wait(), Ok(Some(_)))),
            "the old agent still runs\n{}",
            self.log()
        );
        let status = old.wait()?;
        ensure!(status.success(), "the old agent left with {status}\n{}", self.log());
        self.wait_ready()
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("no agent runs")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ends it with SIGTERM and waits for it.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        let mut child = self.child.take().context("no agent runs")?;
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        if !came_true(READY, || matches!(child.try_wait(), Ok(Some(_)))) {
            child.kill()?;
            bail!("still running {READY:?} after SIGTERM\n{}", self.log());
        }
        Ok(child.wait()?)
    }

    /// Process id of the one that runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Runs `weir ARGUMENTS` against it; its standard output.
    ///
    /// # Errors
    /// Where it exits with another status than 0, with what it wrote.
    pub fn cli(&self, arguments: &[&str]) -> Result<String> {
        run(self.cli_command(arguments)?.stdin(Stdio::null()))
    }

    /// Runs `weir ARGUMENTS -o json` against it.
    pub fn json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let text = self.cli(&[arguments, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("weir {}: {text}", arguments.join(" ")))
    }

    /// The command `weir ARGUMENTS` in the node's namespace, with `WEIR_ADMIN` set.
    pub fn cli_command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.node.command(weir()?);
        command.args(arguments).env("WEIR_ADMIN", &self.admin);
        Ok(command)
    }

    /// `GET path` from where metrics and health are served: status and body.
    ///
    /// # Errors
    /// Where nothing answers.
    pub fn fetch(&self, path: &str) -> Result<(u16, String)> {
        let asker = Asker { class: "operator", host: "localhost", user_agent: "gateway-tests" };
        let response = get(&self.node, METRICS, path, asker).map_err(anyhow::Error::msg)?;
        Ok((response.status, String::from_utf8_lossy(&response.body).into_owned()))
    }

    /// Detaches and unpins everything, as `weir uninstall` does.
    pub fn uninstall(&self) -> Result<String> {
        run(self
            .node
            .command(weir()?)
            .arg("uninstall")
            .args(["--pin-dir".as_ref(), self.pin_dir().as_os_str()]))
    }

    fn spawn(&self) -> Result<Child> {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = self.run_command()?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Out of the terminal's process group: Ctrl-C is for whoever runs the lab.
        command.process_group(0);
        command.spawn().context("starting weir run")
    }

    fn wait_ready(&mut self) -> Result<()> {
        let mut ended = None;
        let ready = came_true(READY, || {
            ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            ended.is_some() || matches!(self.fetch("/readyz"), Ok((200, _)))
        });
        if let Some(status) = ended {
            self.child = None;
            bail!("weir run ended with {status}\n{}", self.log());
        }
        let last = self.fetch("/readyz");
        ensure!(ready, "weir run not ready after {READY:?}: {last:?}\n{}", self.log());
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.child.is_some() {
            let _ = self.kill();
        }
        if std::thread::panicking() {
            eprintln!("--- log of the agent of {}\n{}", self.name, self.log());
        }
    }
}

/// The binary: what `WEIR_BIN` names (`cargo xtask` sets it), else built by cargo, once per process, so that
/// `cargo test` never runs an old one.
pub fn weir() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| match env::var_os("WEIR_BIN") {
        Some(path) => Ok(PathBuf::from(path)),
        None => build("gateway-user", "weir").map_err(|error| format!("{error:#}")),
    });
    built.as_deref().map_err(|error| anyhow::anyhow!("building weir: {error}"))
}

/// Builds a binary of the workspace; where it is.
pub(crate) fn build(package: &str, name: &str) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let messages = run(Command::new(cargo).current_dir(root).args([
        "build",
        "--quiet",
        "--package",
        package,
        "--bin",
        name,
        "--message-format",
        "json",
    ]))?;
    let path = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    path.context("cargo named no executable")
}

fn replace(path: &Path, text: &str) -> Result<()> {
    let next = path.with_extension("next");
    fs::write(&next, text).with_context(|| format!("writing {}", next.display()))?;
    fs::rename(&next, path).with_context(|| format!("replacing {}", path.display()))
}
