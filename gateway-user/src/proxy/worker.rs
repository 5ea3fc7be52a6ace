//! A worker: one thread, one runtime, one listener per address family.

use std::{
    cell::Cell,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    rc::Rc,
    sync::{Arc, mpsc::SyncSender},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};
use tokio::{
    net::TcpListener,
    runtime::{Builder, LocalOptions},
    sync::{mpsc, watch},
};

use super::{
    DrainReport, Family, Shared, StartError, Worker, accept,
    clock::{Clock, TICK},
    route::Gateways,
    stats::WorkerCounters,
};

/// Connections that wait to be accepted, at most; the system caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// What a worker is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Accept and serve.
    Serving,
    /// Accept what is in the queues, end what there is, and be done in that time.
    Draining { since: Instant, deadline: Duration },
    /// Cut everything.
    Stopped,
}

impl Phase {
    /// Begins to drain, unless draining or stopped; whether that changed anything.
    pub fn drain(&mut self, deadline: Duration) -> bool {
        let begins = *self == Self::Serving;
        if begins {
            *self = Self::Draining { since: Instant::now(), deadline };
        }
        begins
    }
}

/// What a worker's thread is given.
struct Seat {
    number: usize,
    listeners: [Arc<Socket>; 2],
    shared: Arc<Shared>,
    counters: Arc<WorkerCounters>,
    phase: watch::Receiver<Phase>,
    drained: mpsc::UnboundedReceiver<DrainReport>,
}

/// Starts worker `number`.
pub(super) fn start(
    number: usize,
    shared: &Arc<Shared>,
    phase: watch::Receiver<Phase>,
) -> Result<Worker, StartError> {
    let [v4, v6] = [listen(Ipv4Addr::LOCALHOST.into())?, listen(Ipv6Addr::LOCALHOST.into())?];
    let counters = Arc::new(WorkerCounters::new());
    let (drained, reports) = mpsc::unbounded_channel();
    let seat = Seat {
        number,
        listeners: [Arc::clone(&v4), Arc::clone(&v6)],
        shared: Arc::clone(shared),
        counters: Arc::clone(&counters),
        phase,
        drained: reports,
    };
    let failed = |source| StartError::Worker { worker: number, source };
    let (started, starts) = std::sync::mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name(format!("weir-proxy-{number}"))
        .spawn(move || run(seat, &started))
        .map_err(failed)?;
    starts.recv().unwrap_or_else(|_| Err(io::Error::other("the thread panicked"))).map_err(failed)?;
    Ok(Worker { listeners: [(Family::V4, v4), (Family::V6, v6)], counters, drained, thread: Some(thread) })
}

/// A listener on a port of the system's choice. What accepted sockets inherit is set here, once.
fn listen(address: std::net::IpAddr) -> Result<Arc<Socket>, StartError> {
    let address = SocketAddr::new(address, 0);
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Arc::new(socket))
    };
    open().map_err(|source| StartError::Listen { address, source })
}

/// A worker's thread.
fn run(seat: Seat, started: &SyncSender<io::Result<()>>) {
    let prepared = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default())
        .and_then(|runtime| {
            let _entered = runtime.enter();
            let [v4, v6] = &seat.listeners;
            let listeners = [tokio_listener(v4)?, tokio_listener(v6)?];
            Ok((runtime, listeners))
        });
    match prepared {
        Ok((runtime, listeners)) => {
            // The other end waits for exactly this message.
            let _ = started.send(Ok(()));
            tracing::debug!(worker = seat.number, "proxy worker runs");
            runtime.block_on(live(seat, listeners));
        }
        Err(error) => {
            let _ = started.send(Err(error));
        }
    }
}

fn tokio_listener(socket: &Socket) -> io::Result<TcpListener> {
    TcpListener::from_std(socket.try_clone()?.into())
}

/// What everything in a worker's thread shares.
pub(super) struct Context {
    pub shared: Arc<Shared>,
    pub counters: Arc<WorkerCounters>,
    pub clock: Rc<Clock>,
    pub gateways: Gateways,
    /// The worker drains.
    pub draining: Cell<bool>,
    /// Client connections of this worker.
    pub open: Cell<usize>,
    /// It was logged that connections cannot be marked.
    pub mark_warned: Cell<bool>,
}

/// A worker's life: accepts, ticks, and ends when it is drained or stopped.
async fn live(mut seat: Seat, listeners: [TcpListener; 2]) {
    // Workers of one node, like nodes, do not pick in step.
    let seed =
        seat.shared.config.seed.wrapping_add((seat.number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let context = Rc::new(Context {
        gateways: Gateways::new(seed),
        shared: seat.shared,
        counters: seat.counters,
        clock: Clock::start(),
        draining: Cell::default(),
        open: Cell::default(),
        mark_warned: Cell::default(),
    });
    let accepting =
        listeners.map(|listener| tokio::task::spawn_local(accept::run(Rc::clone(&context), listener)));
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = ticks.tick() => tick(&context),
            changed = seat.phase.changed() => {
                if changed.is_err() || *seat.phase.borrow() == Phase::Stopped {
                    return;
                }
                context.draining.set(true);
                context.clock.wake_all();
            }
        }
        if let Phase::Draining { since, deadline } = *seat.phase.borrow() {
            let accepted = accepting.iter().all(tokio::task::JoinHandle::is_finished);
            if since.elapsed() >= deadline || (accepted && context.open.get() == 0) {
                break;
            }
        }
    }
    while let Ok(report) = seat.drained.try_recv() {
        // Nobody may be waiting any more.
        let _ = report.send(context.open.get());
    }
}

/// What has to be done although no request comes.
fn tick(context: &Context) {
    let before = context.clock.now();
    context.clock.tick();
    context.gateways.follow(context);
    if before.as_secs() != context.clock.now().as_secs() {
        context.gateways.sweep(context);
    }
}
