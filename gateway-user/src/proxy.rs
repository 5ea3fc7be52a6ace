//! The request path: accept → take the table once → match → pick → upstream → response → counters.
//!
//! One thread per core, each with its own runtime, listeners, pools and counters: a request never crosses
//! threads. Nothing under here knows Kubernetes, aya, or where its table comes from.

pub mod config;
pub mod error;
pub mod mark;
pub mod stats;

mod accept;
mod body;
mod clock;
mod forward;
mod framing;
mod request;
mod route;
mod serve;
mod upstream;
mod worker;

use std::{
    future::Future,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, atomic::AtomicUsize},
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use gateway_model::plan::l7::RouteTable;
use socket2::Socket;
use tokio::sync::{mpsc, watch};

pub use self::{config::Config, mark::Mark, stats::Stats};
use self::{stats::WorkerCounters, worker::Phase};

/// A running proxy. Dropping it cuts every connection and ends its threads; [`Proxy::drain`] first loses nothing.
pub struct Proxy {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    phase: watch::Sender<Phase>,
}

/// An address family of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still open at the deadline, and are cut.
    pub left: usize,
}

/// Why a proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No listening socket.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No thread or no runtime for a worker.
    #[error("cannot start proxy worker {worker}: {source}")]
    Worker {
        /// Its number, from 0.
        worker: usize,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// What all workers share.
struct Shared {
    config: Config,
    table: ArcSwap<RouteTable>,
    mark: Arc<dyn Mark>,
    connections: AtomicUsize,
}

/// A worker as its proxy sees it.
struct Worker {
    listeners: [(Family, Arc<Socket>); 2],
    counters: Arc<WorkerCounters>,
    drained: mpsc::UnboundedSender<DrainReport>,
    thread: Option<JoinHandle<()>>,
}

/// Where a worker reports how many connections it had to cut.
type DrainReport = mpsc::UnboundedSender<usize>;

impl Proxy {
    /// Starts the workers; every one listens when this returns.
    pub fn start(config: Config, table: Arc<RouteTable>, mark: Arc<dyn Mark>) -> Result<Self, StartError> {
        let workers = config.workers.max(1);
        let shared =
            Arc::new(Shared { config, table: ArcSwap::new(table), mark, connections: AtomicUsize::new(0) });
        let (phase, _) = watch::channel(Phase::Serving);
        let workers = (0..workers)
            .map(|number| worker::start(number, &shared, phase.subscribe()))
            .collect::<Result<_, _>>()?;
        Ok(Self { shared, workers, phase })
    }

    /// The listening sockets: family, worker, socket. They are bound to loopback with a port of the system's
    /// choice, which no client uses: `sk_lookup` gives them the connections to every frontend.
    pub fn listeners(&self) -> impl Iterator<Item = (Family, usize, BorrowedFd<'_>)> {
        self.workers.iter().enumerate().flat_map(|(number, worker)| {
            worker.listeners.iter().map(move |(family, socket)| (*family, number, socket.as_fd()))
        })
    }

    /// Requests that begin from now on go by `table`; those under way end by the one they began with.
    pub fn set_table(&self, table: Arc<RouteTable>) {
        self.shared.table.store(table);
    }

    /// What was counted up to now.
    pub fn stats(&self) -> Stats {
        WorkerCounters::sum(self.workers.iter().map(|worker| &*worker.counters))
    }

    /// Stops accepting, after a moment for what is in the accept queues; lets every request end, and every client
    /// know (`Connection: close`, GOAWAY); resolves when no connection is left, or at `deadline` from now.
    pub fn drain(&self, deadline: Duration) -> impl Future<Output = Drained> + Send + use<> {
        let (report, mut reports) = mpsc::unbounded_channel();
        for worker in &self.workers {
            // A worker that has ended has no connection to report.
            let _ = worker.drained.send(report.clone());
        }
        drop(report);
        self.phase.send_if_modified(|phase| phase.drain(deadline));
        async move {
            let mut left = 0;
            while let Some(count) = reports.recv().await {
                left += count;
            }
            Drained { left }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Stopped);
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take()
                && thread.join().is_err()
            {
                tracing::error!("a proxy worker panicked");
            }
        }
    }
}
