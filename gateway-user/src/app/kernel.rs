//! The thread that owns the data plane. What is to be done comes as closures and is done in order; in between
//! the data plane gets its tick each second.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use crate::dataplane::{self, Dataplane, Loaded, Options};

const TICK: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce(&mut Dataplane) + Send>;

/// The data plane, on its own thread. Dropping it closes the data plane; what it pinned stays.
#[derive(Debug)]
pub(super) struct Kernel {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    ticks: watch::Receiver<Ticks>,
}

/// What the ticks found.
#[derive(Clone, Debug, Default)]
pub(super) struct Ticks {
    /// Counts changes of interfaces, addresses and routes.
    pub(super) network_changes: u64,
    /// What went wrong in the last tick.
    pub(super) error: Option<Arc<dataplane::Error>>,
}

/// The thread ended by itself, which only a bug makes it do.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the data plane's thread has ended; please report this, with the log")]
pub(super) struct KernelGone;

impl Kernel {
    /// Opens what is loaded: adopts what is pinned, attaches.
    pub(super) async fn open(loaded: Loaded, options: Options) -> anyhow::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (opened, is_open) = oneshot::channel();
        let (published, ticks) = watch::channel(Ticks::default());
        let thread = thread::Builder::new().name("weir-kernel".to_owned()).spawn(move || {
            match loaded.open(options) {
                Ok(dataplane) => {
                    let _ = opened.send(Ok(()));
                    work(dataplane, &queue, &published);
                }
                Err(error) => drop(opened.send(Err(error))),
            }
        })?;
        is_open.await.map_err(|_| KernelGone)??;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), ticks })
    }

    /// Does `job` with the data plane, after everything asked for before.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Dataplane) -> T + Send + 'static,
    ) -> Result<T, KernelGone> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |dataplane| drop(done.send(job(dataplane))));
        let jobs = self.jobs.as_ref().ok_or(KernelGone)?;
        jobs.send(job).map_err(|_| KernelGone)?;
        result.await.map_err(|_| KernelGone)
    }

    /// What the ticks find.
    pub(super) fn ticks(&self) -> watch::Receiver<Ticks> {
        self.ticks.clone()
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // The thread ends once nobody can send it jobs.
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            let what = panic.downcast_ref::<&str>().copied().unwrap_or("no message");
            tracing::error!(what, "the data plane's thread had ended with a panic");
        }
    }
}

fn work(mut dataplane: Dataplane, queue: &mpsc::Receiver<Job>, published: &watch::Sender<Ticks>) {
    let mut due = Instant::now();
    let mut is_stuck = false;
    loop {
        // What is left to do keeps nobody waiting: it is done piece by piece, while nobody asks for anything.
        let goes_on = dataplane.is_at_work() && !is_stuck && Instant::now() < due;
        let wait = if goes_on { Duration::ZERO } else { due.saturating_duration_since(Instant::now()) };
        match queue.recv_timeout(wait) {
            Ok(job) => job(&mut dataplane),
            Err(mpsc::RecvTimeoutError::Timeout) if goes_on => {
                if let Err(error) = dataplane.work(&mut dataplane::Ticked::default()) {
                    published.send_modify(|ticks| ticks.error = Some(Arc::new(error)));
                    is_stuck = true;
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        if Instant::now() >= due {
            due = Instant::now() + TICK;
            is_stuck = false;
            // Where somebody always asks, what is left gets on all the same.
            let (ticked, worked) = (dataplane.beat(), dataplane.work(&mut dataplane::Ticked::default()));
            published.send_modify(|ticks| {
                ticks.network_changes +=
                    u64::from(ticked.as_ref().is_ok_and(|ticked| ticked.network_changed));
                ticks.error = ticked.err().or(worked.err()).map(Arc::new);
            });
        }
    }
}
