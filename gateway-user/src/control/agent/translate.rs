//! From objects of Kubernetes to facts.

use std::net::IpAddr;

use gateway_model::{key::Protocol, weight::Weight};
use ipnet::IpNet;
use k8s_openapi::{
    api::{
        core::v1::{Node, Pod, Service},
        discovery::v1::{Endpoint, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{
    resource::{GATEWAY_LABEL, ROUTE_LABEL},
    translate::{created, version, would_be_ready},
};
use super::facts::{
    EndpointFacts, GatewayFacts, Key, NodeFacts, PodFacts, RouteFacts, ServiceFacts, ServicePort, SliceFacts,
};

/// What is read of a gateway's status.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    observed_generation: Option<i64>,
    routes: Vec<RouteStatus>,
    port: Option<u16>,
}

#[derive(Debug, Deserialize)]
struct RouteStatus {
    name: String,
    weight: Weight,
}

/// Namespace and name.
pub(super) fn key(metadata: &ObjectMeta) -> Key {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// A `WeirGateway`.
pub(super) fn gateway(object: DynamicObject) -> Option<GatewayFacts> {
    let DynamicObject { metadata, mut data, .. } = object;
    let (namespace, name) = key(&metadata);
    let status = data.get_mut("status").map(Value::take).unwrap_or_default();
    let status: Option<Status> = serde_json::from_value(status)
        .inspect_err(|error| {
            tracing::error!(%error, namespace, name, "the status of this gateway is not what this agent reads");
        })
        .ok()?;
    let status = status.unwrap_or_default();
    let document = json!({
        "apiVersion": "weir.dev/v1",
        "kind": "WeirGateway",
        "metadata": { "name": name, "namespace": namespace },
        "spec": data.get_mut("spec").map(Value::take).unwrap_or_default(),
    });
    let is_in_force = status.observed_generation.is_some() || !status.routes.is_empty();
    let routes = status.routes.into_iter().map(|RouteStatus { name, weight }| RouteFacts { name, weight });
    let routes = is_in_force.then(|| routes.collect());
    Some(GatewayFacts {
        created: created(&metadata),
        resource_version: version(&metadata),
        document: document.to_string(),
        routes,
        port: status.port,
        namespace,
        name,
    })
}

/// A slice of endpoints; `None` for one that does not say of which route it is.
pub(super) fn slice(slice: EndpointSlice) -> Option<SliceFacts> {
    let EndpointSlice { metadata, endpoints, ports, .. } = slice;
    let (namespace, name) = key(&metadata);
    let route = metadata.annotations.as_ref().and_then(|all| all.get(ROUTE_LABEL)).cloned();
    let gateway = metadata.labels.as_ref().and_then(|all| all.get(GATEWAY_LABEL)).cloned();
    let port = ports.unwrap_or_default().into_iter().find_map(|port| u16::try_from(port.port?).ok());
    let (Some(route), Some(gateway), Some(port)) = (route, gateway, port) else {
        tracing::warn!(slice = %format_args!("{namespace}/{name}"), "it names no gateway, route or port and is left aside");
        return None;
    };
    Some(SliceFacts {
        created: created(&metadata),
        endpoints: endpoints.unwrap_or_default().into_iter().flat_map(endpoint).collect(),
        namespace,
        name,
        gateway,
        route,
        port,
    })
}

fn endpoint(endpoint: Endpoint) -> impl Iterator<Item = EndpointFacts> {
    // What is not said is ready (discovery/v1).
    let is_ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
    let pod = endpoint.target_ref.unwrap_or_default();
    let (name, uid) = (pod.name.unwrap_or_default(), pod.uid.unwrap_or_default());
    let node = endpoint.node_name;
    endpoint.addresses.into_iter().filter_map(move |address| {
        Some(EndpointFacts {
            address: address.parse::<IpAddr>().ok()?.to_canonical(),
            ready: is_ready,
            node: node.clone(),
            pod: name.clone(),
            uid: uid.clone(),
        })
    })
}

/// A Service.
pub(super) fn service(service: Service) -> Option<ServiceFacts> {
    let Service { metadata, spec, status } = service;
    let (namespace, name) = key(&metadata);
    let spec = spec?;
    let is_local = |policy: &Option<String>| policy.as_deref() == Some("Local");
    let families = spec.ip_families.unwrap_or_default();
    let cluster_ips = spec.cluster_ips.unwrap_or_default();
    let cluster_ips = addresses(cluster_ips.iter().map(String::as_str));
    let ports = spec.ports.unwrap_or_default().into_iter().filter_map(|port| {
        let protocol = match port.protocol.as_deref() {
            Some("UDP") => Protocol::Udp,
            Some("TCP") | None => Protocol::Tcp,
            Some(_) => return None,
        };
        let node_port = port.node_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
        Some(ServicePort { port: u16::try_from(port.port).ok()?, node_port, protocol })
    });
    let given = status.and_then(|status| status.load_balancer?.ingress).unwrap_or_default();
    // One that proxies sends what it gets to node ports.
    let virtual_ips = given.iter().filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"));
    let has_family = |name: &str, of: fn(&IpAddr) -> bool| {
        if families.is_empty() {
            cluster_ips.iter().any(of)
        } else {
            families.iter().any(|family| family == name)
        }
    };
    Some(ServiceFacts {
        is_of_gateway: metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(GATEWAY_LABEL)),
        ports: ports.collect(),
        external_ips: addresses(spec.external_ips.iter().flatten().map(String::as_str)),
        load_balancer_ips: addresses(virtual_ips.filter_map(|ingress| ingress.ip.as_deref())),
        has_ipv4: has_family("IPv4", IpAddr::is_ipv4),
        has_ipv6: has_family("IPv6", IpAddr::is_ipv6),
        is_external_local: is_local(&spec.external_traffic_policy),
        is_internal_local: is_local(&spec.internal_traffic_policy),
        is_by_client: spec.session_affinity.as_deref() == Some("ClientIP"),
        source_ranges: ranges(&spec.load_balancer_source_ranges.unwrap_or_default()),
        health_check_node_port: spec
            .health_check_node_port
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port != 0),
        cluster_ips,
        namespace,
        name,
    })
}

/// Those that are addresses: headless Services say `None` instead.
fn addresses<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<IpAddr> {
    texts.filter_map(|text| text.parse::<IpAddr>().ok()).map(|address| address.to_canonical()).collect()
}

fn ranges(texts: &[String]) -> Vec<IpNet> {
    texts.iter().filter_map(|text| text.trim().parse().ok()).collect()
}

/// A pod of this node.
pub(super) fn pod(pod: &Pod) -> PodFacts {
    let (namespace, name) = key(&pod.metadata);
    let status = pod.status.as_ref();
    let has_ended =
        status.is_some_and(|status| matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")));
    let is_host = pod.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true));
    let conditions = status.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    let says_ready = conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True");
    // Who takes this node for silent is wrong: its agent lives.
    let says_ready = says_ready || would_be_ready(pod);
    let ips = status.and_then(|status| status.pod_ips.as_ref()).into_iter().flatten();
    PodFacts {
        namespace,
        name,
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        is_ready: says_ready && !has_ended && pod.metadata.deletion_timestamp.is_none(),
        addresses: if is_host || has_ended { Vec::new() } else { addresses(ips.map(|one| one.ip.as_str())) },
    }
}

/// This node.
pub(super) fn node(node: &Node) -> NodeFacts {
    let all = node.status.as_ref().and_then(|status| status.addresses.as_ref()).into_iter().flatten();
    let internal = all.filter(|address| address.type_ == "InternalIP");
    NodeFacts {
        name: node.metadata.name.clone().unwrap_or_default(),
        internal_ips: addresses(internal.map(|one| one.address.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_gateway_is_read_with_its_routes_and_without_what_others_wrote() {
        let object = read(json!({
            "apiVersion": "weir.dev/v1", "kind": "WeirGateway",
            "metadata": {
                "name": "foo", "namespace": "shop", "resourceVersion": "1234", "uid": "u",
                "creationTimestamp": "2026-11-25T12:00:00Z", "managedFields": [{"manager": "x"}]
            },
            "spec": {"port": "9050/http"},
            "status": {"port": 9050, "routes": [{"name": "(1.0.3)", "weight": "95%", "origin": "file"}]}
        }));
        let facts = gateway(object).unwrap();
        assert_eq!((facts.resource_version, facts.created, facts.port), (1234, 1_795_608_000, Some(9050)));
        assert_eq!(facts.routes.as_ref().unwrap()[0].weight.to_string(), "95%");
        assert!(
            !facts.document.contains("manager") && !facts.document.contains("status"),
            "{}",
            facts.document
        );
        assert!(facts.document.contains("9050/http"));
    }

    #[test]
    fn a_slice_without_conditions_is_ready_and_every_address_is_an_endpoint() {
        let facts = slice(read(json!({
            "metadata": {
                "name": "foo-x", "namespace": "shop",
                "labels": {"weir.dev/gateway": "foo"}, "annotations": {"weir.dev/route": "(1.0.3)"}
            },
            "addressType": "IPv4", "ports": [{"name": "weir", "port": 8080, "protocol": "TCP"}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "nodeName": "n1", "targetRef": {"kind": "Pod", "name": "a", "uid": "1"}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}}
            ]
        })))
        .unwrap();
        let shown: Vec<_> = facts
            .endpoints
            .iter()
            .map(|one| (one.address.to_string(), one.ready, one.uid.as_str()))
            .collect();
        assert_eq!(shown, [("10.0.0.1".to_owned(), true, "1"), ("10.0.0.2".to_owned(), false, "")]);
        assert_eq!((facts.route.as_str(), facts.port), ("(1.0.3)", 8080));
    }

    #[test]
    fn a_service_is_read_with_all_that_decides_where_it_answers() {
        let facts = service(read(json!({
            "metadata": {"name": "foo", "namespace": "shop", "labels": {"weir.dev/gateway": "foo"}},
            "spec": {
                "type": "LoadBalancer", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00::9"],
                "ipFamilies": ["IPv4", "IPv6"], "externalIPs": ["203.0.113.7"], "externalTrafficPolicy": "Local",
                "internalTrafficPolicy": "Cluster", "sessionAffinity": "ClientIP", "healthCheckNodePort": 31000,
                "loadBalancerSourceRanges": ["192.0.2.0/24", "2001:db8::/32"],
                "ports": [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 1, "protocol": "SCTP"}]
            },
            "status": {"loadBalancer": {"ingress": [
                {"ip": "198.51.100.4", "ipMode": "VIP"}, {"ip": "198.51.100.5", "ipMode": "Proxy"}, {"hostname": "x"}
            ]}}
        })))
        .unwrap();
        assert!(facts.is_external_local && !facts.is_internal_local && facts.is_by_client);
        assert!(facts.has_ipv4 && facts.has_ipv6 && facts.is_of_gateway);
        assert_eq!(facts.cluster_ips.len(), 2);
        assert_eq!(facts.load_balancer_ips, ["198.51.100.4".parse::<IpAddr>().unwrap()]);
        assert_eq!(facts.ports, [ServicePort { port: 80, node_port: Some(30_080), protocol: Protocol::Tcp }]);
        assert_eq!((facts.source_ranges.len(), facts.health_check_node_port), (2, Some(31_000)));
    }

    #[test]
    fn a_pod_on_its_way_out_is_not_ready_and_one_of_the_host_has_no_address_of_its_own() {
        let object = |deleted: bool, host: bool, phase: &str| -> Pod {
            let deleted = deleted.then_some("2026-11-25T12:00:00Z");
            read(json!({
                "metadata": {"name": "a", "namespace": "shop", "uid": "1", "deletionTimestamp": deleted},
                "spec": {"hostNetwork": host, "containers": []},
                "status": {"phase": phase, "podIPs": [{"ip": "10.0.0.1"}], "conditions": [{"type": "Ready", "status": "True"}]}
            }))
        };
        let of = |deleted, host, phase| {
            let facts = pod(&object(deleted, host, phase));
            (facts.is_ready, facts.addresses.len())
        };
        assert_eq!(of(false, false, "Running"), (true, 1));
        assert_eq!(of(true, false, "Running"), (false, 1));
        assert_eq!(of(false, true, "Running"), (true, 0));
        assert_eq!(of(false, false, "Failed"), (false, 0));
    }
}
