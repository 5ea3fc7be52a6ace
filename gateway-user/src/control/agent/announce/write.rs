//! Writes of Leases, each of the version that was seen.

use std::{future::Future, time::Duration};

use k8s_openapi::{
    api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp,
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time;

use super::{
    super::facts::Key,
    claims::{Step, Wish},
};
use crate::control::{
    resource::announcing,
    translate::{self, LASTS, LeaseFacts},
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What came of a step.
#[derive(Debug)]
pub(super) enum Done {
    /// Of a write.
    Written(Key, Outcome),
    /// All Leases there are; `None` where nobody says.
    Looked(Option<Vec<LeaseFacts>>),
}

/// What came of a write.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is like this now, by this write or by one that was first.
    Is(LeaseFacts),
    /// There is no such Lease any more.
    Gone,
    /// The API server does not answer, or says no.
    Failed,
}

/// Writes for a node.
#[derive(Clone)]
pub(super) struct Writer {
    api: Api<Lease>,
    node: String,
}

impl Writer {
    pub(super) fn new(api: Api<Lease>, node: &str) -> Self {
        Self { api, node: node.to_owned() }
    }

    /// Does what is to be done.
    pub(super) async fn go(self, step: Step) -> Done {
        match step {
            Step::Write(lease, wish) => {
                let outcome = match self.write(&lease, wish).await {
                    Ok(Some(lease)) => Outcome::Is(lease),
                    Ok(None) => Outcome::Gone,
                    Err(error) => {
                        tracing::debug!(error, address = %lease.address, ?wish, "it is tried again");
                        Outcome::Failed
                    }
                };
                Done::Written(lease.key, outcome)
            }
            Step::Look => {
                let which = ListParams::default().labels(&announcing());
                let found = ask(self.api.list(&which)).await.ok();
                Done::Looked(found.map(|found| found.into_iter().filter_map(translate::lease).collect()))
            }
        }
    }

    /// Gives the Lease as it is afterwards.
    async fn write(&self, lease: &LeaseFacts, wish: Wish) -> Result<Option<LeaseFacts>, String> {
        let name = &lease.key.1;
        let patch = Patch::Merge(self.patch(lease, wish));
        let written = ask(self.api.patch(name, &PatchParams::default(), &patch)).await;
        let found = match written {
            Ok(written) => Some(written),
            Err((Some(404), _)) => None,
            Err((Some(409), _)) => ask(self.api.get_opt(name)).await.map_err(|(_, error)| error)?,
            Err((_, error)) => return Err(error),
        };
        Ok(found.and_then(translate::lease))
    }

    /// With the version: one that somebody else has written since is not written.
    fn patch(&self, lease: &LeaseFacts, wish: Wish) -> Value {
        let now = MicroTime(Timestamp::now());
        let spec = match wish {
            Wish::Renew => json!({ "renewTime": now, "leaseDurationSeconds": LASTS.as_secs() }),
            Wish::Take => json!({
                "holderIdentity": self.node,
                "leaseDurationSeconds": LASTS.as_secs(),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": lease.transitions.saturating_add(1),
            }),
            Wish::Release => json!({ "holderIdentity": "" }),
        };
        json!({ "metadata": { "resourceVersion": lease.version.to_string() }, "spec": spec })
    }
}

/// Fails with the API server's code, if it has answered, and what is wrong.
async fn ask<T>(asked: impl Future<Output = kube::Result<T>>) -> Result<T, (Option<u16>, String)> {
    match time::timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err((Some(status.code), status.message.clone())),
        Ok(Err(error)) => Err((None, error.to_string())),
        Err(_) => Err((None, "the API server does not answer".to_owned())),
    }
}
