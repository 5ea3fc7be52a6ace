//! The controller: of several one leads. It resolves selectors, gives new versions their routes, and publishes what
//! agents serve: slices of endpoints, Services, and `status.routes`.
//!
//! All of them watch and know ([`world`]); the one that leads works out what is to be with the model's planner
//! ([`leading`]) and brings the API server's objects there ([`reconcile`]).

mod leading;
mod reconcile;
mod service;
mod slices;
mod status;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::{
    sync::{mpsc, watch},
    time::{self, Instant, MissedTickBehavior},
};

use self::{leading::Leading, reconcile::Reconciler, world::World};
use super::lease::Candidate;

/// While events keep coming they are joined for this long.
const JOIN: Duration = Duration::from_millis(10);
/// And never for longer than this.
const JOIN_AT_MOST: Duration = Duration::from_millis(50);
/// How many gateways are written at a time.
const WRITERS: usize = 16;
/// After this long what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// How the controller is run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Weir's own namespace, in which the lease is.
    pub namespace: String,
    /// Name of the lease.
    pub lease: String,
    /// What tells this candidate from others.
    pub identity: String,
    /// For how long a route without workload keeps its settings, in seconds.
    pub route_ttl: u64,
}

/// How it goes, for probes and metrics.
#[derive(Debug, Default)]
pub struct Health {
    /// Whether everything that is watched is known.
    pub is_ready: AtomicBool,
    /// Whether it leads.
    pub is_leading: AtomicBool,
    /// Objects written.
    pub writes: AtomicU64,
    /// Writes that failed.
    pub failures: AtomicU64,
    /// Gateways known.
    pub gateways: AtomicU64,
    /// Pods known.
    pub pods: AtomicU64,
}

/// Runs a controller until `stop` says so.
pub async fn run(client: Client, config: Config, health: Arc<Health>, mut stop: watch::Receiver<bool>) {
    let (leads, mut leading) = watch::channel(false);
    let candidate = Candidate::new(
        Api::<Lease>::namespaced(client.clone(), &config.namespace),
        &config.lease,
        &config.identity,
    );
    let mut candidate_stop = stop.clone();
    let candidate = tokio::spawn(candidate.run(leads, async move {
        let _ = candidate_stop.wait_for(|stop| *stop).await;
    }));
    let (events, mut queue) = mpsc::channel(4_096);
    let watching = tokio::spawn(world::watch(client.clone(), events));
    let mut controller = Controller {
        reconciler: Reconciler::new(client, &config),
        world: World::default(),
        leading: None,
        config,
        health,
        dirty: BTreeSet::new(),
        again: BTreeMap::new(),
    };
    let mut ticks = time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Ok(()) = leading.changed() => {
                let leads = *leading.borrow_and_update();
                controller.lead(leads);
            }
            Some(change) = queue.recv() => {
                controller.take(change);
                controller.join(&mut queue).await;
            }
            _ = ticks.tick() => controller.tick(),
        }
        controller.flush().await;
    }
    watching.abort();
    let _ = candidate.await;
}

struct Controller {
    reconciler: Reconciler,
    world: World,
    /// There where this one leads.
    leading: Option<Leading>,
    config: Config,
    health: Arc<Health>,
    /// Gateways that may not be as they are to be.
    dirty: BTreeSet<gateway_model::key::GatewayKey>,
    /// Those that are to be tried again, and when.
    again: BTreeMap<gateway_model::key::GatewayKey, Instant>,
}

impl Controller {
    fn lead(&mut self, leads: bool) {
        if leads == self.leading.is_some() {
            return;
        }
        if leads {
            tracing::info!(identity = self.config.identity, "leading");
            self.leading = Some(Leading::new(self.config.route_ttl));
        } else {
            tracing::info!("not leading any more");
            self.leading = None;
        }
        self.health.is_leading.store(leads, Ordering::Relaxed);
    }

    /// Takes a change over, into what is known and, where this one leads, into what is worked out.
    fn take(&mut self, change: world::Change) {
        let news = self.world.handle(change);
        if let Some(leading) = &mut self.leading {
            leading.note(&news, &self.world);
        }
        self.dirty.extend(self.world.concerned(&news));
    }

    /// Takes what else has come, and comes shortly.
    async fn join(&mut self, queue: &mut mpsc::Receiver<world::Change>) {
        let began = Instant::now();
        let mut is_alone = true;
        loop {
            while let Ok(change) = queue.try_recv() {
                self.take(change);
                is_alone = false;
            }
            if is_alone || began.elapsed() >= JOIN_AT_MOST {
                return;
            }
            match time::timeout(JOIN, queue.recv()).await {
                Ok(Some(change)) => self.take(change),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn tick(&mut self) {
        for news in self.world.tick() {
            if let Some(leading) = &mut self.leading {
                leading.note(&news, &self.world);
            }
            self.dirty.extend(self.world.concerned(&news));
        }
        let now = Instant::now();
        let due: Vec<_> =
            self.again.iter().filter(|(_, when)| **when <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            self.again.remove(&key);
            self.dirty.insert(key);
        }
        // What nodes acknowledge is told at most once a second.
        self.dirty.extend(self.world.outdated_nodes());
        self.health.gateways.store(self.world.gateways.len() as u64, Ordering::Relaxed);
        self.health.pods.store(self.world.pods.len() as u64, Ordering::Relaxed);
    }

    /// Works out what is to be, and brings the API server there. Nothing is written before everything is known.
    async fn flush(&mut self) {
        let is_known = self.world.is_known();
        self.health.is_ready.store(is_known, Ordering::Relaxed);
        let Some(leading) = self.leading.as_mut().filter(|_| is_known) else { return };
        let (changed, notes) = leading.work_out(&self.world);
        self.dirty.extend(changed);
        for note in notes {
            tracing::info!(gateway = %note.gateway, "{}", note.message);
            self.reconciler.tell(&self.world, &note);
        }
        let keys = std::mem::take(&mut self.dirty);
        let (world, leading, reconciler) = (&self.world, &*leading, &self.reconciler);
        let outcomes: Vec<_> = futures::stream::iter(keys)
            .map(|key| async move { (reconciler.reconcile(&key, world, leading).await, key) })
            .buffer_unordered(WRITERS)
            .collect()
            .await;
        let orphans = self.world.orphaned_nodes();
        self.reconciler.remove_nodes(&orphans).await;
        for (outcome, key) in outcomes {
            self.health.writes.fetch_add(outcome.written.len() as u64, Ordering::Relaxed);
            if let Some(error) = outcome.error {
                self.health.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(gateway = %key, error, "could not be written; it is tried again");
                self.again.insert(key.clone(), Instant::now() + AGAIN);
            } else if outcome.is_waiting {
                self.again.insert(key.clone(), Instant::now() + AGAIN);
            }
            // What was just written is known before the watch tells it.
            for change in outcome.written {
                let news = self.world.handle(change);
                if let Some(leading) = &mut self.leading {
                    leading.note(&news, &self.world);
                }
            }
        }
    }
}
