//! Writes for gateways: one after the other for each, for several at once.

use std::time::{Duration, Instant};

use gateway_model::key::GatewayKey;

use super::{Ended, Lead, room::Outcome};
use crate::control::controller::{
    cluster::Stale,
    reconcile::{self, Found, May},
    write::{Done, WriteError},
};

/// Counts in a status are written no more often than this.
const COUNTS: Duration = Duration::from_secs(1);
/// After a write that failed it is tried again; each failure doubles the time up to the longest.
const AGAIN: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(30);
/// What ends is tried again as if it had failed this often already: not before the watches have told of its end.
const ENDING: u32 = 7;

/// How it goes with the writes for a gateway.
#[derive(Debug, Default)]
pub(super) struct Course {
    stale: Option<Stale>,
    is_busy: bool,
    /// When the first event that is not acted on arrived.
    arrived: Option<Instant>,
    retry: Retry,
    service: Retry,
    /// What the API server said against its Service.
    trouble: Option<String>,
    counts_not_before: Option<Instant>,
    /// Only counts are to be written.
    are_counts_due: bool,
}

/// When something that failed may be tried again.
#[derive(Debug, Default)]
struct Retry {
    failures: u32,
    not_before: Option<Instant>,
}

impl Retry {
    fn fail(&mut self) {
        let pause = AGAIN.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        (self.failures, self.not_before) = (self.failures + 1, Some(Instant::now() + pause));
    }

    /// Fails because what it is about ends.
    fn fail_at_an_end(&mut self) {
        self.failures = self.failures.max(ENDING);
        self.fail();
    }

    fn may(&self) -> bool {
        self.not_before.is_none_or(|at| at <= Instant::now())
    }
}

impl Course {
    /// There is something to look at.
    pub(super) fn mark(&mut self, stale: Stale, arrived: Option<Instant>) {
        self.stale.get_or_insert_default().slices |= stale.slices;
        self.arrived = self.arrived.or(arrived);
    }

    /// When it is to be looked at; `None`: once its writes have ended, or there is room.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        if self.is_busy {
            return None;
        }
        let retry = self.retry.not_before;
        let counts = if self.stale.is_none() && self.are_counts_due { self.counts_not_before } else { None };
        let service = if self.stale.is_none() { self.service.not_before } else { None };
        let own = counts.into_iter().chain(service).min();
        let at = retry.into_iter().chain(own).max();
        at.filter(|at| *at > Instant::now())
    }

    /// Something was not written of its slices or its status: it is tried again, but not at once.
    fn fail(&mut self, gateway: &GatewayKey, error: &WriteError) {
        if error.is_of_what_ends() {
            tracing::debug!(%gateway, %error, "it ends");
            self.retry.fail_at_an_end();
            return;
        }
        if error.is_conflict() {
            tracing::debug!(%gateway, %error, "somebody was first; it is looked at again");
        } else if self.retry.failures == 0 {
            tracing::warn!(%gateway, %error, "it is tried again");
        }
        self.retry.fail();
    }

    fn is_ready(&self) -> bool {
        !self.is_busy && self.ready_at().is_none()
    }
}

impl Lead {
    /// Writes what is to be written for those that wait, as far as there is room.
    pub(super) fn dispatch(&mut self) {
        let is_ready = |key: &&GatewayKey| self.courses.get(*key).is_some_and(Course::is_ready);
        let ready = self.waiting.iter().filter(is_ready).take(self.room.left());
        let ready: Vec<GatewayKey> = ready.cloned().collect();
        for key in ready {
            let told = self.begin_gateway(&key);
            for (reason, message, is_warning) in told {
                self.tell(&key, reason, message, is_warning);
            }
        }
    }

    fn begin_gateway(&mut self, key: &GatewayKey) -> Vec<(&'static str, String, bool)> {
        self.waiting.remove(key);
        let Some(course) = self.courses.get_mut(key) else { return Vec::new() };
        let may = May {
            counts: course.counts_not_before.is_none_or(|at| at <= Instant::now()),
            service: course.service.may(),
        };
        let stale = course.stale.take().unwrap_or_default();
        let Found { work, is_status_due, is_service_due, told } =
            reconcile::find(&self.cluster, key, stale, course.trouble.as_deref(), may);
        course.are_counts_due = is_status_due;
        if is_status_due || is_service_due {
            self.waiting.insert(key.clone());
        } else if work.service.is_none() {
            (course.service, course.trouble) = (Retry::default(), None);
        }
        if work.is_empty() {
            course.arrived = None;
            return Vec::new();
        }
        course.is_busy = true;
        self.room.begin();
        let write = self.writer.clone().write(key.clone(), work);
        self.tasks.spawn(async move { Ended::Gateway(Box::new(write.await)) });
        told
    }

    /// Takes note of what came of the writes for a gateway.
    pub(super) fn end_gateway(&mut self, done: Done) {
        let Done { gateway, changes, error, service, is_status_written, took } = done;
        let is_silent = error.as_ref().is_some_and(WriteError::is_silent);
        self.room.end(if is_silent { Outcome::Silence } else { Outcome::Answer(took) });
        for change in changes {
            self.cluster.handle(change);
        }
        let Some(course) = self.courses.get_mut(&gateway) else { return };
        course.is_busy = false;
        if is_status_written {
            course.counts_not_before = Some(Instant::now() + COUNTS);
        }
        match service {
            Some(Err(trouble)) => {
                if course.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(%gateway, trouble, "its Service is not as it is to be");
                }
                course.service.fail();
                course.trouble = Some(trouble);
                course.mark(Stale::default(), None);
                self.waiting.insert(gateway.clone());
            }
            Some(Ok(())) => (course.service, course.trouble) = (Retry::default(), None),
            None => {}
        }
        if let Some(error) = error {
            course.fail(&gateway, &error);
            self.mark_all(&gateway);
        } else {
            course.retry = Retry::default();
            if let Some(arrived) = course.arrived.take() {
                self.metrics.note_settled(arrived.elapsed());
            }
        }
        if self.courses.get(&gateway).is_some_and(|course| course.stale.is_some()) {
            self.waiting.insert(gateway);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_again_later_and_later_and_a_bad_service_does_not_keep_endpoints_waiting() {
        let mut course = Course::default();
        course.service.fail();
        course.mark(Stale { slices: true }, None);
        assert!(course.is_ready());
        let mut retry = Retry::default();
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            let began = Instant::now();
            retry.fail();
            let pause = retry.not_before.unwrap() - began;
            assert!(pause >= last && pause <= LONGEST + Duration::from_secs(1));
            last = pause.min(LONGEST);
        }
        assert!(!retry.may());
    }

    #[test]
    fn what_ends_is_not_tried_again_at_once() {
        let mut course = Course::default();
        course.retry.fail_at_an_end();
        course.mark(Stale { slices: true }, None);
        assert!(course.ready_at().unwrap() - Instant::now() > Duration::from_secs(5));
        course.retry.fail_at_an_end();
        assert!(course.ready_at().unwrap() - Instant::now() > Duration::from_secs(10));
    }
}
