//! A load, `weir-app load`, on the client outside the cluster, on a node, or in a pod; and what it has counted.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Cluster, Kubectl, PATIENCE, app};
use crate::{agent, wait::came_true};

/// A load says what it has counted each second; on a busy machine it may be late.
const LATE: Duration = Duration::from_secs(30);

/// A line is shorter than this.
const END: u64 = 64 * 1024;

/// A load that goes on until it is stopped.
#[derive(Debug)]
pub struct Load {
    what: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A process of this machine, in whichever namespace.
    Process { child: Child, last: Arc<Mutex<Option<Value>>>, reader: Option<thread::JoinHandle<()>> },
    /// A pod; what it says is read where its node keeps it, so that it takes no API server.
    Pod { kubectl: Kubectl, namespace: String, name: String, log: PathBuf },
}

/// What a load has counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// When it was told, in seconds since 1970.
    pub at: f64,
    /// Sent; what is neither answered nor failed is under way.
    pub sent: u64,
    /// Answered.
    pub ok: u64,
    /// Failed.
    pub failed: u64,
    /// Answers by the version that gave them.
    pub by_version: BTreeMap<String, u64>,
    /// Answers by pod.
    pub by_pod: BTreeMap<String, u64>,
    /// Answers by the client's address as the pod saw it.
    pub by_client: BTreeMap<String, u64>,
    /// The first failures.
    pub failures: Vec<String>,
}

impl Load {
    /// Starts it on the client outside the cluster.
    ///
    /// # Errors
    /// Where it does not begin to count.
    pub fn outside(cluster: &Cluster, arguments: &[&str]) -> Result<Self> {
        Self::start(cluster.client()?.command(weir_app()?), arguments)
    }

    /// Starts `weir-app load` by this command, which leads to wherever it is to run.
    ///
    /// # Errors
    /// Where it does not begin to count.
    pub fn start(mut command: Command, arguments: &[&str]) -> Result<Self> {
        command.arg("load").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting weir-app load")?;
        let out = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let last = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&last);
        let reader = thread::Builder::new().name("load".to_owned()).spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                *shared.lock().expect("nobody panics with it") = serde_json::from_str(&line).ok();
            }
        })?;
        let source = Source::Process { child, last, reader: Some(reader) };
        Self { what: arguments.join(" "), source }.begun()
    }

    /// Starts it in a pod of its own called `name`, on `node` where one is given.
    ///
    /// # Errors
    /// Where it does not begin to count.
    pub fn in_pod(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        node: Option<&str>,
        arguments: &[&str],
    ) -> Result<Self> {
        let kubectl = cluster.kubectl().clone();
        kubectl.apply(&[app::load_pod(namespace, name, node, arguments)])?;
        let is_running = |pod: &Value| pod["status"]["phase"] == "Running";
        let pod = cluster.wait_for(namespace, &format!("pod/{name}"), "running", PATIENCE, is_running)?;
        let uid = pod["metadata"]["uid"].as_str().context("a pod without uid")?;
        let node = cluster.node(pod["spec"]["nodeName"].as_str().context("a pod without node")?)?;
        let log = node.file(&format!("/var/log/pods/{namespace}_{name}_{uid}/app/0.log"))?;
        let source = Source::Pod { kubectl, namespace: namespace.to_owned(), name: name.to_owned(), log };
        Self { what: format!("pod {namespace}/{name}: {}", arguments.join(" ")), source }.begun()
    }

    fn begun(self) -> Result<Self> {
        let counts = came_true(PATIENCE, || self.tally().is_ok());
        let said = self.tally().with_context(|| format!("load {} does not begin", self.what));
        said.map(drop)?;
        ensure!(counts, "load {} does not begin", self.what);
        Ok(self)
    }

    /// What it has counted, as it said last.
    ///
    /// # Errors
    /// Where it has said nothing yet.
    pub fn tally(&self) -> Result<Tally> {
        let said = match &self.source {
            Source::Process { last, .. } => {
                last.lock().expect("nobody panics with it").clone().context("it has said nothing yet")?
            }
            Source::Pod { log, .. } => last_said(log)?,
        };
        Ok(Tally::read(&said))
    }

    /// What it had counted at some moment after now.
    ///
    /// # Errors
    /// Where it has fallen silent.
    pub fn from_now(&self) -> Result<Tally> {
        self.after(SystemTime::now())
    }

    /// What it had counted at some moment after `moment`.
    ///
    /// # Errors
    /// Where it has fallen silent.
    pub fn after(&self, moment: SystemTime) -> Result<Tally> {
        let wait = LATE + moment.duration_since(SystemTime::now()).unwrap_or_default();
        let moment = moment.duration_since(UNIX_EPOCH)?.as_secs_f64();
        let mut last = self.tally()?;
        let came = came_true(wait, || {
            if let Ok(tally) = self.tally() {
                last = tally;
            }
            last.at > moment
        });
        ensure!(came, "load {} has said nothing for {wait:?}: {last:?}", self.what);
        Ok(last)
    }

    /// What it has counted since `from`, as soon as that is `count` answers or failures.
    ///
    /// # Errors
    /// Where it takes too long.
    pub fn since(&self, from: &Tally, count: u64) -> Result<Tally> {
        let mut counted = Tally::default();
        let came = came_true(PATIENCE, || {
            counted = self.tally().map(|tally| tally.since(from)).unwrap_or_default();
            counted.ok + counted.failed >= count
        });
        ensure!(came, "load {}: not {count} answers in {PATIENCE:?}: {counted:?}", self.what);
        Ok(counted)
    }

    /// Ends it; all that it has counted.
    ///
    /// # Errors
    /// Where it does not end well.
    pub fn stop(mut self) -> Result<Tally> {
        match &mut self.source {
            Source::Process { child, reader, .. } => {
                kill_process(pid(child), Signal::TERM)?;
                let status = child.wait()?;
                if let Some(reader) = reader.take() {
                    let _ = reader.join();
                }
                ensure!(status.success(), "load {}: {status}", self.what);
                self.tally()
            }
            Source::Pod { .. } => self.from_now(),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        match &mut self.source {
            Source::Process { child, reader, .. } => {
                let _ = child.kill();
                let _ = child.wait();
                if let Some(reader) = reader.take() {
                    let _ = reader.join();
                }
            }
            Source::Pod { kubectl, namespace, name, .. } => {
                let _ = kubectl.run(&["-n", namespace, "delete", "pod", name, "--now", "--wait=false"]);
            }
        }
    }
}

impl Tally {
    pub(super) fn read(said: &Value) -> Self {
        let number = |name: &str| said[name].as_u64().unwrap_or(0);
        let counts = |name: &str| {
            let each = said[name].as_object().into_iter().flatten();
            each.map(|(key, count)| (key.clone(), count.as_u64().unwrap_or(0))).collect()
        };
        Self {
            at: said["at"].as_f64().unwrap_or(0.0),
            sent: number("sent"),
            ok: number("ok"),
            failed: number("failed"),
            by_version: counts("by_version"),
            by_pod: counts("by_pod"),
            by_client: counts("by_client"),
            failures: said["failures"].as_array().into_iter().flatten().map(ToString::to_string).collect(),
        }
    }

    /// What was counted after `earlier`; failures are told from the beginning.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            let each = now.iter().map(|(key, count)| (key.clone(), count - then.get(key).unwrap_or(&0)));
            each.filter(|(_, count)| *count > 0).collect()
        };
        Self {
            at: self.at,
            sent: self.sent - earlier.sent,
            ok: self.ok - earlier.ok,
            failed: self.failed - earlier.failed,
            by_version: less(&self.by_version, &earlier.by_version),
            by_pod: less(&self.by_pod, &earlier.by_pod),
            by_client: less(&self.by_client, &earlier.by_client),
            failures: self.failures.clone(),
        }
    }

    /// Answers of a version.
    pub fn of(&self, version: &str) -> u64 {
        self.by_version.get(version).copied().unwrap_or(0)
    }

    /// Fails where anything has failed.
    ///
    /// # Errors
    /// With the first failures.
    pub fn check_none_failed(&self) -> Result<()> {
        ensure!(self.failed == 0, "{} of {} failed: {}", self.failed, self.sent, self.failures.join("\n"));
        Ok(())
    }

    /// Fails where the share of `version` is not `weight` (of 1), within chance: one choice each, four standard
    /// deviations; nothing where the weight is 0 or 1.
    ///
    /// # Errors
    /// With the counts.
    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub fn check_share(&self, version: &str, weight: f64) -> Result<()> {
        let (count, got) = (self.ok as f64, self.of(version) as f64);
        let spread = (count * weight * (1.0 - weight)).sqrt();
        let allowed = if spread > 0.0 { 4.0 * spread + 1.0 } else { 0.0 };
        if self.ok == 0 || (got - count * weight).abs() > allowed {
            bail!("{got} of {count} answers are of {version} at {} %: {self:?}", weight * 100.0);
        }
        Ok(())
    }
}

/// The last line in a log as a node keeps it: `TIME stdout F LINE`. Nothing but the end of it is read.
fn last_said(log: &Path) -> Result<Value> {
    let mut file = File::open(log).with_context(|| format!("opening {}", log.display()))?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    // The last line may be half written.
    let whole = end.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let said = whole.lines().rev().find_map(|line| serde_json::from_str(line.split_once(" F ")?.1).ok());
    said.with_context(|| format!("nothing in {}", log.display()))
}

/// The binary: what `WEIR_APP_BIN` names (`cargo xtask` sets it), else built by cargo.
///
/// # Errors
/// Where it cannot be built.
pub fn weir_app() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| match std::env::var_os("WEIR_APP_BIN") {
        Some(path) => Ok(PathBuf::from(path)),
        None => agent::build("gateway-tests", "weir-app").map_err(|error| format!("{error:#}")),
    });
    built.as_deref().map_err(|error| anyhow::anyhow!("building weir-app: {error}"))
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(old: u64, new: u64) -> Tally {
        let by_version = [("old".to_owned(), old), ("new".to_owned(), new)].into();
        Tally { sent: old + new, ok: old + new, by_version, ..Tally::default() }
    }

    #[test]
    fn shares_are_judged_within_chance_and_extremes_exactly() {
        tally(952, 48).check_share("new", 0.05).unwrap();
        assert!(tally(800, 200).check_share("new", 0.05).is_err());
        tally(1000, 0).check_share("new", 0.0).unwrap();
        assert!(tally(999, 1).check_share("new", 0.0).is_err());
        assert!(tally(1, 999).check_share("new", 1.0).is_err());
        assert!(tally(0, 0).check_share("new", 0.0).is_err(), "nothing is no share");
    }

    #[test]
    fn what_is_counted_later_is_the_difference() {
        let later = tally(10, 7).since(&tally(10, 2));
        assert_eq!((later.ok, later.of("new"), later.of("old")), (5, 5, 0));
        assert_eq!(later.by_version.len(), 1);
    }

    #[test]
    fn failures_are_told() {
        let failed = Tally { sent: 3, failed: 1, failures: vec!["refused".to_owned()], ..Tally::default() };
        assert!(failed.check_none_failed().unwrap_err().to_string().contains("refused"));
    }
}
