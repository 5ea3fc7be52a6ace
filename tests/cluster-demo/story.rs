//! The story, step by step.

use std::{
    io::Write as _,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use gateway_tests::{
    Cluster, came_true,
    cluster::{PATIENCE, SYSTEM},
};

use crate::{
    paths::Paths,
    screen::Screen,
    stage::{ARTIFACT, GATEWAY, NAMESPACE, NEW, OLD, Stage, route},
};

/// How long a step is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As briefly as a share can be judged.
    Check,
    /// Long enough to watch.
    Show,
}

impl Pace {
    /// Samples of a step on each way in, and the least time it takes.
    fn step(self) -> (u64, Duration) {
        match self {
            Self::Check => (240, Duration::ZERO),
            Self::Show => (400, Duration::from_secs(10)),
        }
    }
}

/// Everything that a step needs.
struct Teller {
    stage: Stage,
    paths: Paths,
    screen: Screen,
    pace: Pace,
}

/// Tells it on that cluster.
///
/// # Errors
/// The first thing that is not as promised.
pub fn tell(cluster: Cluster, pace: Pace, keep: bool) -> Result<()> {
    let mut screen = Screen::new();
    let began = Instant::now();
    let nodes = cluster.nodes()?.len();
    screen.heading(&format!("Weir is installed on {nodes} nodes: an agent on each, two controllers"));
    screen.command("kubectl apply -k deploy/overlays/testbed");
    let stage = Stage::build(cluster)?;
    screen.say(&stage.cluster.kubectl().run(&["-n", SYSTEM, "get", "pods", "-o", "wide"])?);
    let paths = begin(&stage, &mut screen)?;
    let mut teller = Teller { stage, paths, screen, pace };
    teller.watch(0.0)?;
    teller.appear()?;
    teller.try_with_firefox()?;
    for (weight, why) in [(5, "5 % of everyone"), (50, "Half of everyone"), (100, "Everyone")] {
        teller.weigh(weight, why)?;
    }
    for (replicas, why) in [(8, "More pods"), (3, "Fewer pods")] {
        teller.scale(replicas, why)?;
    }
    teller.remove_old()?;
    teller.restart_agents()?;
    teller.drain()?;
    teller.end(began, keep)
}

/// The first version, its gateway, and everybody who asks it.
fn begin(stage: &Stage, screen: &mut Screen) -> Result<Paths> {
    screen.heading(&format!(
        "{OLD} is deployed, and a gateway: it is the only Service that the application has"
    ));
    screen.command(&format!("kubectl -n {NAMESPACE} apply -f foo-{OLD}.yaml"));
    stage.deploy(OLD, 2)?;
    screen.command(&format!("weir apply -n {NAMESPACE} -f foo-ingress.yaml"));
    screen.say(ARTIFACT);
    apply(stage)?;
    stage.wait_for_route(OLD, "100%", 2)?;
    let look = ["-n", NAMESPACE, "get", "wgw,services,endpointslices"];
    screen.command(&format!("kubectl {}", look.join(" ")));
    screen.say(&stage.cluster.kubectl().run(&look)?);
    Paths::open(stage)
}

fn apply(stage: &Stage) -> Result<()> {
    let mut command = stage.cluster.weir_command()?;
    command.args(["apply", "-n", NAMESPACE, "-f", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("starting weir apply")?;
    child.stdin.take().expect("it is a pipe").write_all(ARTIFACT.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "weir apply: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

impl Teller {
    fn appear(&mut self) -> Result<()> {
        self.screen.heading(&format!("{NEW} is deployed: its route appears at 0 %, nobody gets it"));
        self.screen.command(&format!("kubectl -n {NAMESPACE} apply -f foo-{NEW}.yaml"));
        self.stage.deploy(NEW, 2)?;
        self.stage.wait_for_route(NEW, "0%", 2)?;
        self.watch(0.0)
    }

    fn try_with_firefox(&mut self) -> Result<()> {
        self.screen.heading(&format!("Firefox users get {NEW}, by a condition; everyone else stays"));
        let (route, condition) = (route(NEW), "User-Agent is Firefox");
        self.screen.command(&format!("weir condition {GATEWAY} '{route}' '{condition}'"));
        self.stage.weir(&["condition", GATEWAY, &route, condition])?;
        self.paths.add_firefox(&self.stage)?;
        self.watch(0.0)
    }

    fn weigh(&mut self, new: u8, why: &str) -> Result<()> {
        self.screen.heading(why);
        let shares =
            [(OLD, 100 - new), (NEW, new)].map(|(version, share)| format!("{}={share}%", route(version)));
        self.screen.command(&format!("weir weight {GATEWAY} '{}' '{}'", shares[0], shares[1]));
        self.stage.weir(&["weight", GATEWAY, &shares[0], &shares[1]])?;
        self.watch(f64::from(new) / 100.0)
    }

    fn scale(&mut self, replicas: u32, why: &str) -> Result<()> {
        self.screen.heading(&format!("{why} of {NEW}: {replicas}"));
        let deployment = format!("deployment/foo-{NEW}");
        self.screen.command(&format!("kubectl -n {NAMESPACE} scale {deployment} --replicas {replicas}"));
        self.stage.cluster.kubectl().scale(NAMESPACE, &deployment, replicas)?;
        self.stage.wait_for_route(NEW, "100%", u64::from(replicas))?;
        self.watch(1.0)
    }

    fn remove_old(&mut self) -> Result<()> {
        self.screen.heading(&format!("{OLD} is deleted; its route keeps its settings for a while"));
        self.screen.command(&format!("kubectl -n {NAMESPACE} delete deployment foo-{OLD}"));
        self.stage.remove(OLD)?;
        self.stage.wait_for_routes(&format!("without endpoints of {OLD}"), |routes| {
            routes.iter().all(|one| one.name != route(OLD) || one.total == 0)
        })?;
        self.watch(1.0)
    }

    fn restart_agents(&mut self) -> Result<()> {
        self.screen
            .heading("All agents are restarted, node by node: the new one takes over from the old one");
        self.screen.command(&format!("kubectl -n {SYSTEM} rollout restart daemonset/weir-agent"));
        self.stage.cluster.kubectl().run(&["-n", SYSTEM, "rollout", "restart", "daemonset/weir-agent"])?;
        self.stage.cluster.rolled_out(SYSTEM, "daemonset/weir-agent")?;
        self.watch(1.0)
    }

    fn drain(&mut self) -> Result<()> {
        let (nodes, home) = (self.stage.cluster.nodes()?, self.stage.home()?);
        let Some(node) = nodes.iter().rfind(|node| node.name != home) else { return Ok(()) };
        self.screen.heading(&format!("Node {} is drained, and taken back", node.name));
        let patience = format!("{}s", PATIENCE.as_secs());
        let drain =
            ["drain", &node.name, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout", &patience];
        self.screen.command(&format!("kubectl {}", drain[..3].join(" ")));
        let kubectl = self.stage.cluster.kubectl().clone();
        kubectl.run(&drain)?;
        self.stage.wait_for_route(NEW, "100%", 3)?;
        self.watch(1.0)?;
        self.screen.command(&format!("kubectl uncordon {}", node.name));
        kubectl.run(&["uncordon", &node.name]).map(drop)
    }

    /// Watches until each way in has its samples, and judges them: `weight` is the share of the new version.
    fn watch(&mut self, weight: f64) -> Result<()> {
        self.paths.check_none_failed()?;
        self.paths.begin()?;
        let (samples, least) = self.pace.step();
        let from = Instant::now();
        let mut drawn = Instant::now();
        let mut seen = self.paths.seen()?;
        let done = came_true(PATIENCE, || {
            if drawn.elapsed() < Duration::from_millis(500) {
                return false;
            }
            drawn = Instant::now();
            if let Ok(now) = self.paths.seen() {
                seen = now;
            }
            if self.screen.live {
                self.screen.tables(&self.stage.routes().unwrap_or_default(), &seen, false);
            }
            let has_samples = seen.iter().all(|seen| seen.tally.ok + seen.tally.failed >= samples);
            has_samples && from.elapsed() >= least
        });
        self.screen.tables(&self.stage.routes()?, &seen, true);
        seen.iter().try_for_each(|seen| seen.check(weight))?;
        ensure!(done, "a way in has not {samples} answers after {PATIENCE:?}");
        Ok(())
    }

    fn end(self, began: Instant, keep: bool) -> Result<()> {
        let Self { stage, paths, mut screen, .. } = self;
        screen.heading("What it was");
        for (name, tally) in paths.close()? {
            tally.check_none_failed().with_context(|| name.clone())?;
            let clients: Vec<_> = tally.by_client.keys().take(4).map(String::as_str).collect();
            screen.say(&format!("{name}: {} requests, 0 failed; pods saw {}", tally.ok, clients.join(", ")));
        }
        stage.clear()?;
        screen.say("The gateway is deleted, and its Service and slices are gone.");
        if !keep {
            screen.heading("Weir is taken off the cluster");
            screen.command("kubectl delete -k deploy/base; kubectl apply -k deploy/uninstall");
            stage.uninstall()?;
            screen.say("Nothing of it is left: no object, no program, map, route or file on any node.");
        }
        screen.say(&format!("It took {} s.", began.elapsed().as_secs()));
        Ok(())
    }
}
