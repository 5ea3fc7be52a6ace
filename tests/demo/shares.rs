//! Whether measured shares are what the weights say, within chance.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use gateway_tests::client::{Record, Tally};

use crate::{
    stage::{NEW, OLD},
    traffic::{CHROME, FIREFOX, Traffic, Window},
};

/// Connections begun this soon after an acknowledgement are not counted: their SYN may have been under way.
const SETTLE: Duration = Duration::from_millis(200);
/// How far the low-discrepancy pick of one picker may be off, in requests.
const OFF: f64 = 2.0;

/// What was measured in a step.
#[derive(Debug)]
pub struct Shares {
    /// Requests that no condition captures.
    pub unmatched: Tally,
    /// Requests that the condition of the step, if any, captures.
    pub matched: Tally,
    /// Connections.
    pub connections: Tally,
}

impl Shares {
    /// Counts what happened in `window`. `condition` says whether Firefox users have a route of their own.
    pub fn measure(traffic: &Traffic, window: Window, condition: bool) -> Self {
        let captured = |record: &Record| condition && record.class == FIREFOX;
        let settled = |record: &Record| record.began >= window.from + SETTLE;
        let requests = traffic.requests();
        Self {
            unmatched: requests.tally(|record| window.has(record) && settled(record) && !captured(record)),
            matched: requests.tally(|record| window.has(record) && settled(record) && captured(record)),
            connections: traffic.connections().tally(|record| window.has(record) && settled(record)),
        }
    }

    /// Number of samples of the kind that has fewest.
    pub fn samples(&self) -> u64 {
        self.unmatched.answered().min(self.connections.answered())
    }

    /// Fails where a share of [`NEW`] is not `weight` (of 1), or a captured request went elsewhere.
    pub fn check(&self, weight: f64) -> Result<()> {
        for tally in [&self.unmatched, &self.matched, &self.connections] {
            ensure!(tally.failures.is_empty(), "{} failures: {:?}", tally.failures.len(), tally.failures);
            let known = tally.version(OLD) + tally.version(NEW);
            ensure!(tally.answered() == known, "answers of versions that do not exist: {:?}", tally.versions);
        }
        check_connections(&self.connections, weight)?;
        check_requests(&self.unmatched, weight)?;
        let strays = self.matched.version(OLD);
        ensure!(strays == 0, "{strays} requests of {FIREFOX} users went to {OLD}, past the condition");
        Ok(())
    }
}

/// One choice per connection, by hash: binomial, four standard deviations.
fn check_connections(tally: &Tally, weight: f64) -> Result<()> {
    let (count, new) = (tally.answered() as f64, tally.version(NEW) as f64);
    let allowed = 4.0 * (count * weight * (1.0 - weight)).sqrt() + 1.0;
    check_extremes("connections", tally, weight)?;
    ensure!(
        (new - count * weight).abs() <= allowed,
        "{new} of {count} connections went to {NEW} at {} %: further off than {allowed:.0}",
        weight * 100.0
    );
    Ok(())
}

/// One pick per request, of low discrepancy, one picker per core.
fn check_requests(tally: &Tally, weight: f64) -> Result<()> {
    let (count, new) = (tally.answered() as f64, tally.version(NEW) as f64);
    let pickers = thread::available_parallelism()?.get() as f64;
    check_extremes(CHROME, tally, weight)?;
    ensure!(
        (new - count * weight).abs() <= OFF * pickers,
        "{new} of {count} requests went to {NEW} at {} %: further off than {}",
        weight * 100.0,
        OFF * pickers
    );
    Ok(())
}

/// 0 % is none and 100 % is all: chance has no part in it.
fn check_extremes(what: &str, tally: &Tally, weight: f64) -> Result<()> {
    let nobody = match weight {
        weight if weight <= 0.0 => NEW,
        weight if weight >= 1.0 => OLD,
        _ => return Ok(()),
    };
    let strays = tally.version(nobody);
    ensure!(strays == 0, "{strays} {what} went to {nobody}, which is at 0 %");
    Ok(())
}

#[cfg(test)]
mod tests {
    use gateway_tests::client::Answer;

    use super::*;

    fn tally(old: usize, new: usize) -> Tally {
        let mut tally = Tally::default();
        for (version, count) in [(OLD, old), (NEW, new)] {
            let answer = Answer { pod: "pod0".to_owned(), version: version.to_owned() };
            (0..count).for_each(|_| tally.add(&Ok(answer.clone())));
        }
        tally
    }

    fn shares(unmatched: Tally, matched: Tally, connections: Tally) -> Shares {
        Shares { unmatched, matched, connections }
    }

    #[test]
    fn what_the_weights_say_passes() {
        shares(tally(380, 20), tally(0, 400), tally(372, 28)).check(0.05).unwrap();
    }

    #[test]
    fn one_connection_to_a_version_at_0_percent_fails() {
        shares(tally(400, 0), tally(0, 9), tally(399, 1)).check(0.0).unwrap_err();
    }

    #[test]
    fn a_share_of_connections_beyond_chance_fails() {
        // 400 at 5 %: 20 ± 4 · 4.36 + 1.
        shares(tally(380, 20), tally(0, 9), tally(361, 39)).check(0.05).unwrap_err();
        shares(tally(380, 20), tally(0, 9), tally(362, 38)).check(0.05).unwrap();
    }

    #[test]
    fn a_share_of_requests_is_exact_to_two_per_picker() {
        let off = 2 * thread::available_parallelism().unwrap().get();
        shares(tally(200 - off, 200 + off), tally(0, 9), tally(200, 200)).check(0.5).unwrap();
        shares(tally(199 - off, 201 + off), tally(0, 9), tally(200, 200)).check(0.5).unwrap_err();
    }

    #[test]
    fn a_request_past_the_condition_fails() {
        shares(tally(400, 0), tally(1, 99), tally(400, 0)).check(0.0).unwrap_err();
    }

    #[test]
    fn one_failure_fails() {
        let mut failed = tally(400, 0);
        failed.add(&Err("reset".to_owned()));
        shares(tally(400, 0), tally(0, 9), failed).check(0.0).unwrap_err();
    }
}
