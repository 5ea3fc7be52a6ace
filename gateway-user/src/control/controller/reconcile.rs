//! Brings the objects of one gateway to where they are to be: slices first, then its Service, then its status.

use std::collections::{BTreeSet, HashMap};

use gateway_model::{key::GatewayKey, resolve::Note};
use k8s_openapi::{
    api::{
        core::v1::{ObjectReference, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
    jiff::Timestamp,
};
use kube::{
    Api, Client, Error, ResourceExt as _,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use serde_json::json;

use super::{
    Config,
    leading::Leading,
    service, slices,
    status::{self, Known},
    world::{Change, World, service_name, trimmed},
};
use crate::control::{
    resource::{CONTROLLER, ServiceStatus, WeirGateway, WeirNode},
    table::{Key, Seen, key},
    translate::{self, GatewayFacts, PodFacts},
};

/// Writes for the leader.
pub(super) struct Reconciler {
    client: Client,
    recorder: Recorder,
}

/// What was done for a gateway.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What was written, as the watches will tell it.
    pub(super) written: Vec<Change>,
    /// What could not be.
    pub(super) error: Option<String>,
    /// Something that nobody will tell of has to change first.
    pub(super) is_waiting: bool,
}

impl Reconciler {
    pub(super) fn new(client: Client, config: &Config) -> Self {
        let reporter =
            Reporter { controller: CONTROLLER.to_owned(), instance: Some(config.identity.clone()) };
        Self { recorder: Recorder::new(client.clone(), reporter), client }
    }

    /// Brings a gateway's objects to where they are to be.
    pub(super) async fn reconcile(&self, gateway: &GatewayKey, world: &World, leading: &Leading) -> Outcome {
        let mut outcome = Outcome::default();
        let place = (gateway.namespace.clone(), gateway.name.clone());
        // What belonged to one that is gone goes with it, by owner references.
        let Some(facts) = world.gateways.get(&place) else { return outcome };
        if let Err(error) = self.bring(facts, &place, world, leading, &mut outcome).await {
            outcome.error = Some(error.to_string());
        }
        outcome
    }

    async fn bring(
        &self,
        facts: &GatewayFacts,
        place: &Key,
        world: &World,
        leading: &Leading,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let name = service_name(facts);
        let resolved = leading.resolved(&facts.key);
        let mut told = Err("nothing of the gateway is in force".to_owned());
        if let Some(resolved) = resolved {
            let pods = pods_of(resolved, world);
            let wanted = slices::desired(resolved, &name, &owned(facts), &pods);
            self.bring_slices(&wanted, &(place.0.clone(), name.clone()), world, outcome).await?;
            told = self.bring_service(facts, &name, resolved, world, outcome).await?;
        } else if let Some(service) = &facts.status.service {
            told = Ok(service.clone());
        }
        outcome.is_waiting = resolved.is_some() && told.is_err();
        let known = Known {
            facts,
            resolved,
            kept: leading.kept(&facts.key),
            findings: &leading.findings(&facts.key),
            service: told,
            nodes: world.nodes_status(place),
        };
        let fresh = status::status(&known, Timestamp::now());
        if fresh != facts.status {
            self.write_status(facts, &fresh, outcome).await?;
        }
        Ok(())
    }

    async fn bring_slices(
        &self,
        wanted: &[EndpointSlice],
        service: &Key,
        world: &World,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let api = Api::<EndpointSlice>::namespaced(self.client.clone(), &service.0);
        let present: HashMap<String, &EndpointSlice> =
            world.slices_of(service).map(|slice| (slice.name_any(), slice)).collect();
        for slice in wanted {
            let name = slice.name_any();
            if present.get(&name).is_some_and(|present| is_same(present, slice)) {
                continue;
            }
            let written = api.patch(&name, &apply(), &Patch::Apply(slice)).await?;
            let key = key(&written);
            outcome.written.push(Change::Slice(Seen::Applied(key, Some(trimmed(written)))));
        }
        let names: BTreeSet<String> = wanted.iter().map(|slice| slice.name_any()).collect();
        for name in present.keys().filter(|name| !names.contains(*name)) {
            ignore_missing(api.delete(name, &DeleteParams::default()).await)?;
            outcome.written.push(Change::Slice(Seen::Deleted((service.0.clone(), name.clone()))));
        }
        Ok(())
    }

    /// The Service's status, or why there is none.
    async fn bring_service(
        &self,
        facts: &GatewayFacts,
        name: &str,
        resolved: &gateway_model::resolve::ResolvedGateway,
        world: &World,
        outcome: &mut Outcome,
    ) -> Result<Result<ServiceStatus, String>, Error> {
        let (kind, protocol) = (resolved.kind.to_string(), resolved.kind.protocol().to_string());
        let wanted = service::desired(facts, name, resolved.port, &kind, &protocol.to_ascii_uppercase());
        let api = Api::<Service>::namespaced(self.client.clone(), &facts.key.namespace);
        let place = (facts.key.namespace.clone(), name.to_owned());
        let present = match world.services.get(&place) {
            Some(service) => Some(service.clone()),
            None => api.get_opt(name).await?,
        };
        if let Some(present) = &present {
            if !service::is_ours(present, facts) {
                return Ok(Err(service::foreign(&facts.key, name)));
            }
            if service::is_as_desired(present, &wanted) {
                return Ok(Ok(service::status(present)));
            }
        }
        match api.patch(name, &apply(), &Patch::Apply(&wanted)).await {
            Ok(written) => {
                let told = service::status(&written);
                let change = Seen::Applied(place, Some(trimmed(written)));
                outcome.written.push(Change::Service(Box::new(change)));
                Ok(Ok(told))
            }
            // A port that is taken, a family that the cluster has not: for the user to mend.
            Err(Error::Api(refused)) if refused.code == 422 => {
                Ok(Err(format!("the API server refuses its Service: {}", refused.message)))
            }
            Err(error) => Err(error),
        }
    }

    async fn write_status(
        &self,
        facts: &GatewayFacts,
        status: &crate::control::resource::WeirGatewayStatus,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let api = Api::<WeirGateway>::namespaced(self.client.clone(), &facts.key.namespace);
        // One who does not lead any more, or has not seen the last change, is refused.
        let object = json!({
            "apiVersion": "weir.dev/v1",
            "kind": "WeirGateway",
            "metadata": { "name": facts.key.name, "resourceVersion": facts.version.to_string() },
            "status": status,
        });
        let params = PatchParams { field_manager: Some(CONTROLLER.to_owned()), ..PatchParams::default() };
        match api.patch_status(&facts.key.name, &params, &Patch::Merge(&clear(&object, facts))).await {
            Ok(written) => {
                let facts = translate::gateway(&written);
                outcome.written.push(Change::Gateway(Box::new(Seen::Applied(key(&written), Some(facts)))));
                Ok(())
            }
            // What has changed meanwhile is on its way by the watch; a gateway that is gone needs no status.
            Err(Error::Api(refused)) if refused.code == 409 || refused.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes acknowledgements of nodes that are no more.
    pub(super) async fn remove_nodes(&self, names: &[String]) {
        let api = Api::<WeirNode>::all(self.client.clone());
        for name in names {
            if let Err(error) = ignore_missing(api.delete(name, &DeleteParams::default()).await) {
                tracing::warn!(node = name, %error, "its acknowledgement could not be removed");
            }
        }
    }

    /// Tells users by an event, in the background.
    pub(super) fn tell(&self, world: &World, note: &Note) {
        let place = (note.gateway.namespace.clone(), note.gateway.name.clone());
        let Some(facts) = world.gateways.get(&place) else { return };
        let event = Event {
            type_: EventType::Normal,
            reason: "RoutesChanged".to_owned(),
            note: Some(note.message.clone()),
            action: "Resolve".to_owned(),
            secondary: None,
        };
        let about = ObjectReference {
            api_version: Some("weir.dev/v1".to_owned()),
            kind: Some("WeirGateway".to_owned()),
            name: Some(facts.key.name.clone()),
            namespace: Some(facts.key.namespace.clone()),
            uid: Some(facts.uid.clone()),
            ..ObjectReference::default()
        };
        let recorder = self.recorder.clone();
        tokio::spawn(async move {
            if let Err(error) = recorder.publish(&event, &about).await {
                tracing::debug!(%error, "an event could not be written");
            }
        });
    }
}

fn apply() -> PatchParams {
    PatchParams::apply(CONTROLLER).force()
}

/// A merge removes what is said to be null: fields of the old status that the new one has not.
fn clear(object: &serde_json::Value, facts: &GatewayFacts) -> serde_json::Value {
    let mut object = object.clone();
    let old = serde_json::to_value(&facts.status).unwrap_or_default();
    if let (Some(fresh), Some(old)) = (object["status"].as_object_mut(), old.as_object()) {
        for (name, before) in old {
            match fresh.get_mut(name) {
                None => {
                    fresh.insert(name.clone(), serde_json::Value::Null);
                }
                Some(serde_json::Value::Object(now)) => {
                    let gone = before.as_object().into_iter().flatten().map(|(name, _)| name.clone());
                    for name in gone.filter(|name| !now.contains_key(name)).collect::<Vec<_>>() {
                        now.insert(name, serde_json::Value::Null);
                    }
                }
                Some(_) => {}
            }
        }
    }
    object
}

/// Metadata of what a gateway owns.
fn owned(facts: &GatewayFacts) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(facts.key.namespace.clone()),
        owner_references: Some(vec![OwnerReference {
            api_version: "weir.dev/v1".to_owned(),
            kind: "WeirGateway".to_owned(),
            name: facts.key.name.clone(),
            uid: facts.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..ObjectMeta::default()
    }
}

/// The pods behind a gateway, by identity.
fn pods_of(resolved: &gateway_model::resolve::ResolvedGateway, world: &World) -> HashMap<String, PodFacts> {
    let endpoints = resolved.routes.iter().flat_map(|route| &route.endpoints);
    let pods = endpoints.filter_map(|endpoint| {
        world.pods.get(&(resolved.key.namespace.clone(), endpoint.workload.clone())).cloned()
    });
    pods.map(|pod| (pod.workload.identity(), pod)).collect()
}

fn is_same(present: &EndpointSlice, wanted: &EndpointSlice) -> bool {
    present.endpoints == wanted.endpoints
        && present.ports == wanted.ports
        && present.metadata.labels == wanted.metadata.labels
        && present.metadata.annotations == wanted.metadata.annotations
}

fn ignore_missing<T>(deleted: Result<T, Error>) -> Result<(), Error> {
    match deleted {
        Err(Error::Api(refused)) if refused.code == 404 => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}
