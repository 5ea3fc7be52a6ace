//! A gateway's Service: without a selector, and left to Weir by kube-proxy.

use gateway_model::{
    key::GatewayKey,
    snapshot::{SHARED_PORT, SHARED_TLS_PORT},
};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use serde_json::{Map, Value, json};

use super::slices::short_hash;
use crate::control::{
    resource::{GATEWAY_LABEL, SERVICE_PROXY, SERVICE_PROXY_LABEL, ServiceSpec, ServiceStatus},
    translate::{GatewayFacts, SHARED_SERVICE},
};

/// Annotation that says what was asked for last: what is no longer asked for is to go.
const APPLIED: &str = "weir.dev/applied";

/// What is asked of the API server for a gateway with this port, `http`, `tcp`, …
pub(super) fn desired(facts: &GatewayFacts, name: &str, port: u16, kind: &str, protocol: &str) -> Value {
    let spec = &facts.service;
    let mut own_port = json!({ "name": kind, "port": port, "protocol": protocol });
    if let Some(node_port) = spec.node_port {
        own_port["nodePort"] = json!(node_port);
    }
    let mut fields = json!({
        "type": spec.type_.as_deref().unwrap_or("NodePort"),
        "ipFamilyPolicy": families(spec),
        "ports": [own_port],
    });
    fill(&mut fields, spec);
    let mut labels: Map<String, Value> =
        spec.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    labels.insert(SERVICE_PROXY_LABEL.to_owned(), json!(SERVICE_PROXY));
    labels.insert(GATEWAY_LABEL.to_owned(), json!(name));
    labels.insert("app.kubernetes.io/managed-by".to_owned(), json!("weir"));
    let mut annotations: Map<String, Value> =
        spec.annotations.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let hash = short_hash(&json!([fields, labels, annotations]).to_string());
    annotations.insert(APPLIED.to_owned(), json!(hash));
    annotations.insert(GATEWAY_LABEL.to_owned(), json!(facts.key.name));
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": facts.key.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner(facts)],
        },
        "spec": fields,
    })
}

/// Both families where the cluster has both, unless the gateway says otherwise. One that names a family, or an address,
/// is to have that and no other.
fn families(spec: &ServiceSpec) -> &str {
    let names_one = spec.ip_families.len() == 1 || spec.cluster_ips.len() == 1;
    let default = if names_one { "SingleStack" } else { "PreferDualStack" };
    spec.ip_family_policy.as_deref().unwrap_or(default)
}

fn fill(fields: &mut Value, spec: &ServiceSpec) {
    let texts = [
        ("externalTrafficPolicy", &spec.external_traffic_policy),
        ("internalTrafficPolicy", &spec.internal_traffic_policy),
        ("sessionAffinity", &spec.session_affinity),
        ("loadBalancerClass", &spec.load_balancer_class),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            fields[name] = json!(value);
        }
    }
    let lists = [
        ("clusterIPs", &spec.cluster_ips),
        ("loadBalancerSourceRanges", &spec.load_balancer_source_ranges),
        ("externalIPs", &spec.external_ips),
        ("ipFamilies", &spec.ip_families),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        fields[name] = json!(list);
    }
    if let Some(first) = spec.cluster_ips.first() {
        fields["clusterIP"] = json!(first);
    }
    if let Some(port) = spec.health_check_node_port {
        fields["healthCheckNodePort"] = json!(port);
    }
}

/// Who owns what is made for a gateway: it goes with it.
pub(super) fn owner(facts: &GatewayFacts) -> Value {
    json!({
        "apiVersion": "weir.dev/v1",
        "kind": "WeirGateway",
        "name": facts.key.name,
        "uid": facts.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Whether a Service is the one that was made for this gateway.
pub(super) fn is_ours(service: &Service, facts: &GatewayFacts) -> bool {
    service.owner_references().iter().any(|owner| owner.uid == facts.uid)
}

/// Whether a Service is as it is desired: nothing else was asked for last, and nobody has changed what was.
pub(super) fn is_as_desired(service: &Service, desired: &Value) -> bool {
    let applied = service.annotations().get(APPLIED);
    applied.map(String::as_str) == desired["metadata"]["annotations"][APPLIED].as_str()
        && holds(&json!(service.metadata), &desired["metadata"])
        && holds(&json!(service.spec), &desired["spec"])
}

/// Whether all that is wanted is there; there may be more.
fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| found.get(name).is_some_and(|found| holds(found, wanted)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(found, wanted)| holds(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

/// What is asked of the API server for the Service that all gateways with virtual hosts share; `found` is the one that
/// is there, whose type and families stay.
pub(super) fn shared(namespace: &str, found: Option<&Service>) -> Value {
    let spec = found.and_then(|found| found.spec.as_ref());
    let type_ = spec.and_then(|spec| spec.type_.as_deref()).unwrap_or("LoadBalancer");
    let families = spec.and_then(|spec| spec.ip_family_policy.as_deref()).unwrap_or("PreferDualStack");
    let port = |name: &str, port: u16| json!({ "name": name, "port": port, "protocol": "TCP" });
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": SHARED_SERVICE,
            "namespace": namespace,
            "labels": {
                SERVICE_PROXY_LABEL: SERVICE_PROXY,
                "app.kubernetes.io/name": "weir",
                "app.kubernetes.io/component": "agent",
                "app.kubernetes.io/managed-by": "weir",
            },
        },
        "spec": {
            "type": type_,
            "ipFamilyPolicy": families,
            "ports": [port("http", SHARED_PORT), port("https", SHARED_TLS_PORT)],
        },
    })
}

/// Whether the shared Service is as it is to be; all else of it is the operator's.
pub(super) fn is_shared_as_desired(service: &Service, desired: &Value) -> bool {
    holds(&json!(service.metadata), &desired["metadata"]) && holds(&json!(service.spec), &desired["spec"])
}

/// What a gateway's status says of its Service.
pub(super) fn status(service: &Service) -> ServiceStatus {
    let spec = &service.spec.clone().unwrap_or_default();
    let port = |port: Option<i32>| port.filter(|port| *port > 0);
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    let addresses = ingress.into_iter().flatten();
    ServiceStatus {
        name: service.name_any(),
        type_: spec.type_.clone(),
        cluster_ips: spec.cluster_ips.clone().unwrap_or_default(),
        node_port: port(spec.ports.iter().flatten().find_map(|port| port.node_port)),
        health_check_node_port: port(spec.health_check_node_port),
        addresses: addresses.filter_map(|one| one.ip.clone().or_else(|| one.hostname.clone())).collect(),
    }
}

/// Why the Service of a gateway cannot be made: another one has its name.
pub(super) fn foreign(key: &GatewayKey, name: &str) -> String {
    format!(
        "there is a Service `{name}` in namespace {} that is not this gateway's; it is left alone: rename the \
         gateway, or delete that Service",
        key.namespace
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::translate;

    fn facts(service: &Value) -> GatewayFacts {
        let object = json!({
            "apiVersion": "weir.dev/v1", "kind": "WeirGateway",
            "metadata": { "name": "foo", "namespace": "shop", "uid": "u" },
            "spec": { "selector": "true", "service": service },
        });
        translate::gateway(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn it_has_no_selector_and_is_left_to_weir() {
        let desired = desired(&facts(&json!({})), "foo", 80, "http", "TCP");
        assert_eq!(
            desired["spec"],
            json!({ "type": "NodePort", "ipFamilyPolicy": "PreferDualStack", "ports":
            [{ "name": "http", "port": 80, "protocol": "TCP" }] })
        );
        assert_eq!(desired["metadata"]["labels"][SERVICE_PROXY_LABEL], "weir");
        assert_eq!(desired["metadata"]["ownerReferences"][0]["uid"], "u");
    }

    #[test]
    fn it_has_both_families_unless_the_gateway_says_otherwise() {
        let policy = |service: &Value| {
            desired(&facts(service), "foo", 80, "http", "TCP")["spec"]["ipFamilyPolicy"].clone()
        };
        assert_eq!(policy(&json!({})), "PreferDualStack");
        assert_eq!(policy(&json!({ "ipFamilies": ["IPv6", "IPv4"] })), "PreferDualStack");
        assert_eq!(policy(&json!({ "ipFamilies": ["IPv6"] })), "SingleStack");
        assert_eq!(policy(&json!({ "clusterIPs": ["10.96.0.9"] })), "SingleStack");
        assert_eq!(policy(&json!({ "ipFamilyPolicy": "SingleStack" })), "SingleStack");
        let both = json!({ "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"] });
        assert_eq!(policy(&both), "RequireDualStack");
    }

    #[test]
    fn what_is_asked_for_and_what_is_no_longer_are_differences() {
        let facts =
            facts(&json!({ "type": "LoadBalancer", "nodePort": 30080, "externalTrafficPolicy": "Local" }));
        let wanted = desired(&facts, "foo", 80, "http", "TCP");
        let mut made: Service = serde_json::from_value(wanted.clone()).unwrap();
        made.spec.as_mut().unwrap().cluster_ips = Some(vec!["10.96.0.7".to_owned()]);
        assert!(is_as_desired(&made, &wanted) && is_ours(&made, &facts));
        assert_eq!(status(&made).node_port, Some(30_080));
        let other = GatewayFacts { service: ServiceSpec::default(), ..facts.clone() };
        assert!(!is_as_desired(&made, &desired(&other, "foo", 80, "http", "TCP")));
        assert!(!is_as_desired(&made, &desired(&facts, "foo", 81, "http", "TCP")));
        made.spec.as_mut().unwrap().type_ = Some("ClusterIP".to_owned());
        assert!(!is_as_desired(&made, &wanted), "somebody changed what was asked for");
        made.spec.as_mut().unwrap().type_ = Some("LoadBalancer".to_owned());
        made.metadata.labels.as_mut().unwrap().remove(SERVICE_PROXY_LABEL);
        assert!(!is_as_desired(&made, &wanted), "somebody took the label away");
    }
}
