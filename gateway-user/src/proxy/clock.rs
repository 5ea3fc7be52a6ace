//! One coarse clock and one list of timers per worker, so that arming a time-out costs a store and no system call.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use slab::Slab;

/// How often [`Clock::tick`] is to be called; time-outs are late by at most this.
pub const TICK: Duration = Duration::from_millis(50);

/// A worker's clock. It stands still between two ticks.
pub struct Clock {
    start: Instant,
    /// Since `start`.
    now: Cell<Duration>,
    timers: RefCell<Slab<Entry>>,
}

#[derive(Default)]
struct Entry {
    /// When it expires, since the clock's start; `None`: never.
    at: Option<Duration>,
    waker: Option<Waker>,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Rc<Self> {
        Rc::new(Self { start: Instant::now(), now: Cell::default(), timers: RefCell::default() })
    }

    /// The time of the last tick, since the clock's start.
    pub fn now(&self) -> Duration {
        self.now.get()
    }

    /// Takes the time and wakes who waits for a timer that has expired.
    pub fn tick(&self) {
        self.now.set(self.start.elapsed());
        let mut expired = Vec::new();
        for (_, entry) in self.timers.borrow_mut().iter_mut() {
            if entry.at.is_some_and(|at| at <= self.now.get()) {
                expired.extend(entry.waker.take());
            }
        }
        expired.into_iter().for_each(Waker::wake);
    }

    /// Wakes everyone who waits for a timer, expired or not.
    pub fn wake_all(&self) {
        let wakers: Vec<_> =
            self.timers.borrow_mut().iter_mut().filter_map(|(_, entry)| entry.waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A timer that never expires until it is set.
    pub fn timer(self: &Rc<Self>) -> Timer {
        let key = self.timers.borrow_mut().insert(Entry::default());
        Timer { clock: Rc::clone(self), key, set: Cell::new(false) }
    }
}

/// A time-out of one connection or request.
pub struct Timer {
    clock: Rc<Clock>,
    key: usize,
    set: Cell<bool>,
}

impl Timer {
    /// Expires after `timeout`, counted from now; replaces what was set before.
    pub fn set(&self, timeout: Duration) {
        self.set.set(true);
        self.clock.timers.borrow_mut()[self.key].at = Some(self.clock.now().saturating_add(timeout));
    }

    /// Sets it where it is not set already.
    pub fn arm(&self, timeout: Duration) {
        if !self.set.get() {
            self.set(timeout);
        }
    }

    /// Never expires.
    pub fn clear(&self) {
        if self.set.replace(false) {
            self.clock.timers.borrow_mut()[self.key].at = None;
        }
    }

    /// Ready once it has expired, until it is set anew or cleared.
    pub fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut timers = self.clock.timers.borrow_mut();
        let entry = &mut timers[self.key];
        if entry.at.is_some_and(|at| at <= self.clock.now()) {
            return Poll::Ready(());
        }
        if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            entry.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Resolves once it has expired.
    pub async fn expired(&self) {
        std::future::poll_fn(|context| self.poll(context)).await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clock.timers.borrow_mut().remove(self.key);
    }
}
