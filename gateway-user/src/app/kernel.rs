//! The data plane, between the control task, which asks for something now and then, and a thread that gives it its tick
//! each second and does what a tick leaves to do.
//!
//! Who asks does it itself, while the thread waits: with two threads to wake up a change would wait twice for a
//! processor.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{sync::watch, task};

use super::sched;
use crate::dataplane::{self, Dataplane, Loaded, Options};

const TICK: Duration = Duration::from_secs(1);
/// What is left to do of a tick rests for so long after each piece: for those who ask for something meanwhile.
const REST: Duration = Duration::from_millis(1);

/// The data plane. Dropping it closes it; what it pinned stays.
#[derive(Debug)]
pub(super) struct Kernel {
    dataplane: Arc<Mutex<Dataplane>>,
    /// Tells the thread that there is more to do; without it the thread ends.
    wake: Option<mpsc::Sender<()>>,
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

/// A bug made it panic.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the data plane has panicked; please report this, with the log")]
pub(super) struct KernelGone;

impl Kernel {
    /// Opens what is loaded: adopts what is pinned, attaches.
    pub(super) async fn open(loaded: Loaded, options: Options) -> anyhow::Result<Self> {
        let opened = task::spawn_blocking(move || loaded.open(options));
        let dataplane = Arc::new(Mutex::new(opened.await.context("opening the data plane")??));
        let (wake, woken) = mpsc::channel();
        let (published, ticks) = watch::channel(Ticks::default());
        let ticked = Arc::clone(&dataplane);
        let thread = thread::Builder::new()
            .name("weir-ticks".to_owned())
            .spawn(move || tick(&ticked, &woken, &published))?;
        Ok(Self { dataplane, wake: Some(wake), thread: Some(thread), ticks })
    }

    /// Does `job` with the data plane, after the piece of a tick that is being done.
    ///
    /// # Errors
    /// Where that, or the job, panicked.
    pub(super) fn call<T>(&self, job: impl FnOnce(&mut Dataplane) -> T) -> Result<T, KernelGone> {
        let locked = || {
            let mut dataplane = self.dataplane.lock().map_err(|_| KernelGone)?;
            let was_at_work = dataplane.is_at_work();
            let done = job(&mut dataplane);
            if dataplane.is_at_work() && !was_at_work {
                let wake = self.wake.as_ref().ok_or(KernelGone)?;
                wake.send(()).map_err(|_| KernelGone)?;
            }
            Ok(done)
        };
        // Whoever asked drains the proxy before the process ends. The lock is poisoned: nobody gets it any more.
        catch_unwind(AssertUnwindSafe(locked)).unwrap_or(Err(KernelGone))
    }

    /// What the ticks find.
    pub(super) fn ticks(&self) -> watch::Receiver<Ticks> {
        self.ticks.clone()
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            let what = panic.downcast_ref::<&str>().copied().unwrap_or("no message");
            tracing::error!(what, "the data plane's thread had ended with a panic");
        }
    }
}

/// Ticks until nobody can wake it any more.
fn tick(dataplane: &Mutex<Dataplane>, woken: &mpsc::Receiver<()>, published: &watch::Sender<Ticks>) {
    // Somebody may wait for what it has locked. What it cannot have, it does without.
    let _ = sched::run_soon_after_waking();
    let mut due = Instant::now();
    // There is more to do, and nothing went wrong with it since the last tick.
    let mut goes_on = false;
    loop {
        let until_due = due.saturating_duration_since(Instant::now());
        let wait = if goes_on { REST.min(until_due) } else { until_due };
        let is_woken = match woken.recv_timeout(wait) {
            Ok(()) => true,
            Err(mpsc::RecvTimeoutError::Timeout) => false,
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        };
        let Ok(mut dataplane) = dataplane.lock() else { return };
        if Instant::now() >= due {
            due = Instant::now() + TICK;
            // With a piece of what is left: that one stays as known as the other where it fails each time.
            let (ticked, worked) = (dataplane.beat(), dataplane.work(&mut dataplane::Ticked::default()));
            goes_on = worked.is_ok() && dataplane.is_at_work();
            published.send_modify(|ticks| {
                ticks.network_changes +=
                    u64::from(ticked.as_ref().is_ok_and(|ticked| ticked.network_changed));
                ticks.error = ticked.err().or(worked.err()).map(Arc::new);
            });
        } else if goes_on || is_woken {
            let worked = dataplane.work(&mut dataplane::Ticked::default());
            goes_on = worked.is_ok() && dataplane.is_at_work();
            if let Err(error) = worked {
                published.send_modify(|ticks| ticks.error = Some(Arc::new(error)));
            }
        }
    }
}
