//! Leading by a Lease. Whether another still leads is told by watching its renewals with the own clock; clocks of two
//! machines are never compared.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Error,
    api::{ObjectMeta, PostParams},
};
use tokio::{sync::watch, time};

/// After this long without a renewal another may take it.
const DURATION: Duration = Duration::from_secs(10);
/// Without a renewal for this long the leader steps down: well before another may take it.
const DEADLINE: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_secs(2);

/// Who leads, as one candidate sees it.
#[derive(Debug)]
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// What another's lease looked like, and since when.
    observed: Option<(String, Instant)>,
    renewed: Option<Instant>,
}

impl Candidate {
    /// One who is not leading yet.
    pub fn new(api: Api<Lease>, name: &str, identity: &str) -> Self {
        Self { api, name: name.to_owned(), identity: identity.to_owned(), observed: None, renewed: None }
    }

    /// Tries for ever, and tells whether it leads; until `stop` resolves, when it gives the lease back.
    pub async fn run(mut self, leads: watch::Sender<bool>, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let tried = time::timeout(DEADLINE - PAUSE, self.attempt(Instant::now())).await;
            match tried {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the lease cannot be renewed or taken"),
                Err(_) => tracing::warn!("the API server does not answer about the lease"),
            }
            let is_leading = self.is_leading(Instant::now());
            leads.send_if_modified(|leads| std::mem::replace(leads, is_leading) != is_leading);
            tokio::select! {
                () = time::sleep(PAUSE) => {}
                () = &mut stop => break,
            }
        }
        leads.send_replace(false);
        if self.renewed.is_some()
            && let Err(error) = self.release().await
        {
            tracing::warn!(%error, "the lease could not be given back; another waits for it to run out");
        }
    }

    fn is_leading(&self, now: Instant) -> bool {
        self.renewed.is_some_and(|renewed| now.duration_since(renewed) < DEADLINE)
    }

    async fn attempt(&mut self, now: Instant) -> Result<(), Error> {
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let lease = self.lease(ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() }, 0);
            return self.take(self.api.create(&PostParams::default(), &lease).await, now);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let transitions = spec.lease_transitions.unwrap_or(0);
        let is_ours = holder == self.identity;
        if !is_ours && !holder.is_empty() && !self.is_over(&holder, &spec, now) {
            self.renewed = None;
            return Ok(());
        }
        let transitions = if is_ours { transitions } else { transitions + 1 };
        let fresh = self.lease(lease.metadata, transitions);
        self.take(self.api.replace(&self.name, &PostParams::default(), &fresh).await, now)
    }

    /// Whether another's lease has not been renewed for its duration, as observed here.
    fn is_over(&mut self, holder: &str, spec: &LeaseSpec, now: Instant) -> bool {
        let look = format!("{holder} {:?}", spec.renew_time);
        let duration = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(DURATION, Duration::from_secs);
        match &self.observed {
            Some((seen, since)) if *seen == look => now.duration_since(*since) >= duration,
            _ => {
                self.observed = Some((look, now));
                false
            }
        }
    }

    fn take(&mut self, written: Result<Lease, Error>, now: Instant) -> Result<(), Error> {
        match written {
            Ok(_) => {
                self.renewed = Some(now);
                Ok(())
            }
            // Another was quicker.
            Err(Error::Api(status)) if status.code == 409 => {
                self.observed = None;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn lease(&self, metadata: ObjectMeta, transitions: i32) -> Lease {
        let now = MicroTime(Timestamp::now());
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(DURATION.as_secs() as i32),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_transitions: Some(transitions),
                ..LeaseSpec::default()
            }),
        }
    }

    async fn release(&self) -> Result<(), Error> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(&self.identity) {
            spec.holder_identity = Some(String::new());
            self.api.replace(&self.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}
