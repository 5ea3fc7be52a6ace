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
