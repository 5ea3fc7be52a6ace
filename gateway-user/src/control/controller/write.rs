//! Writes to the API server. What comes back is taken note of at once, before the watch tells of it.

mod leases;

use std::{
    fmt::Debug,
    future::Future,
    net::IpAddr,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gateway_model::key::GatewayKey;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions},
    core::ApiResource,
};
use serde_json::{Value, json};
use tokio::time;

use super::{metrics::Metrics, reconcile::Work, watch::Change};
use crate::control::{
    agent::store::Event,
    resource::{CONTROLLER, WeirGateway, WeirGatewayStatus, WeirNode},
    translate,
};

/// How long one write may take: a leader that is cut off stops in time.
const PATIENCE: Duration = Duration::from_secs(2);
/// Why the API server takes nothing new into a namespace that is being deleted.
const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";
/// How many slices of a gateway are written at once.
const AT_ONCE: usize = 8;

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The API server says no, or cannot be asked.
    #[error("{what}: {}", told(source))]
    Refused {
        /// What was written.
        what: String,
        /// What it says.
        source: Box<kube::Error>,
    },
    /// It does not answer.
    #[error("{0}: the API server does not answer")]
    Silent(String),
}

impl WriteError {
    /// Whether somebody else was first: what was seen is not what is there.
    pub(super) fn is_conflict(&self) -> bool {
        self.has_code(409)
    }

    /// Whether what it is about ends, or has ended: its namespace takes nothing new, or there is no such object any
    /// more. The watches tell of it soon.
    pub(super) fn is_of_what_ends(&self) -> bool {
        let Self::Refused { source, .. } = self else { return false };
        let kube::Error::Api(status) = &**source else { return false };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let is_terminating = causes.into_iter().any(|cause| cause.reason == NAMESPACE_TERMINATING);
        status.code == 404 || (status.code == 403 && is_terminating)
    }

    /// Whether the API server did not answer in time.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self, Self::Silent(_))
    }

    /// Whether the API server has looked at it and says no.
    fn is_verdict(&self) -> bool {
        matches!(self, Self::Refused { source, .. } if matches!(&**source, kube::Error::Api(_)))
            && !self.is_conflict()
            && !self.is_of_what_ends()
    }

    fn has_code(&self, code: u16) -> bool {
        matches!(self, Self::Refused { source, .. } if matches!(&**source, kube::Error::Api(error) if error.code == code))
    }
}

/// What the API server says is made for people.
fn told(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error
        && !status.message.is_empty()
    {
        return status.message.clone();
    }
    error.to_string()
}

/// What came of the writes for a gateway.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) gateway: GatewayKey,
    /// What is there now.
    pub(super) changes: Vec<Change>,
    /// What was not written of its slices and its status.
    pub(super) error: Option<WriteError>,
    /// What the API server said against its Service; `None` where it was not asked.
    pub(super) service: Option<Result<(), String>>,
    /// Whether the status was written.
    pub(super) is_status_written: bool,
    /// How long all of it took.
    pub(super) took: Duration,
}

/// Writes to the API server.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) metrics: Metrics,
}

impl Writer {
    /// Writes what is to be written for a gateway.
    pub(super) async fn write(self, gateway: GatewayKey, work: Work) -> Done {
        let began = Instant::now();
        let mut done = Done {
            gateway,
            changes: Vec::new(),
            error: None,
            service: None,
            is_status_written: false,
            took: Duration::ZERO,
        };
        let Work { create, change, status, service, delete } = work;
        let namespace = done.gateway.namespace.clone();
        self.apply_slices(&namespace, create, &mut done).await;
        self.apply_slices(&namespace, change, &mut done).await;
        let name = done.gateway.name.clone();
        let (status, service) = tokio::join!(
            async {
                let (version, status) = status?;
                Some(self.write_status(&namespace, &name, version, status).await)
            },
            async {
                let (service, exists) = service?;
                Some(self.apply_service(&namespace, service, exists).await)
            },
        );
        if let Some(status) = status {
            done.is_status_written = status.is_ok();
            done.take(status);
        }
        match service {
            Some(Ok(change)) => {
                done.service = Some(Ok(()));
                done.changes.push(change);
            }
            // For its user to mend: its endpoints do not wait for that.
            Some(Err(error)) if error.is_verdict() => done.service = Some(Err(error.to_string())),
            Some(Err(error)) => done.take(Err(error)),
            None => {}
        }
        // Without its successors nothing is taken away.
        if done.error.is_none() {
            for (slice, uid) in delete {
                let deleted = self.delete_slice(&namespace, &slice, uid).await;
                done.take(deleted);
            }
        }
        done.took = began.elapsed();
        done
    }

    async fn apply_slices(&self, namespace: &str, slices: Vec<EndpointSlice>, done: &mut Done) {
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
        let applied = stream::iter(slices).map(|slice| {
            let api = &api;
            async move {
                let name = slice.metadata.name.clone().unwrap_or_default();
                let params = PatchParams::apply(CONTROLLER).force();
                let patch = Patch::Apply(&slice);
                let applied = self.ask("slice", &name, api.patch(&name, &params, &patch)).await?;
                Ok(Change::Slice(Event::Applied(translate::slice(applied))))
            }
        });
        let all: Vec<Result<Change, WriteError>> = applied.buffer_unordered(AT_ONCE).collect().await;
        for one in all {
            done.take(one);
        }
    }

    async fn delete_slice(&self, namespace: &str, name: &str, uid: String) -> Result<Change, WriteError> {
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
        let params = only(uid);
        match self.ask("slice", name, api.delete(name, &params)).await {
            Err(error) if !error.has_code(404) => return Err(error),
            Ok(_) | Err(_) => {}
        }
        Ok(Change::Slice(Event::Deleted((namespace.to_owned(), name.to_owned()), 0)))
    }

    /// Only where nobody has changed the gateway since.
    async fn write_status(
        &self,
        namespace: &str,
        name: &str,
        version: String,
        status: WeirGatewayStatus,
    ) -> Result<Change, WriteError> {
        let resource = ApiResource::erase::<WeirGateway>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let mut object =
            DynamicObject::new(name, &resource).within(namespace).data(json!({ "status": status }));
        object.metadata.resource_version = Some(version);
        let params = PostParams { field_manager: Some(CONTROLLER.to_owned()), ..PostParams::default() };
        let written = self.ask("status", name, api.replace_status(name, &params, &object)).await?;
        let what = format!("status {name}");
        let gateway: WeirGateway = written.try_parse().map_err(|error| WriteError::Refused {
            what,
            source: Box::new(kube::Error::SerdeError(serde::de::Error::custom(error))),
        })?;
        Ok(Change::OwnStatus(Box::new(translate::gateway(&gateway))))
    }

    /// One that was made by somebody else just now is not taken over.
    pub(super) async fn apply_service(
        &self,
        namespace: &str,
        service: Value,
        exists: bool,
    ) -> Result<Change, WriteError> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        let name = service["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let params = PatchParams::apply(CONTROLLER);
        let params = if exists { params.force() } else { params };
        if !exists && let Some(there) = self.ask("service", &name, api.get_opt(&name)).await? {
            return Ok(self.told_of(there));
        }
        let applied = self.ask("service", &name, api.patch(&name, &params, &Patch::Apply(&service))).await?;
        Ok(self.told_of(applied))
    }

    fn told_of(&self, service: Service) -> Change {
        Change::Service(Event::Applied(translate::service(service, &self.namespace)))
    }

    /// Gives a Service these load balancer addresses.
    pub(super) async fn give_addresses(
        self,
        namespace: String,
        name: String,
        addresses: Vec<IpAddr>,
    ) -> Result<Vec<Change>, WriteError> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), &namespace);
        let ingress: Vec<Value> =
            addresses.iter().map(|address| json!({ "ip": address.to_string(), "ipMode": "VIP" })).collect();
        let patch = Patch::Merge(json!({ "status": { "loadBalancer": { "ingress": ingress } } }));
        let params = PatchParams { field_manager: Some(CONTROLLER.to_owned()), ..PatchParams::default() };
        let written = self.ask("service", &name, api.patch_status(&name, &params, &patch)).await?;
        Ok(vec![self.told_of(written)])
    }

    /// Makes the shared Service as it is to be.
    pub(super) async fn share(self, service: Value, exists: bool) -> Result<Vec<Change>, WriteError> {
        let namespace = self.namespace.clone();
        Ok(vec![self.apply_service(&namespace, service, exists).await?])
    }

    /// Removes acknowledgements of nodes that are gone.
    pub(super) async fn remove_acks(self, nodes: Vec<(String, String)>) -> Result<Vec<Change>, WriteError> {
        let api: Api<WeirNode> = Api::all(self.client.clone());
        let removed = stream::iter(nodes).map(|(name, uid)| {
            let (api, writer) = (&api, &self);
            async move {
                match writer.ask("node", &name, api.delete(&name, &only(uid))).await {
                    Err(error) if !error.has_code(404) => Err(error),
                    Ok(_) | Err(_) => Ok(Change::Agent(Event::Deleted((String::new(), name), 0))),
                }
            }
        });
        removed.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn ask<T: Debug>(
        &self,
        object: &'static str,
        name: &str,
        asked: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, WriteError> {
        let what = format!("{object} {name}");
        let (result, answer) = match time::timeout(PATIENCE, asked).await {
            Ok(Ok(value)) => ("done", Ok(value)),
            Ok(Err(source)) => ("refused", Err(WriteError::Refused { what, source: Box::new(source) })),
            Err(_) => ("silent", Err(WriteError::Silent(what))),
        };
        self.metrics.count_write(object, result);
        answer
    }
}

fn only(uid: String) -> DeleteParams {
    DeleteParams::default().preconditions(Preconditions { uid: Some(uid), resource_version: None })
}

impl Done {
    fn take(&mut self, result: Result<Change, WriteError>) {
        match result {
            Ok(change) => self.changes.push(change),
            // Another's word counts before a conflict, which passes by itself.
            Err(error) if self.error.as_ref().is_none_or(WriteError::is_conflict) => self.error = Some(error),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: &Value) -> WriteError {
        let status = serde_json::from_value(status.clone()).unwrap();
        WriteError::Refused {
            what: "slice foo".to_owned(),
            source: Box::new(kube::Error::Api(Box::new(status))),
        }
    }

    #[test]
    fn a_namespace_that_is_being_deleted_is_nothing_for_users_to_mend() {
        let terminating = refused(&json!({
            "code": 403, "reason": "Forbidden",
            "message": "services \"foo\" is forbidden: unable to create new content in namespace shop because it is \
                        being terminated",
            "details": { "causes": [{ "reason": "NamespaceTerminating", "field": "metadata.namespace" }] },
        }));
        let gone = refused(
            &json!({ "code": 404, "reason": "NotFound", "message": "namespaces \"shop\" not found" }),
        );
        assert!(terminating.is_of_what_ends() && gone.is_of_what_ends());
        assert!(!terminating.is_verdict() && !gone.is_verdict());
        let denied = refused(&json!({ "code": 403, "reason": "Forbidden", "message": "by a policy" }));
        assert!(denied.is_verdict() && !denied.is_of_what_ends());
        assert!(!WriteError::Silent("slice foo".to_owned()).is_of_what_ends());
    }
}
