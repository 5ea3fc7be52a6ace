//! The ways in, each under a load of its own from the beginning to the end.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use gateway_tests::cluster::{Load, Tally};

use crate::stage::{HOST, NAMESPACE, NEW, Stage};

/// Loads of the story; more would measure the machine.
const RATE: &str = "30/s";
/// Connections begun this soon after an acknowledgement are not counted: they may have been under way.
const SETTLE: Duration = Duration::from_millis(500);

/// A way in, and its load.
#[derive(Debug)]
pub struct Path {
    pub name: String,
    load: Load,
    /// Whether each request is a choice: on a connection that is kept below L7 only the first is.
    pub chooses: bool,
    /// Whether a condition captures it.
    pub captured: bool,
    /// What it had counted when the step began.
    from: Tally,
}

/// What a way in has counted in a step.
#[derive(Clone, Debug)]
pub struct Seen {
    pub name: String,
    pub tally: Tally,
    pub chooses: bool,
    pub captured: bool,
}

/// All ways in.
#[derive(Debug)]
pub struct Paths(Vec<Path>);

impl Paths {
    /// Starts the loads.
    pub fn open(stage: &Stage) -> Result<Self> {
        let mut paths = Self(Vec::new());
        for address in [stage.node_ports(0)?, stage.node_ports(1)?].concat() {
            let name = format!("outside, node port at {}", address.ip());
            paths.outside(stage, &name, address, &["--fresh"])?;
        }
        paths.outside(stage, "outside, connections kept", stage.node_ports(1)?[0], &[])?;
        paths.0.last_mut().context("it was just added")?.chooses = false;
        for shared in stage.shared()? {
            paths.outside(
                stage,
                &format!("outside, {HOST} at {shared}"),
                shared,
                &["--host-header", HOST],
            )?;
        }
        let within = format!("http://{}/", stage.in_cluster()?);
        for (name, fresh) in [("asks", true), ("keeps", false)] {
            let mut arguments = vec!["--url", &within, "--rate", RATE];
            arguments.extend(fresh.then_some("--fresh"));
            let load = Load::in_pod(&stage.cluster, NAMESPACE, name, Some(&stage.home()?), &arguments)?;
            let how = if fresh { "" } else { ", connections kept" };
            paths.add(&format!("pod, by DNS name{how}"), load, fresh, false)?;
        }
        Ok(paths)
    }

    /// Adds users of Firefox, whom the condition captures.
    pub fn add_firefox(&mut self, stage: &Stage) -> Result<()> {
        let to = format!("http://{}/", stage.node_ports(0)?[0]);
        let firefox = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let load =
            Load::outside(&stage.cluster, &["--url", &to, "--rate", RATE, "--fresh", "--header", firefox])?;
        self.add("outside, Firefox", load, true, true)
    }

    fn outside(&mut self, stage: &Stage, name: &str, to: SocketAddr, more: &[&str]) -> Result<()> {
        let url = format!("http://{to}/");
        let arguments = [&["--url", url.as_str(), "--rate", RATE], more].concat();
        self.add(name, Load::outside(&stage.cluster, &arguments)?, true, false)
    }

    fn add(&mut self, name: &str, load: Load, chooses: bool, captured: bool) -> Result<()> {
        let from = load.tally()?;
        self.0.push(Path { name: name.to_owned(), load, chooses, captured, from });
        Ok(())
    }

    /// A step begins: what is counted in it, is counted from now on.
    pub fn begin(&mut self) -> Result<()> {
        let settled = SystemTime::now() + SETTLE;
        for path in &mut self.0 {
            path.from = path.load.after(settled)?;
        }
        Ok(())
    }

    /// What was counted since the step began.
    pub fn seen(&self) -> Result<Vec<Seen>> {
        let one = |path: &Path| -> Result<Seen> {
            let tally = path.load.tally()?.since(&path.from);
            Ok(Seen { name: path.name.clone(), tally, chooses: path.chooses, captured: path.captured })
        };
        self.0.iter().map(one).collect()
    }

    /// Fails where anything has failed since the beginning.
    pub fn check_none_failed(&self) -> Result<()> {
        self.0
            .iter()
            .try_for_each(|path| path.load.tally()?.check_none_failed().with_context(|| path.name.clone()))
    }

    /// Ends the loads; what each has counted from the beginning.
    pub fn close(self) -> Result<Vec<(String, Tally)>> {
        self.0.into_iter().map(|path| Ok((path.name, path.load.stop()?))).collect()
    }
}

impl Seen {
    /// Fails where the share of the new version is not `weight`, of 1.
    pub fn check(&self, weight: f64) -> Result<()> {
        self.tally.check_none_failed().with_context(|| self.name.clone())?;
        let weight = if self.captured { 1.0 } else { weight };
        if self.chooses || weight <= 0.0 {
            self.tally.check_share(NEW, weight).with_context(|| self.name.clone())?;
        }
        Ok(())
    }
}
