//! How watches, and those who follow them, wait.

use std::time::{Duration, Instant};

use kube::runtime::utils::Backoff;

/// How long one watch request lasts: a connection that died without a word is noticed then at the latest.
pub(super) const WATCH_SECONDS: u32 = 60;

/// Waits until then; without a time, for ever.
pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Pauses after errors of a watch: each is twice as long as the one before, up to the longest; a quiet time makes them
/// short again. After an outage the first thing that a watch hears is often that it is outdated, and it is to begin
/// anew soon.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    errors: u32,
    last: Option<Instant>,
}

impl Pauses {
    const SHORTEST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(3);
    const QUIET: Duration = Duration::from_secs(30);
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.last.is_some_and(|last| last.elapsed() > Self::QUIET) {
            self.errors = 0;
        }
        let pause = Self::SHORTEST.saturating_mul(1 << self.errors.min(16)).min(Self::LONGEST);
        (self.errors, self.last) = (self.errors + 1, Some(Instant::now()));
        Some(pause)
    }
}

impl Backoff for Pauses {
    /// Nothing: that a list begins is no success yet.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_few_seconds_and_no_further() {
        let mut pauses = Pauses::default();
        let all: Vec<Duration> = pauses.by_ref().take(50).collect();
        assert!(all.is_sorted() && all[0] < Duration::from_secs(1));
        pauses.reset();
        assert_eq!(pauses.next(), Some(Pauses::LONGEST), "a list that begins is no success");
    }
}
