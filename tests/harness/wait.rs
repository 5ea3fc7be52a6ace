//! Waiting for a condition, with a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Returns as soon as `condition` holds.
///
/// # Panics
/// Past `deadline`, naming `what` was waited for.
#[track_caller]
pub fn wait_until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    assert!(came_true(deadline, &mut condition), "after {deadline:?} still not: {what}");
}

/// Whether `condition` came true within `deadline`.
pub fn came_true(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(LOOK);
    }
}

/// Lets time pass: only where time itself is what a test is about (an idle time-out, a peer that is slow). For
/// anything else there is a condition to wait for.
pub fn let_pass(time: Duration) {
    thread::sleep(time);
}

/// A rhythm: what is done in it is begun at even distances, however long each takes.
#[derive(Debug)]
pub struct Beat {
    every: Duration,
    next: Instant,
}

impl Beat {
    /// Beats `every` so often, for the first time right away.
    pub fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() }
    }

    /// Waits for the next beat; beats that were missed are not made up for.
    pub fn wait(&mut self) {
        thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next = Instant::now().max(self.next) + self.every;
    }
}
