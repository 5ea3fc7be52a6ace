//! Many short TCP connections: connect, learn who answers, close.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    dialect::Dialect,
    journal::{Journal, Record, Tally},
};
use crate::netns::Netns;

/// A connection that takes longer has failed. Longer than the first retransmission of a SYN, so that one lost
/// packet is seen as slowness, not as refusal.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes `count` connections to `to` from `from`, `at_once` at a time, in the dialect of lines.
pub fn connect_many(from: &Netns, to: SocketAddr, count: usize, at_once: usize) -> Tally {
    let journal = Journal::default();
    let records = journal.clone();
    from.run_async(move || async move {
        let permits = Arc::new(Semaphore::new(at_once));
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
            let records = records.clone();
            tasks.spawn(async move {
                records.add(connect_once(Dialect::Lines, to).await);
                drop(permit);
            });
            while tasks.try_join_next().is_some() {}
        }
        while tasks.join_next().await.is_some() {}
    });
    journal.tally(|_| true)
}

/// New connections at a steady rate until stopped. The class of its records is `tcp`.
#[derive(Debug)]
pub struct ConnectLoad {
    journal: Journal,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl ConnectLoad {
    /// Begins `per_second` connections to `to` each second, with one exchange each.
    pub fn start(from: &Netns, to: SocketAddr, dialect: Dialect, per_second: u32) -> Self {
        let journal = Journal::default();
        let records = journal.clone();
        let (stop, mut stopped) = watch::channel(false);
        let thread = from.spawn_async("connect-load", move || async move {
            let mut tasks = JoinSet::new();
            let mut tick = interval(Duration::from_secs(1) / per_second);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !*stopped.borrow_and_update() {
                tick.tick().await;
                let records = records.clone();
                tasks.spawn(async move { records.add(connect_once(dialect, to).await) });
                while tasks.try_join_next().is_some() {}
            }
            while tasks.join_next().await.is_some() {}
        });
        Self { journal, stop, thread: Some(thread) }
    }

    /// What it saw so far.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Begins no more connections and waits for those that are open.
    pub fn stop(mut self) -> Journal {
        self.finish();
        self.journal.clone()
    }

    fn finish(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for ConnectLoad {
    fn drop(&mut self) {
        self.finish();
    }
}

async fn connect_once(dialect: Dialect, to: SocketAddr) -> Record {
    let began = Instant::now();
    let outcome = match timeout(PATIENCE, dialect.greet(to)).await {
        Ok(Ok((answer, _stream))) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    };
    Record { began, ended: Instant::now(), class: "tcp", outcome }
}
