//! Answering on the network for addresses of pools, as it is agreed on with other nodes.

use std::{net::IpAddr, time::Duration};

use tokio::time::{self, Instant};

use super::{super::declared::Declared, Control, Extent};
use crate::control::agent::announce::{Announcer, Answers, Told};

/// So long others get to take over before this node leaves.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is agreed on, and what the kernel was told of it.
#[derive(Debug)]
pub(super) struct Announcing {
    announcer: Announcer,
    /// `None` until Leases are known: what a predecessor told the kernel counts on.
    agreed: Option<Answers>,
    in_force: Option<Answers>,
}

impl Announcing {
    pub(super) fn new(announcer: Announcer) -> Self {
        Self { announcer, agreed: None, in_force: None }
    }

    /// What the kernel is to be told.
    pub(super) fn due(&self) -> Option<&Answers> {
        self.agreed.as_ref().filter(|agreed| self.in_force.as_ref() != Some(*agreed))
    }
}

impl Control {
    /// Waits until something else is agreed on. May be dropped and called again.
    pub(in crate::app) async fn agreement(&mut self) -> Answers {
        match &mut self.announcing {
            Some(announcing) => announcing.announcer.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Puts in force what is agreed on. While another agent takes over, it is only remembered.
    pub(in crate::app) fn announce(&mut self, agreed: Answers) {
        let Some(announcing) = &mut self.announcing else { return };
        announcing.agreed = Some(agreed);
        if self.phase.kernel().is_none() {
            return;
        }
        let done = self.put_in_force(Extent::Changes);
        self.note(done);
        self.tell();
    }

    /// Takes note of what the kernel was told just now, if anything, and tells others what this node serves.
    pub(super) fn note_announced(&mut self, told: Option<Answers>) {
        let (Some(announcing), Declared::Cluster(cluster)) = (&mut self.announcing, &self.desired.declared)
        else {
            return;
        };
        if let Some(told) = told {
            let before = announcing.in_force.take().unwrap_or_default();
            for (address, answers) in &told {
                if before.get(address).unwrap_or(&false) != answers {
                    tracing::info!(%address, answers, "who answers for this address has changed");
                }
            }
            announcing.in_force = Some(told);
        }
        announcing.announcer.tell(Told {
            servable: cluster.load_balancer_addresses.clone(),
            in_force: announcing.in_force.clone(),
            is_leaving: false,
        });
    }

    /// The kernel is another: it is to be told again.
    pub(super) fn forget_announced(&mut self) {
        if let Some(announcing) = &mut self.announcing {
            announcing.in_force = None;
        }
    }

    /// Addresses that the kernel answers for.
    pub(super) fn announced(&self) -> Vec<IpAddr> {
        let in_force = self.announcing.as_ref().and_then(|announcing| announcing.in_force.as_ref());
        in_force.into_iter().flatten().filter(|(_, answers)| **answers).map(|(address, _)| *address).collect()
    }

    /// Leaves: others are to answer. Where nobody takes over, the kernel goes on, as it does at L4.
    pub(in crate::app) async fn withdraw(&mut self) {
        let Some(announcing) = &self.announcing else { return };
        announcing.announcer.leave();
        let until = Instant::now() + PATIENCE;
        while !self.announced().is_empty() {
            let Ok(agreed) = time::timeout_at(until, self.agreement()).await else { return };
            let Ok(Ok(())) = self.call(|dataplane| dataplane.set_announced(&agreed)) else { return };
            if let Some(announcing) = &mut self.announcing {
                announcing.in_force = Some(agreed);
            }
        }
    }
}
