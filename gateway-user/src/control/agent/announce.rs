//! Which node answers ARP and neighbour solicitations for an address of a pool: the holder of the address's Lease.
//!
//! The leader makes a Lease for each address that it gives out of a pool, and removes it with the address. Every node
//! serves every address, so what a Lease decides is only where its packets enter: two nodes that both answer for a
//! moment, or one that goes on while the API server is away, harm nobody.

mod claims;
mod told;
mod write;

use std::{pin::pin, time::Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    runtime::watcher::{self, watcher},
};
use tokio::{
    select,
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

pub use self::told::{Answers, Told};
use self::{
    claims::Claims,
    write::{Done, Writer},
};
use super::{
    store::Event,
    watch::{News, tell},
};
use crate::control::{
    pauses::{WATCH_SECONDS, sleep_until},
    resource::announcing,
    translate::{self, LeaseFacts},
};

/// How many events may wait to be taken note of.
const EVENTS: usize = 256;

/// Takes part in deciding who answers. Dropping it ends that without a word: the Leases stay this node's until they
/// run out, for a successor to go on.
#[derive(Debug)]
pub struct Announcer {
    told: watch::Sender<Option<Told>>,
    answers: watch::Receiver<Option<Answers>>,
    task: JoinHandle<()>,
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Announcer {
    /// For the node with this name, by Leases in this namespace. It watches at once, and claims nothing before it is
    /// [told](Self::tell) what the node serves.
    pub fn start(client: &Client, namespace: &str, node: &str) -> Self {
        let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
        let (told, receiver) = watch::channel(None);
        let (teller, answers) = watch::channel(None);
        let task = Task {
            claims: Claims::new(node),
            writer: Writer::new(api.clone(), node),
            told: receiver,
            answers: teller,
        };
        let task = tokio::spawn(task.run(api));
        Self { told, answers, task }
    }

    /// Says what the node serves, and what its kernel answers for by now.
    pub fn tell(&self, told: Told) {
        self.told.send_if_modified(|known| {
            let is_new = known.as_ref() != Some(&told);
            *known = Some(told);
            is_new
        });
    }

    /// Gives this node's Leases to others from now on. Until another has taken one, this node is to answer on.
    pub fn leave(&self) {
        self.told.send_modify(|known| known.get_or_insert_default().is_leaving = true);
    }

    /// Waits until the kernel is to answer for others than was given last. May be dropped and called again.
    pub async fn changed(&mut self) -> Answers {
        while self.answers.changed().await.is_ok() {
            if let Some(answers) = self.answers.borrow_and_update().clone() {
                return answers;
            }
        }
        // The task ends with this value only.
        std::future::pending().await
    }
}

struct Task {
    claims: Claims,
    writer: Writer,
    told: watch::Receiver<Option<Told>>,
    answers: watch::Sender<Option<Answers>>,
}

impl Task {
    async fn run(mut self, api: Api<Lease>) {
        let (changes, mut events) = mpsc::channel(EVENTS);
        let which = watcher::Config::default().timeout(WATCH_SECONDS).labels(&announcing());
        let mut watching =
            pin!(tell("Leases", watcher(api, which), changes, translate::lease, |event| event));
        let mut writes: JoinSet<Done> = JoinSet::new();
        loop {
            for step in self.claims.steps(Instant::now()) {
                writes.spawn(self.writer.clone().go(step));
            }
            self.publish();
            let next = self.claims.next();
            select! {
                biased;
                Some(news) = events.recv() => self.note(news),
                Ok(()) = self.told.changed() => {
                    let told = self.told.borrow_and_update().clone();
                    self.claims.tell(told, Instant::now());
                }
                Some(done) = writes.join_next() => match done {
                    Ok(done) => self.claims.end(done, Instant::now()),
                    // What it was about is not known: the process ends, and its successor looks.
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                // It ends with its receiver only.
                () = &mut watching => return,
                () = sleep_until(next), if next.is_some() => {}
            }
        }
    }

    fn note(&mut self, news: News<Event<LeaseFacts>>) {
        match news {
            News::Change(at, event) => self.claims.note(*event, at),
            News::Failed => self.claims.lose(Instant::now()),
        }
    }

    fn publish(&self) {
        let Some(fresh) = self.claims.answers() else { return };
        self.answers.send_if_modified(|known| {
            let is_new = known.as_ref() != Some(&fresh);
            *known = Some(fresh);
            is_new
        });
    }
}
