//! The task between the watches and the agent: the first event after a quiet time is told at once; while events keep
//! coming they are joined.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, Instant},
};

use tokio::{
    select,
    sync::{mpsc, watch},
    task::{self, JoinHandle},
    time,
};

use super::{
    kept::Places,
    view::{Change, Delta, View},
    watch::News,
};
use crate::control::pauses::sleep_until;

/// Events that come within this time after others were told are joined with their likes.
const JOIN: Duration = Duration::from_millis(2);
/// For so long an empty list is doubted where there were objects before.
const DOUBT: Duration = Duration::from_secs(15);
/// What is known is kept no more often than this.
const KEEP: Duration = Duration::from_secs(1);
/// A plan that was kept may be a second old: for so long the API server gets the chance to tell a newer one first.
const PATIENCE: Duration = Duration::from_secs(2);
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
        let mut last_told: Option<Instant> = None;
        let mut doubtful_since: Option<Instant> = None;
        let mut patience = Some(Instant::now() + PATIENCE);
        let mut keeper = Keeper::new(self.places.clone());
        let mut remind = time::interval(REMIND);
        remind.tick().await;
        loop {
            let due = last_told.map(|last| last + JOIN).filter(|due| *due > Instant::now());
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
                    keeper.is_stale = true;
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
                        last_told = Some(Instant::now());
                    }
                }
                () = sleep_until(patience), if patience.is_some() => {}
                () = sleep_until(due), if due.is_some() && self.view.has_news() => {}
                () = sleep_until(doubt_ends), if doubt_ends.is_some() => {
                    tracing::warn!("what the API server does not list any more is taken for gone");
                    self.view.believe();
                    doubtful_since = None;
                }
                () = keeper.due(), if keeper.is_stale && self.view.is_known() && !self.view.is_doubtful() => {
                    keeper.keep(&self.view);
                }
                _ = remind.tick(), if !self.view.is_known() => {
                    tracing::warn!(missing = ?self.view.unknown(), "the API server has not told all yet");
                }
            }
        }
    }
}

/// Keeps what is known, off the path of events.
struct Keeper {
    places: Places,
    last: Instant,
    is_stale: bool,
    writing: Option<JoinHandle<()>>,
}

impl Keeper {
    fn new(places: Places) -> Self {
        Self { places, last: Instant::now(), is_stale: false, writing: None }
    }

    /// Waits until it is time, and the last one is written.
    async fn due(&mut self) {
        time::sleep_until((self.last + KEEP).into()).await;
        if let Some(writing) = &mut self.writing {
            let _ = writing.await;
            self.writing = None;
        }
    }

    fn keep(&mut self, view: &View) {
        (self.is_stale, self.last) = (false, Instant::now());
        let (facts, places) = (view.facts(), self.places.clone());
        self.writing = Some(task::spawn_blocking(move || {
            if let Err(error) = places.store(&facts) {
                tracing::error!(%error, "the plan is not kept: without the API server a restart would lose it");
            }
        }));
    }
}
