//! The data plane of a lab's node, driven from the test as the agent would drive it.

use std::{path::PathBuf, time::Duration};

use gateway_tests::{Lab, Netns, lab::Pod, wait_until};
use weir::dataplane::{Applied, Dataplane, Options, Stats, Ticked};

use crate::plan::Shop;

/// The data plane in the node's namespace.
#[derive(Debug)]
pub struct Node {
    netns: Netns,
    pin_dir: PathBuf,
    options: Options,
    dataplane: Option<Dataplane>,
}

impl Node {
    /// Attached to every uplink of the lab.
    pub fn open(lab: &Lab) -> Self {
        Self::open_with(lab, |options| options)
    }

    /// With other options than the default.
    pub fn open_with(lab: &Lab, adjust: impl FnOnce(Options) -> Options) -> Self {
        let uplinks = lab.uplinks();
        let options = Options { scan_interval: Duration::ZERO, ..Options::new(uplinks) };
        let (netns, pin_dir) = (lab.node.clone(), lab.name().pin_dir());
        let mut node = Self { netns, pin_dir, options: adjust(options), dataplane: None };
        node.start();
        node
    }

    /// As a new agent does: adopts what is pinned.
    pub fn start(&mut self) {
        let options = self.options.clone();
        let dataplane = self.netns.run(|| Dataplane::open(&self.pin_dir, options));
        self.dataplane = Some(dataplane.unwrap_or_else(|error| panic!("{error}")));
    }

    /// As an agent that dies: nothing is undone.
    pub fn die(&mut self) {
        self.dataplane = None;
    }

    /// Calls the data plane on a thread in the node's namespace.
    pub fn with<T: Send>(&mut self, work: impl FnOnce(&mut Dataplane) -> T + Send) -> T {
        let dataplane = self.dataplane.as_mut().expect("the data plane is open");
        self.netns.run(|| work(dataplane))
    }

    /// Applies a plan, and checks that the kernel then holds it.
    pub fn apply(&mut self, shop: &Shop) -> Applied {
        let plan = shop.plan();
        self.with(|dataplane| {
            let applied = dataplane.apply(&plan).unwrap();
            assert_eq!(dataplane.dump().unwrap().differences, Vec::<String>::new());
            applied
        })
    }

    /// Says that these pods are the node's own.
    pub fn own(&mut self, pods: &[Pod]) {
        let addresses = pods.iter().flat_map(|pod| [pod.v4.into(), pod.v6.into()]).collect();
        self.with(|dataplane| dataplane.set_node_pods(&addresses).unwrap());
    }

    /// One second of an agent's life.
    pub fn tick(&mut self) -> Ticked {
        self.with(|dataplane| dataplane.tick().unwrap())
    }

    /// All counters.
    pub fn stats(&mut self) -> Stats {
        self.with(|dataplane| dataplane.stats().unwrap())
    }

    /// Ticks until `done`.
    #[track_caller]
    pub fn tick_until(
        &mut self,
        deadline: Duration,
        what: &str,
        mut done: impl FnMut(&mut Self, Ticked) -> bool,
    ) {
        wait_until(deadline, what, || {
            let ticked = self.tick();
            done(self, ticked)
        });
    }
}
