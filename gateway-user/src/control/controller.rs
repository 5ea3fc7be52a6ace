//! The controller: of several one leads. It resolves selectors, gives new versions their routes, and publishes what
//! agents serve: slices of endpoints, Services, and `status.routes`.
//!
//! Objects become facts as they arrive ([`watch`]); a [`Cluster`](cluster::Cluster) keeps them, and what comes of them,
//! up to date; [`reconcile`] says what is to be written because of it; [`write`] writes it.

mod cluster;
mod lead;
mod lease;
pub mod metrics;
mod pool;
mod reconcile;
mod service;
mod slices;
mod status;
mod watch;
mod write;

use std::{future::Future, time::Duration};

use kube::Client;
use serde::Serialize;
use tokio::{select, sync::mpsc};

use self::{cluster::Cluster, lead::Lead, lease::Candidate, metrics::Metrics};

/// How many events may wait to be taken note of.
const EVENTS: usize = 1024;

/// What a controller is told.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    /// Weir's own namespace, where the Lease and the shared Service are.
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// What tells it from other controllers.
    pub identity: String,
    /// For how long a route without workload keeps its settings.
    pub route_ttl: Duration,
}

/// Runs a controller until `stop`.
pub async fn run(client: Client, options: &Options, metrics: &Metrics, stop: impl Future<Output = ()>) {
    let mut candidate = Candidate::start(&client, &options.namespace, &options.lease, &options.identity);
    let (teller, mut events) = mpsc::channel(EVENTS);
    let watches = watch::start(&client, &options.namespace, &teller, metrics);
    let cluster = Cluster::new(&options.namespace, options.route_ttl);
    let lead = Lead::new(client, cluster, &options.identity, metrics.clone());
    select! {
        () = lead.follow(&mut events, &mut candidate) => {}
        () = stop => {}
    }
    drop(watches);
    metrics.set_leader(false);
    candidate.leave().await;
}
