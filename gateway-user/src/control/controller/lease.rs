//! Who leads: the holder of a Lease. A standby takes it where it has not seen it renewed for as long as it lasts, by
//! its own watch: clocks of two machines are never compared. The holder stops leading before that time is over.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{self, Instant},
};

/// How long a Lease lasts without being renewed.
const LASTS: Duration = Duration::from_secs(10);
/// After this time without renewal its holder stops.
const DEADLINE: Duration = Duration::from_secs(7);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// One who would lead.
#[derive(Debug)]
pub(super) struct Candidate {
    standing: watch::Receiver<bool>,
    task: JoinHandle<()>,
    lease: Claim,
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Candidate {
    /// Begins to try; `identity` is nobody else's.
    pub(super) fn start(client: &Client, namespace: &str, name: &str, identity: &str) -> Self {
        let lease = Claim {
            api: Api::namespaced(client.clone(), namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
        };
        let (tell, standing) = watch::channel(false);
        Self { standing, task: tokio::spawn(stand(lease.clone(), tell)), lease }
    }

    /// Waits until it leads, or until it does not.
    pub(super) async fn until(&mut self, is_leader: bool) {
        if self.standing.wait_for(|leads| *leads == is_leader).await.is_err() {
            // The task has no end of its own.
            std::future::pending::<()>().await;
        }
    }

    /// Leaves: another may lead at once.
    pub(super) async fn leave(self) {
        self.task.abort();
        if !*self.standing.borrow() {
            return;
        }
        if let Err(error) = time::timeout(PAUSE, self.lease.release()).await.unwrap_or(Ok(())) {
            tracing::warn!(%error, "the lease was not released: another takes over once it has run out");
        }
    }
}

async fn stand(lease: Claim, tell: watch::Sender<bool>) {
    let mut seen: Option<Seen> = None;
    let mut renewed: Option<Instant> = None;
    loop {
        let began = Instant::now();
        let deadline = renewed.map_or(began + DEADLINE, |renewed| renewed + DEADLINE);
        match time::timeout_at(deadline, lease.attempt(&mut seen)).await {
            Ok(Ok(true)) => renewed = Some(began),
            Ok(Ok(false)) => renewed = None,
            Ok(Err(error)) => {
                tracing::warn!(%error, leads = renewed.is_some(), "the lease cannot be asked for");
            }
            Err(_) => tracing::warn!(leads = renewed.is_some(), "nobody answers who has the lease"),
        }
        renewed = renewed.filter(|renewed| renewed.elapsed() < DEADLINE);
        let leads = renewed.is_some();
        tell.send_if_modified(|known| {
            let is_new = *known != leads;
            if is_new {
                tracing::info!(leads, identity = lease.identity, "who leads has changed");
            }
            *known = leads;
            is_new
        });
        let next = renewed.map_or(PAUSE, |renewed| PAUSE.min((renewed + DEADLINE) - Instant::now()));
        time::sleep(next).await;
    }
}

/// A Lease as it was seen first in this state.
#[derive(Debug)]
struct Seen {
    spec: LeaseSpec,
    at: Instant,
}

/// What is to be done about a Lease.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It is ours.
    Renew,
    /// It is nobody's any more.
    Take,
    /// It is another's.
    Wait,
}

fn decide(spec: &LeaseSpec, identity: &str, unchanged_for: Duration) -> Step {
    let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    match spec.holder_identity.as_deref() {
        Some(holder) if holder == identity => Step::Renew,
        None | Some("") => Step::Take,
        Some(_) if unchanged_for >= lasts.map_or(LASTS, Duration::from_secs) => Step::Take,
        Some(_) => Step::Wait,
    }
}

#[derive(Clone, Debug)]
struct Claim {
    api: Api<Lease>,
    name: String,
    identity: String,
}

impl Claim {
    /// Tries to have the lease; tells whether that is so.
    async fn attempt(&self, seen: &mut Option<Seen>) -> kube::Result<bool> {
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let spec = Some(self.held(&LeaseSpec::default(), true));
            return won(self.api.create(&PostParams::default(), &Lease { metadata, spec }).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let known = match seen.take() {
            Some(known) if known.spec == spec => known,
            Some(_) | None => Seen { spec: spec.clone(), at: Instant::now() },
        };
        let step = decide(&spec, &self.identity, known.at.elapsed());
        *seen = Some(known);
        if step == Step::Wait {
            return Ok(false);
        }
        // With its version: of two who take it one wins.
        let fresh = Lease { spec: Some(self.held(&spec, step == Step::Take)), ..lease };
        won(self.api.replace(&self.name, &PostParams::default(), &fresh).await)
    }

    fn held(&self, before: &LeaseSpec, is_new: bool) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(LASTS.as_secs() as i32),
            acquire_time: if is_new { Some(now.clone()) } else { before.acquire_time.clone() },
            renew_time: Some(now),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(is_new)),
            ..LeaseSpec::default()
        }
    }

    async fn release(&self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return Ok(());
        }
        spec.holder_identity = Some(String::new());
        self.api.replace(&self.name, &PostParams::default(), &lease).await.map(drop)
    }
}

/// Somebody else was first, or it is ours.
fn won(written: kube::Result<Lease>) -> kube::Result<bool> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(error)) if error.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(holder: &str) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(10),
            // What its clock says does not matter.
            renew_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_is_taken_only_when_it_was_not_seen_renewed_for_as_long_as_it_lasts() {
        assert_eq!(decide(&held_by("a"), "b", Duration::from_secs(9)), Step::Wait);
        assert_eq!(decide(&held_by("a"), "b", Duration::from_secs(10)), Step::Take);
        assert_eq!(decide(&held_by("a"), "a", Duration::ZERO), Step::Renew);
        assert_eq!(decide(&held_by(""), "b", Duration::ZERO), Step::Take);
        assert_eq!(decide(&LeaseSpec::default(), "b", Duration::ZERO), Step::Take);
    }

    #[test]
    fn a_holder_stops_before_another_may_take_over() {
        assert!(DEADLINE + PAUSE < LASTS, "a try that is under way ends in time as well");
    }
}
