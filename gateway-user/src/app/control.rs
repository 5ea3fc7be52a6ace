//! The control task's state: what is desired, what is in force, and the hands that put it there.
//!
//! Everything here is done by one task, one thing after the other. A change is worked out, stored, put into the
//! kernel, then given to the proxy; whoever asked for it is answered after that.

mod announce;
mod change;
mod follow;
mod phase;
mod status;

use std::{collections::BTreeSet, net::IpAddr, os::fd::OwnedFd, sync::Arc, time::Instant};

use gateway_model::{discovery::Kept, finding::Finding};

use self::{announce::Announcing, follow::Convergence};
use super::{
    declared::Declared,
    desired::{Desired, FindingLog, Node},
    kernel::{Kernel, KernelGone},
    mark::Marks,
    node,
};
use crate::{
    causes,
    config::Config,
    control::agent::{
        acknowledge::{Acknowledgement, Acknowledger},
        announce::Announcer,
    },
    dataplane::{self, Dataplane, Loaded, Reach},
    proxy::{self, Family, Proxy},
    state::StateFolder,
};

pub(super) use phase::{Loading, Phase};

/// What an agent says to the cluster.
#[derive(Debug, Default)]
pub(super) struct Voices {
    /// What this node has in force.
    pub(super) acknowledger: Option<Acknowledger>,
    /// For which addresses it answers on its network.
    pub(super) announcer: Option<Announcer>,
}

/// The agent.
pub(super) struct Control {
    config: Config,
    state: StateFolder,
    /// What the state folder holds.
    stored: Kept,
    desired: Desired,
    node: Node,
    phase: Phase,
    proxy: Proxy,
    marks: Arc<Marks>,
    /// The generation that the kernel and the proxy hold.
    in_force: u64,
    /// Why they do not hold what they should.
    trouble: Option<String>,
    /// Endpoints of kernel gateways that no route leads to.
    unreachable: Vec<Finding>,
    log: FindingLog,
    started: Instant,
    is_broken: bool,
    /// Addresses of Services that have a local route because of us; `None`: to be looked at again.
    local_routes: Option<Arc<BTreeSet<IpAddr>>>,
    /// The node's pods that the data plane knows.
    told_pods: Option<Arc<BTreeSet<IpAddr>>>,
    /// How long changes of the cluster took to be in force.
    convergence: Convergence,
    /// Tells the cluster what this node has in force.
    acknowledger: Option<Acknowledger>,
    /// What it was told last.
    said: Acknowledgement,
    /// Decides with other nodes who answers for addresses of pools.
    announcing: Option<Announcing>,
}

impl Control {
    /// Opens what is loaded, starts the proxy, and puts what is declared in force.
    ///
    /// # Errors
    /// Where anything of that fails: an agent starts whole or not at all.
    pub(super) async fn start(
        config: Config,
        loaded: Loaded,
        declared: Declared,
        state: StateFolder,
        kept: Kept,
        voices: Voices,
    ) -> anyhow::Result<Self> {
        let kernel = Kernel::open(loaded, phase::options(&config)?).await?;
        let marks = Marks::new(kernel.call(|dataplane| dataplane.marker())?);
        // Where this node's sequences of weighted picks begin: nodes are not to pick in step.
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        let proxy_config = proxy::Config { seed, ..proxy::Config::default() };
        let proxy = Proxy::start(proxy_config, Arc::default(), Arc::clone(&marks) as Arc<dyn proxy::Mark>)?;
        let mut control = Self {
            desired: Desired::new(declared, kept.clone(), config.addresses.clone()),
            config,
            state,
            stored: kept,
            node: Node::default(),
            phase: Phase::Serving(kernel),
            proxy,
            marks,
            in_force: 0,
            trouble: None,
            unreachable: Vec::new(),
            log: FindingLog::default(),
            started: Instant::now(),
            is_broken: false,
            local_routes: None,
            told_pods: None,
            convergence: Convergence::default(),
            acknowledger: voices.acknowledger,
            said: Acknowledgement::default(),
            announcing: voices.announcer.map(Announcing::new),
        };
        control.refresh();
        if let Some(trouble) = control.trouble.take() {
            anyhow::bail!(trouble);
        }
        control.hand_over_listeners()?;
        Ok(control)
    }

    /// What is declared.
    pub(super) fn declared(&mut self) -> &mut Declared {
        &mut self.desired.declared
    }

    /// The proxy.
    pub(super) fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Works everything out anew and puts it in force. What goes wrong is kept as trouble, and tried again with
    /// the next call; while another agent takes over, nothing is done.
    pub(super) fn refresh(&mut self) {
        if self.phase.kernel().is_none() {
            return;
        }
        let done = self.try_refresh();
        self.note(done);
        // Devices may have come or gone.
        self.said.phase.clear();
        self.tell();
    }

    /// Does what is due by the clock: ports that others opened or closed, routes that expire, another try.
    pub(super) async fn tick(&mut self) {
        if self.phase.kernel().is_none() {
            return self.try_to_recover().await;
        }
        let devices = node::follow_addresses(&self.config.interfaces, &self.node.devices);
        let node_changed = devices != self.node.devices || self.listening() != self.node.listening;
        if node_changed || self.trouble.is_some() || self.desired.is_due() {
            self.refresh();
        }
    }

    /// What the world says is followed even where it cannot be stored: traffic first.
    fn try_refresh(&mut self) -> anyhow::Result<()> {
        (self.local_routes, self.told_pods) = (None, None);
        self.look_at_node()?;
        self.desired.work_out(&self.node);
        let stored = self.store();
        self.put_in_force(Extent::Whole)?;
        stored
    }

    /// What someone says is stored before it is in force: else it would be gone with a restart.
    fn try_change(&mut self) -> anyhow::Result<()> {
        self.desired.work_out(&self.node);
        self.store()?;
        self.put_in_force(Extent::Changes)
    }

    fn look_at_node(&mut self) -> anyhow::Result<()> {
        self.node.devices = node::follow_addresses(&self.config.interfaces, &self.node.devices);
        self.node.listening = self.listening();
        self.look_for_endpoints()
    }

    /// In a cluster the ports of gateways are their Services'.
    fn listening(&self) -> BTreeSet<node::Listening> {
        match self.desired.declared {
            Declared::Files(_) => node::listening(),
            Declared::Cluster(_) => BTreeSet::new(),
        }
    }

    fn look_for_endpoints(&mut self) -> anyhow::Result<()> {
        let endpoints = self.desired.declared.addresses_to_find();
        self.node.through_uplink = self.call(|dataplane| through_uplink(dataplane, &endpoints))??;
        Ok(())
    }

    fn store(&mut self) -> anyhow::Result<()> {
        // In a cluster it is the leader's to remember.
        let is_ours = matches!(self.desired.declared, Declared::Files(_));
        if is_ours && self.desired.is_kept_new && *self.desired.kept() != self.stored {
            self.state.store(self.desired.kept())?;
            self.stored = self.desired.kept().clone();
        }
        self.desired.is_kept_new = false;
        Ok(())
    }

    /// What differs from what the data plane was asked for last.
    fn changes(&self) -> dataplane::Changes {
        let gateways = &self.desired.plan().l4.gateways;
        let fresh = self.desired.fresh.iter();
        fresh.map(|key| (key.clone(), gateways.get(key).cloned())).collect()
    }

    /// The kernel first: a connection that the proxy makes is counted for ids that the kernel knows by then.
    fn put_in_force(&mut self, extent: Extent) -> anyhow::Result<()> {
        let generation = self.desired.generation;
        let (addresses, pods) = match &self.desired.declared {
            Declared::Cluster(cluster) => {
                (cluster.virtual_addresses.clone(), Some(cluster.node_pods.clone()))
            }
            Declared::Files(_) => (Arc::default(), None),
        };
        let announced = self.announcing.as_ref().and_then(Announcing::due).cloned();
        let are_known = self.local_routes.as_ref() == Some(&addresses);
        // While it is in doubt what the data plane was asked for last, everything differs.
        let is_in_doubt = self.trouble.is_some() || self.in_force == 0;
        let applied = self.call(|dataplane| {
            if !are_known {
                dataplane.ensure_local_routes(&self.config.addresses.union(&addresses).copied().collect())?;
            }
            if let Some(pods) = pods.as_ref().filter(|pods| self.told_pods.as_ref() != Some(pods)) {
                dataplane.set_node_pods(pods)?;
            }
            let applied = match extent {
                Extent::Changes if !is_in_doubt => dataplane.change(self.changes())?,
                Extent::Changes | Extent::Whole => dataplane.apply(&self.desired.plan().l4)?,
            };
            // Who answers for an address serves it by then.
            if let Some(announced) = &announced {
                dataplane.set_announced(announced)?;
            }
            Ok::<_, dataplane::Error>(applied)
        })??;
        self.desired.fresh.clear();
        self.told_pods = pods;
        self.local_routes = Some(addresses);
        self.note_announced(announced);
        self.proxy.set_table(Arc::clone(&self.desired.plan().l7));
        let unreachable = applied.unreachable.iter().filter_map(unreachable);
        let unreachable = unreachable.chain(applied.rejected.iter().map(rejected)).collect();
        self.desired.are_findings_new |= unreachable != self.unreachable;
        self.unreachable = unreachable;
        if generation != self.in_force {
            self.log_in_force(&applied);
            self.in_force = generation;
        }
        Ok(())
    }

    /// In a cluster endpoints come and go all the time: only the first generation is news.
    fn log_in_force(&self, applied: &dataplane::Applied) {
        let generation = self.desired.generation;
        let gateways = self.desired.resolved().gateways.len();
        let dataplane::Applied { slots, frontends, .. } = applied;
        if self.in_force > 0 && matches!(self.desired.declared, Declared::Cluster(_)) {
            tracing::debug!(generation, gateways, slots, frontends, "in force");
        } else {
            tracing::info!(generation, gateways, slots, frontends, "in force");
        }
    }

    /// Gives the proxy's listening sockets to the kernel.
    fn hand_over_listeners(&mut self) -> anyhow::Result<()> {
        let of = |wanted: Family| -> std::io::Result<Vec<_>> {
            let listeners = self.proxy.listeners().filter(|(family, ..)| *family == wanted);
            listeners.map(|(.., socket)| socket.try_clone_to_owned()).collect()
        };
        let (v4, v6) = (of(Family::V4)?, of(Family::V6)?);
        self.call(|dataplane| dataplane.set_listeners(&v4, &v6))??;
        Ok(())
    }

    /// Takes them back, where no successor's are in their place: whoever connects now is refused by the kernel, and
    /// nobody is in their queues any more when they close.
    pub(super) fn take_back_listeners(&self) {
        if self.phase.kernel().is_none() {
            return;
        }
        let take_back = |dataplane: &mut Dataplane| dataplane.set_listeners::<OwnedFd>(&[], &[]);
        if let Err(error) = self.call(take_back).and_then(|taken| Ok(taken?)) {
            tracing::warn!(
                "connections that are opened while the agent drains may be reset: {}",
                causes::text_of(&error)
            );
        }
    }

    fn call<T>(&self, job: impl FnOnce(&mut Dataplane) -> T) -> anyhow::Result<T> {
        let Some(kernel) = self.phase.kernel() else {
            anyhow::bail!("another agent is taking over from this one")
        };
        Ok(kernel.call(job)?)
    }

    /// Whether the data plane has panicked: only a new process can go on from there.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    fn note(&mut self, done: anyhow::Result<()>) {
        self.is_broken |= done.as_ref().is_err_and(anyhow::Error::is::<KernelGone>);
        let trouble = done.err().map(|error| causes::text_of(&error));
        match &trouble {
            Some(trouble) if self.trouble.as_ref() != Some(trouble) => {
                tracing::error!(
                    "{trouble}; what was in force before stays, and this is tried again each second"
                );
            }
            None if self.trouble.is_some() => tracing::info!("all is in force again"),
            Some(_) | None => {}
        }
        self.trouble = trouble;
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = self.desired.findings();
        findings.extend(self.unreachable.iter().cloned());
        findings
    }
}

/// How much of the plan the data plane is to look at.
#[derive(Clone, Copy)]
enum Extent {
    /// All of it.
    Whole,
    /// What differs from what it was asked for last.
    Changes,
}

fn through_uplink(
    dataplane: &mut Dataplane,
    endpoints: &BTreeSet<IpAddr>,
) -> Result<BTreeSet<IpAddr>, dataplane::Error> {
    let mut found = BTreeSet::new();
    for address in endpoints {
        if matches!(dataplane.endpoint_reach(*address)?, Reach::Remote { .. }) {
            found.insert(*address);
        }
    }
    Ok(found)
}

/// The others are in force all the same.
fn rejected((gateway, error): &(gateway_model::key::GatewayKey, dataplane::Error)) -> Finding {
    let message = format!("the kernel cannot hold this gateway: {error}");
    Finding::error("rejected-by-kernel", message, "it stays as it was: make it smaller, or remove others")
        .of(gateway)
}

/// Those through an uplink are findings already, with the place where they are declared.
fn unreachable((endpoint, reach): &(gateway_model::key::EndpointKey, Reach)) -> Option<Finding> {
    (*reach == Reach::None).then(|| {
        let message = format!(
            "no route of this node leads to endpoint {} of route {}",
            endpoint.address, endpoint.route
        );
        let advice =
            "give the node a route to it (`ip route get` shows what is missing), or remove the endpoint";
        Finding::warning("unreachable-endpoint", message, advice).of(&endpoint.gateway)
    })
}

#[cfg(test)]
mod speed;
