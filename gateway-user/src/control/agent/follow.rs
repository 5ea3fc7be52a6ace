//! The task between the watches and the agent: events after a quiet time are told at once; while they keep coming they
//! are joined.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    select,
    sync::{mpsc, oneshot, watch},
    time,
};

use super::{
    kept::Places,
    view::{Change, Delta, View},
    watch::News,
};
use crate::control::pauses::sleep_until;

/// So many times after a quiet time it is told at once what came: one pod is two slices, and what the controller says
/// of them.
const AT_ONCE: u32 = 8;
/// Events that come within this time after more than that was told are joined with their likes.
const JOIN: Duration = Duration::from_millis(2);
/// A time without events that is quiet.
const QUIET: Duration = Duration::from_millis(20);
/// For so long an empty list is doubted where there were objects before.
const DOUBT: Duration = Duration::from_secs(15);
/// A plan that was kept may be a second old: for so long the API server gets the chance to tell a newer one first. One
/// with a thousand gateways to list takes longer than anybody should wait.
const PATIENCE: Duration = Duration::from_millis(500);
/// The least urgent that a thread can be.
const LOWEST: i32 = 19;
/// Without everything being known, what is missing is logged this often.
const REMIND: Duration = Duration::from_secs(10);

/// The task between the watches and the agent.
pub(super) struct Follower {
    pub(super) view: View,
    pub(super) events: mpsc::Receiver<News<Change>>,
    pub(super) addresses: watch::Receiver<BTreeSet<IpAddr>>,
    pub(super) told: mpsc::Sender<Delta>,
    pub(super) places: Places,
}

impl Follower {
    /// Tells what is new, until nobody listens.
    pub(super) async fn follow(mut self) {
        // When the events that were not told yet began to arrive.
        let mut arrived: Option<Instant> = None;
        let mut pace = Pace::default();
        let mut doubtful_since: Option<Instant> = None;
        let mut patience = Some(Instant::now() + PATIENCE);
        let mut keeper = Keeper::new(self.places.clone());
        let mut remind = time::interval(REMIND);
        remind.tick().await;
        loop {
            let due = pace.due().filter(|due| *due > Instant::now());
            let doubt_ends = doubtful_since.map(|since| since + DOUBT);
            patience = patience.filter(|until| *until > Instant::now() && !self.view.is_known());
            let can_tell = self.view.has_news() && due.is_none() && patience.is_none();
            select! {
                biased;
                event = self.events.recv() => {
                    let Some(news) = event else { return };
                    let mut take = |news| match news {
                        News::Change(at, change) => {
                            self.view.handle(*change);
                            if self.view.has_news() {
                                arrived.get_or_insert(at);
                            }
                        }
                        News::Failed => patience = None,
                    };
                    take(news);
                    // What has come already is taken together.
                    for _ in 0..self.events.len() {
                        let Ok(news) = self.events.try_recv() else { break };
                        take(news);
                    }
                    doubtful_since = self.view.is_doubtful().then(|| doubtful_since.unwrap_or_else(Instant::now));
                    keeper.news();
                }
                Ok(()) = self.addresses.changed() => {
                    let addresses = self.addresses.borrow_and_update().clone();
                    self.view.set_addresses(addresses);
                }
                permit = self.told.reserve(), if can_tell => {
                    let Ok(permit) = permit else { return };
                    if let Some(mut delta) = self.view.take() {
                        delta.arrived = arrived.take();
                        permit.send(delta);
                        pace.told(Instant::now());
                    }
                }
                () = sleep_until(patience), if patience.is_some() => {}
                () = sleep_until(due), if due.is_some() && self.view.has_news() => {}
                () = sleep_until(doubt_ends), if doubt_ends.is_some() => {
                    tracing::warn!("what the API server does not list any more is taken for gone");
                    self.view.believe();
                    doubtful_since = None;
                }
                () = keeper.due(), if self.view.is_known() && !self.view.is_doubtful() => {
                    keeper.keep(&self.view);
                }
                _ = remind.tick(), if !self.view.is_known() => {
                    tracing::warn!(missing = ?self.view.unknown(), "the API server has not told all yet");
                }
            }
        }
    }
}

/// How often is told what is new.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    /// How often it was told since it was quiet.
    times: u32,
}

impl Pace {
    fn told(&mut self, now: Instant) {
        let was_quiet = self.last.is_none_or(|last| now - last > QUIET);
        self.times = if was_quiet { 1 } else { self.times.saturating_add(1) };
        self.last = Some(now);
    }

    /// When it may be told again, where that is not at once.
    fn due(&self) -> Option<Instant> {
        self.last.filter(|_| self.times > AT_ONCE).map(|last| last + JOIN)
    }
}

/// Keeps what is known, off the path of events.
struct Keeper {
    places: Places,
    /// When what each of them has was known; nothing where there is nothing new.
    due: [Option<Instant>; Places::EACH.len()],
    /// Ends with the writing.
    writing: Option<oneshot::Receiver<()>>,
}

impl Keeper {
    fn new(places: Places) -> Self {
        Self { places, due: Default::default(), writing: None }
    }

    /// There is something new to keep.
    fn news(&mut self) {
        for (due, every) in self.due.iter_mut().zip(Places::EACH) {
            due.get_or_insert_with(|| Instant::now() + every);
        }
    }

    /// Waits until there is something to keep, it is time, and the last one is written.
    async fn due(&mut self) {
        sleep_until(self.due.into_iter().flatten().min()).await;
        if let Some(writing) = &mut self.writing {
            let _ = writing.await;
            self.writing = None;
        }
    }

    fn keep(&mut self, view: &View) {
        let now = Instant::now();
        let which = self.due.map(|due| due.is_some_and(|due| due <= now));
        for (due, is_due) in self.due.iter_mut().zip(which) {
            *due = due.filter(|_| !is_due);
        }
        let (facts, places) = (view.facts(), self.places.clone());
        let (done, writing) = oneshot::channel();
        self.writing = Some(writing);
        let write = move || {
            // Of a thread of its own: this is nothing that requests, or changes, should wait for.
            if let Err(error) = rustix::process::setpriority_process(None, LOWEST) {
                tracing::debug!(%error, "the plan is kept at the priority of all else");
            }
            if let Err(error) = places.store(&facts, which) {
                tracing::error!(%error, "the plan is not kept: without the API server a restart would lose it");
            }
            drop(done);
        };
        if let Err(error) = thread::Builder::new().name("weir-keeper".to_owned()).spawn(write) {
            tracing::error!(%error, "the plan is not kept: there is no thread for it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_of_one_change_is_told_at_once_and_a_crowd_is_joined() {
        let (mut pace, began) = (Pace::default(), Instant::now());
        for at in 0..AT_ONCE {
            pace.told(began + Duration::from_millis(at.into()));
            assert_eq!(pace.due(), None);
        }
        let last = began + QUIET;
        pace.told(last);
        assert_eq!(pace.due(), Some(last + JOIN));
        pace.told(last + QUIET * 2);
        assert_eq!(pace.due(), None);
    }
}
