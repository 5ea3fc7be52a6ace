//! The task of a controller: takes note of what watches tell, and, while it leads, writes what comes of it.
//!
//! Nothing is written before everything is known. The first event after a quiet time is acted on at once; while
//! events keep coming they are joined.

mod course;
mod others;
mod room;
mod tell;

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant, SystemTime},
};

use gateway_model::key::GatewayKey;
use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};
use tokio::{select, sync::mpsc, task::JoinSet, time};

use self::{course::Course, others::Others, room::Room};
use super::{
    cluster::{Cluster, Stale},
    lease::Candidate,
    metrics::Metrics,
    watch::Change,
    write::{Done, WriteError, Writer},
};
use crate::control::{pauses::sleep_until, resource::CONTROLLER};

/// Events that come within this time after others were acted on are joined with their likes.
const JOIN: Duration = Duration::from_millis(10);
/// For so long an empty list is doubted where there were objects before.
const DOUBT: Duration = Duration::from_secs(15);
/// Without everything being known, what is missing is logged this often.
const REMIND: Duration = Duration::from_secs(10);

/// A task that has ended.
enum Ended {
    /// Writes for a gateway.
    Gateway(Box<Done>),
    /// Writes for something else: what is there now.
    Other(Result<Vec<Change>, WriteError>),
    /// An event was told.
    Told,
}

/// The task.
pub(super) struct Lead {
    cluster: Cluster,
    writer: Writer,
    recorder: Recorder,
    metrics: Metrics,
    courses: HashMap<GatewayKey, Course>,
    /// Gateways with something to look at.
    waiting: HashSet<GatewayKey>,
    room: Room,
    others: Others,
    tasks: JoinSet<Ended>,
    leads: bool,
    /// Whether statuses were gone on from.
    has_begun: bool,
    /// When the events that were not acted on yet began to arrive.
    arrived: Option<Instant>,
    looked: Option<Instant>,
    doubtful_since: Option<Instant>,
}

impl Lead {
    /// Nothing is known yet.
    pub(super) fn new(client: Client, cluster: Cluster, identity: &str, metrics: Metrics) -> Self {
        let reporter = Reporter { controller: CONTROLLER.to_owned(), instance: Some(identity.to_owned()) };
        let namespace = cluster.namespace().to_owned();
        Self {
            writer: Writer { client: client.clone(), namespace, metrics: metrics.clone() },
            cluster,
            recorder: Recorder::new(client, reporter),
            metrics,
            courses: HashMap::new(),
            waiting: HashSet::new(),
            room: Room::default(),
            others: Others::default(),
            tasks: JoinSet::new(),
            leads: false,
            has_begun: false,
            arrived: None,
            looked: None,
            doubtful_since: None,
        }
    }

    /// Follows what watches tell, until nothing is told any more.
    pub(super) async fn follow(
        mut self,
        events: &mut mpsc::Receiver<(Instant, Change)>,
        candidate: &mut Candidate,
    ) {
        let mut remind = time::interval(REMIND);
        remind.tick().await;
        loop {
            let due = self.due();
            select! {
                biased;
                () = candidate.until(!self.leads) => self.lead(!self.leads),
                event = events.recv() => {
                    let Some(event) = event else { return };
                    self.note(event, events);
                }
                Some(ended) = self.tasks.join_next() => self.end(ended),
                () = sleep_until(due), if due.is_some() => {}
                _ = remind.tick() => self.remind(),
            }
            self.work();
        }
    }

    /// Leads from now on, or does not: then what it was writing ends, and only what it watches is still known.
    fn lead(&mut self, leads: bool) {
        self.leads = leads;
        self.metrics.set_leader(leads);
        if !leads {
            self.tasks = JoinSet::new();
            self.courses.clear();
            self.waiting.clear();
            (self.room, self.others, self.has_begun) = (Room::default(), Others::default(), false);
            self.cluster.rest(now());
        }
    }

    /// What has come already is taken together.
    fn note(&mut self, (at, change): (Instant, Change), events: &mut mpsc::Receiver<(Instant, Change)>) {
        self.cluster.handle(change);
        for _ in 0..events.len() {
            let Ok((_, change)) = events.try_recv() else { break };
            self.cluster.handle(change);
        }
        if self.has_begun && self.cluster.has_news() {
            self.arrived.get_or_insert(at);
        }
    }

    fn remind(&self) {
        let unknown = self.cluster.unknown();
        if !unknown.is_empty() {
            tracing::warn!(?unknown, "the API server has not told all yet");
        }
    }

    /// When there is something to do though nothing happens.
    fn due(&self) -> Option<Instant> {
        let doubt = self.doubtful_since.map(|since| since + DOUBT);
        if !self.has_begun {
            return doubt;
        }
        let join = self.looked.filter(|_| self.cluster.has_news()).map(|looked| looked + JOIN);
        let life = self.cluster.deadline().map(|at| {
            Instant::now() + Duration::from_secs(at.saturating_sub(now())).max(Duration::from_millis(200))
        });
        let courses = self.waiting.iter().filter_map(|key| self.courses.get(key)?.ready_at());
        courses.chain(doubt).chain(join).chain(life).chain(self.others.ready_at()).min()
    }

    fn work(&mut self) {
        let is_known = self.cluster.unknown().is_empty();
        let (gateways, pods) = self.cluster.counts();
        self.metrics.set_ready(is_known);
        self.metrics.set_known(gateways, pods);
        if !is_known || !self.leads || self.doubts() {
            return;
        }
        if !self.has_begun {
            self.cluster.begin(now());
            self.has_begun = true;
            tracing::info!(gateways, pods, "leading");
        }
        self.look();
        self.dispatch();
        self.dispatch_others();
    }

    /// Whether it is to be waited because there is less than there should be.
    fn doubts(&mut self) -> bool {
        if !self.cluster.is_doubtful() {
            self.doubtful_since = None;
            return false;
        }
        let since = *self.doubtful_since.get_or_insert_with(Instant::now);
        if since.elapsed() < DOUBT {
            // What is known stays and is acted on; it is only that nothing begins on it.
            return !self.has_begun;
        }
        tracing::warn!("what the API server does not list any more is taken for gone");
        self.cluster.believe();
        self.doubtful_since = None;
        false
    }

    /// Works out what changes bring about, where it is time.
    fn look(&mut self) {
        let is_expired = self.cluster.deadline().is_some_and(|deadline| deadline <= now());
        let is_joining = self.looked.is_some_and(|looked| looked.elapsed() < JOIN);
        if !is_expired && (!self.cluster.has_news() || is_joining) {
            return;
        }
        let look = self.cluster.look(now());
        let arrived = self.arrived.take();
        // One that was made again meanwhile is another.
        for key in look.gone {
            self.courses.remove(&key);
            self.waiting.remove(&key);
        }
        for (key, stale) in look.stale {
            if self.cluster.of(&key).is_none() {
                continue;
            }
            self.courses.entry(key.clone()).or_default().mark(stale, arrived);
            self.waiting.insert(key);
        }
        for note in look.notes {
            tracing::info!(gateway = %note.gateway, "{}", note.message);
            self.tell(&note.gateway, "RouteChanged", note.message, false);
        }
        self.others.mark(look.addresses, look.nodes);
        self.looked = Some(Instant::now());
    }

    fn end(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        match ended {
            Ok(Ended::Gateway(done)) => self.end_gateway(*done),
            Ok(Ended::Other(result)) => self.end_other(result),
            Ok(Ended::Told) => {}
            // A write has panicked: what it was about is not known, so all is looked at again after a restart.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Marks all of a gateway to be looked at again.
    fn mark_all(&mut self, key: &GatewayKey) {
        if let Some(course) = self.courses.get_mut(key) {
            course.mark(Stale { slices: true }, None);
            self.waiting.insert(key.clone());
        }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
