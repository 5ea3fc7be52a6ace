//! What is in force in a cluster, worked out as its agents do.

use std::collections::BTreeMap;

use gateway_model::{
    discovery::Kept, finding::Place, gateway::Gateway, key::GatewayKey, planner::Planner, snapshot::Settings,
    workload::Workload,
};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{ListParams, ObjectList},
    core::{ApiResource, DynamicObject},
};

use super::{Cluster, refused};
use crate::{
    admin::views::{FindingView, GatewayView},
    app::{answer, now},
    control::{
        agent::moment::{self, Listed},
        resource::{GATEWAY_LABEL, SERVICE_PROXY, SERVICE_PROXY_LABEL, WeirGateway},
        translate,
    },
};

/// As many objects are listed at once.
const PAGE: u32 = 500;

/// What is in force.
pub(in crate::cli) struct World {
    /// The resources.
    pub(in crate::cli) resources: BTreeMap<GatewayKey, WeirGateway>,
    /// Gateways as in force.
    pub(in crate::cli) in_force: Vec<Gateway>,
    /// Their endpoints.
    pub(in crate::cli) workloads: Vec<Workload>,
    /// What that means.
    pub(in crate::cli) planner: Planner,
}

/// How the model works in a cluster.
pub(in crate::cli) fn settings() -> Settings {
    Settings { given_frontends: true, route_ttl: 0, ..Settings::default() }
}

impl Cluster {
    /// Looks at the gateways of a namespace, or of all.
    pub(in crate::cli) async fn world(&self, namespace: Option<&str>) -> anyhow::Result<World> {
        let resource = ApiResource::erase::<WeirGateway>(&());
        let gateways: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let gateways = list(&gateways, ListParams::default(), "gateways cannot be listed").await?;
        let params = ListParams::default().labels(GATEWAY_LABEL);
        let slices =
            list(&self.api::<EndpointSlice>(namespace), params, "endpoints cannot be listed").await?;
        let params = ListParams::default().labels(&format!("{SERVICE_PROXY_LABEL}={SERVICE_PROXY}"));
        let services = list(&self.api::<Service>(namespace), params, "Services cannot be listed").await?;
        let resources = gateways.iter().map(|object| {
            let resource: WeirGateway = object.clone().try_parse()?;
            Ok((GatewayKey::new(resource.namespace().unwrap_or_default(), resource.name_any()), resource))
        });
        let resources = resources.collect::<anyhow::Result<_>>()?;
        Ok(World::new(resources, Listed { gateways, slices, services }, &self.system_namespace))
    }

    /// The pods of a namespace, as selectors see them.
    pub(in crate::cli) async fn pods(&self, namespace: &str) -> anyhow::Result<Vec<Workload>> {
        let pods =
            list(&self.api::<Pod>(Some(namespace)), ListParams::default(), "pods cannot be listed").await?;
        Ok(pods.iter().filter_map(translate::pod).map(|facts| facts.workload).collect())
    }

    fn api<K>(&self, namespace: Option<&str>) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }
}

/// All objects, page by page.
pub(super) async fn list<K>(api: &Api<K>, params: ListParams, what: &str) -> anyhow::Result<Vec<K>>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let mut params = params.limit(PAGE);
    let mut all = Vec::new();
    loop {
        let ObjectList { metadata, items, .. } =
            api.list(&params).await.map_err(|error| refused(error, what))?;
        all.extend(items);
        match metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(all),
        }
    }
}

impl World {
    fn new(resources: BTreeMap<GatewayKey, WeirGateway>, listed: Listed, system_namespace: &str) -> Self {
        let delta = moment::look(listed, system_namespace);
        let mut by_age: Vec<_> = delta.gateways.into_values().flatten().collect();
        by_age.sort_by_key(|(created, _)| *created);
        let in_force: Vec<Gateway> = by_age.into_iter().map(|(_, gateway)| gateway).collect();
        let workloads: Vec<Workload> = delta.workloads.into_values().flatten().collect();
        let mut planner = Planner::new(settings(), Kept::default());
        planner.set_gateways(in_force.clone());
        for workload in &workloads {
            planner.upsert_workload(workload.clone());
        }
        for (key, frontends) in delta.frontends {
            planner.set_frontends(&key, frontends);
        }
        planner.update(now());
        Self { resources, in_force, workloads, planner }
    }

    /// All gateways, as people see them.
    pub(in crate::cli) fn views(&self) -> Vec<GatewayView> {
        let declared: Vec<Gateway> =
            self.resources.iter().map(|(key, resource)| declared(key, resource)).collect();
        let plan = &self.planner.plan().l4;
        let mut views = answer::gateways(declared.iter(), self.planner.resolved(), plan, &[]);
        for view in &mut views {
            let key = GatewayKey::new(view.namespace.clone(), view.name.clone());
            if let Some(resource) = self.resources.get(&key) {
                complete(view, resource);
            }
        }
        views
    }

    /// One gateway.
    pub(in crate::cli) fn view(&self, namespace: &str, name: &str) -> anyhow::Result<GatewayView> {
        let views = self.views();
        let existing = views.iter().map(GatewayView::key).collect::<Vec<_>>();
        let found = views.into_iter().find(|view| view.namespace == namespace && view.name == name);
        found
            .ok_or_else(|| anyhow::anyhow!(crate::admin::api::unknown(namespace, name, existing.into_iter())))
    }
}

fn declared(key: &GatewayKey, resource: &WeirGateway) -> Gateway {
    let place = Place { file: format!("wgw/{key}"), line: 1, column: 1, length: 1 };
    translate::gateway(resource).spec.gateway.unwrap_or_else(|| Gateway::new(key.clone(), place))
}

/// Adds what only the resource knows: who gave a weight, where nodes answer, what the leader found wrong.
fn complete(view: &mut GatewayView, resource: &WeirGateway) {
    view.declared = Some(format!("WeirGateway {}", view.key()));
    let found = |severity: &str, code: &str, message: String, advice: &str| FindingView {
        code: code.to_owned(),
        severity: severity.to_owned(),
        gateway: None,
        place: None,
        message,
        advice: advice.to_owned(),
    };
    let Some(status) = &resource.status else {
        let message = "the leader has not put it in force yet".to_owned();
        view.findings.push(found("warning", "pending", message, "see whether the controller runs"));
        return;
    };
    for route in &mut view.routes {
        let Some(of) = status.routes.iter().find(|of| of.name == route.name) else { continue };
        route.weight.origin.clone_from(&of.origin);
        route.rolled_back = of.rolled_back;
    }
    if let Some(node_port) = status.service.as_ref().and_then(|service| service.node_port) {
        let protocol = if status.type_.as_deref() == Some("udp") { "udp" } else { "tcp" };
        view.frontends.push(format!("<node>:{node_port}/{protocol}"));
    }
    let wrong = status.conditions.iter().filter(|condition| condition.status == "False");
    view.findings.extend(wrong.map(|condition| {
        let severity = if condition.type_ == "Accepted" { "error" } else { "warning" };
        let message = format!("{}: {}", condition.type_, condition.message);
        found(severity, &condition.reason, message, "`kubectl describe wgw` shows when that began")
    }));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_gateway_is_shown_as_declared_with_what_is_in_force() {
        let object = json!({
            "apiVersion": "weir.dev/v1", "kind": "WeirGateway",
            "metadata": {"name": "foo", "namespace": "shop", "resourceVersion": "7"},
            "spec": {"selector": "label(app)(foo) && label(version)((.*))"},
            "status": {
                "observedGeneration": 1, "port": 9050, "type": "http",
                "routes": [
                    {"name": "(1)", "weight": "95%", "origin": "cli"},
                    {"name": "(2)", "weight": "5%", "origin": "discovery", "rolledBack": true}
                ],
                "service": {"name": "foo", "nodePort": 30950},
                "conditions": [{"type": "Programmed", "status": "False", "reason": "Lagging", "message": "n2 lags",
                                "lastTransitionTime": "2026-11-25T12:00:00Z"}]
            }
        });
        let slice = json!({
            "metadata": {"name": "s", "namespace": "shop", "labels": {"weir.dev/gateway": "foo"},
                         "annotations": {"weir.dev/route": "(1)"}},
            "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [{"addresses": ["10.0.0.1"]}]
        });
        let resource: WeirGateway = serde_json::from_value(object.clone()).unwrap();
        let key = GatewayKey::new("shop", "foo");
        let listed = Listed {
            gateways: vec![serde_json::from_value(object).unwrap()],
            slices: vec![serde_json::from_value(slice).unwrap()],
            services: Vec::new(),
        };
        let world = World::new(BTreeMap::from([(key, resource)]), listed, "weir-system");
        let view = world.view("shop", "foo").unwrap();
        assert_eq!((view.port.as_deref(), view.level.as_str()), (Some("9050/http"), "kernel"));
        assert_eq!(view.selector.as_deref(), Some("label(app)(foo) && label(version)((.*))"));
        let routes: Vec<_> = view
            .routes
            .iter()
            .map(|route| {
                (
                    route.weight.value.as_str(),
                    route.weight.origin.as_str(),
                    route.in_force.as_str(),
                    route.endpoints.len(),
                    route.rolled_back,
                )
            })
            .collect();
        assert_eq!(routes, [("95%", "cli", "100%", 1, false), ("5%", "discovery", "0%", 0, true)]);
        assert_eq!(view.frontends, ["<node>:30950/tcp"]);
        assert_eq!(view.findings[0].code, "Lagging");
        let error = world.view("shop", "bar").unwrap_err().to_string();
        assert!(error.contains("shop/foo"), "{error}");
    }
}
