//! What the leader publishes of a gateway's endpoints: slices by route, family and port, each with a share of the
//! endpoints by hash, so that one that comes or goes changes one slice.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr};

use gateway_model::{
    key::RouteName,
    resolve::{Endpoint as ModelEndpoint, ResolvedGateway},
};
use k8s_openapi::api::{
    core::v1::ObjectReference,
    discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
};
use kube::api::ObjectMeta;
use sha2::{Digest as _, Sha256};

use crate::control::resource::{GATEWAY_LABEL, ROUTE_LABEL};

/// Who manages these slices.
pub const MANAGED_BY: &str = "controller.weir.dev";
/// The label that says so.
pub const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
/// How many endpoints a slice is to have, about.
const ENDPOINTS: usize = 64;

/// What is said of a pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Told<'a> {
    /// What tells it from another of its name.
    pub(super) uid: &'a str,
    /// The node that it runs on.
    pub(super) node: Option<&'a str>,
    /// The node's zone.
    pub(super) zone: Option<&'a str>,
    /// Whether it would answer, whether or not it is on its way out.
    pub(super) is_serving: bool,
    /// Whether it is on its way out.
    pub(super) is_terminating: bool,
}

/// The slices of a gateway, whose metadata but for name, labels and annotations is `owned`; `pod` knows pods of its
/// namespace by name.
pub(super) fn desired<'a>(
    gateway: &ResolvedGateway,
    service: &str,
    owned: &ObjectMeta,
    pod: impl Fn(&str) -> Option<Told<'a>>,
) -> Vec<EndpointSlice> {
    let mut slices = Vec::new();
    let listed = gateway.routes.iter().filter(|route| {
        let external = route.declared.as_ref().is_some_and(|declared| declared.external().is_some());
        route.chained.is_none() && !external
    });
    for route in listed {
        let mut parts: BTreeMap<(bool, u16), Vec<&ModelEndpoint>> = BTreeMap::new();
        for endpoint in &route.endpoints {
            let part = (endpoint.address.is_ipv6(), endpoint.address.port());
            parts.entry(part).or_default().push(endpoint);
        }
        for ((is_v6, port), endpoints) in parts {
            let count = endpoints.len().div_ceil(ENDPOINTS).next_power_of_two();
            let mut shares: Vec<Vec<Endpoint>> = vec![Vec::new(); count];
            for endpoint in endpoints {
                let share = number(endpoint.address.ip()) as usize & (count - 1);
                let told = pod(&endpoint.workload);
                shares[share].push(published(endpoint, &gateway.key.namespace, told.as_ref()));
            }
            let filled = shares.into_iter().enumerate().filter(|(_, share)| !share.is_empty());
            slices.extend(filled.map(|(at, endpoints)| EndpointSlice {
                metadata: metadata(gateway, &route.name, service, owned, (is_v6, port, at)),
                address_type: if is_v6 { "IPv6" } else { "IPv4" }.to_owned(),
                endpoints: Some(endpoints),
                ports: Some(vec![EndpointPort {
                    name: Some("weir".to_owned()),
                    port: Some(i32::from(port)),
                    protocol: Some(gateway.kind.protocol().to_string().to_ascii_uppercase()),
                    app_protocol: None,
                }]),
            }));
        }
    }
    slices
}

fn metadata(
    gateway: &ResolvedGateway,
    route: &RouteName,
    service: &str,
    owned: &ObjectMeta,
    (is_v6, port, at): (bool, u16, usize),
) -> ObjectMeta {
    let route_hash = short_hash(&route.0);
    let family = if is_v6 { "v6" } else { "v4" };
    let labels = [
        (MANAGED_BY_LABEL, MANAGED_BY.to_owned()),
        (GATEWAY_LABEL, service.to_owned()),
        (ROUTE_LABEL, route_hash.clone()),
        ("app.kubernetes.io/managed-by", "weir".to_owned()),
    ];
    let annotations = [(GATEWAY_LABEL, gateway.key.name.clone()), (ROUTE_LABEL, route.0.clone())];
    let owned_strings = |pairs: Vec<(&str, String)>| {
        Some(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    ObjectMeta {
        name: Some(format!("{service}-{route_hash}-{family}-{port}-{at}")),
        labels: owned_strings(labels.to_vec()),
        annotations: owned_strings(annotations.to_vec()),
        ..owned.clone()
    }
}

fn published(endpoint: &ModelEndpoint, namespace: &str, pod: Option<&Told<'_>>) -> Endpoint {
    Endpoint {
        addresses: vec![endpoint.address.ip().to_string()],
        conditions: Some(EndpointConditions {
            ready: Some(endpoint.ready),
            serving: Some(pod.map_or(endpoint.ready, |pod| pod.is_serving)),
            terminating: Some(pod.is_some_and(|pod| pod.is_terminating)),
        }),
        node_name: pod.and_then(|pod| pod.node.map(str::to_owned)),
        zone: pod.and_then(|pod| pod.zone.map(str::to_owned)),
        target_ref: pod.map(|pod| ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: Some(namespace.to_owned()),
            name: Some(endpoint.workload.clone()),
            uid: Some(pod.uid.to_owned()),
            ..ObjectReference::default()
        }),
        ..Endpoint::default()
    }
}

/// The first half of a hash, 16 hexadecimal digits.
pub(super) fn short_hash(text: &str) -> String {
    let mut shown = String::with_capacity(16);
    for byte in &Sha256::digest(text.as_bytes())[..8] {
        write!(shown, "{byte:02x}").expect("writing to a String does not fail");
    }
    shown
}

fn number(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => crc32fast::hash(&address.octets()),
        IpAddr::V6(address) => crc32fast::hash(&address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use gateway_model::{
        gateway,
        resolve::resolve,
        snapshot::Snapshot,
        workload::{Workload, WorkloadPort},
    };

    use super::*;

    fn pod(name: &str, version: &str, address: &str) -> Workload {
        Workload {
            namespace: "shop".into(),
            kind: "pod".into(),
            name: name.into(),
            labels: [("app", "foo"), ("version", version)].map(|(k, v)| (k.into(), v.into())).into(),
            addresses: vec![address.parse().unwrap(), format!("fd00::{name}").parse().unwrap()],
            ports: vec![WorkloadPort { name: "http".into(), port: 8080 }],
            ready: true,
            ..Workload::default()
        }
    }

    fn published(pods: &[Workload], told: &Told<'_>) -> Vec<EndpointSlice> {
        let text = "name: foo\nselector: label(app)(foo) && label(version)((.*))\nroutes: {'[203.0.113.1:80]': {weight: 0%}}\n";
        let snapshot = Snapshot {
            gateways: gateway::parse("g", text, "shop").gateways,
            workloads: pods.to_vec(),
            ..Snapshot::default()
        };
        desired(&resolve(&snapshot).gateways[0], "foo", &ObjectMeta::default(), |_| Some(told.clone()))
    }

    #[test]
    fn each_route_and_family_has_a_slice_and_no_external_address_has_one() {
        let slices =
            published(&[pod("1", "1.0.3", "10.0.0.1"), pod("2", "2.0.1", "10.0.0.2")], &Told::default());
        let shown = |slice: &EndpointSlice| {
            let route = slice.metadata.annotations.as_ref().unwrap()[ROUTE_LABEL].clone();
            (route, slice.address_type.clone(), slice.endpoints.as_ref().unwrap().len())
        };
        let expected = [("(1.0.3)", "IPv4"), ("(1.0.3)", "IPv6"), ("(2.0.1)", "IPv4"), ("(2.0.1)", "IPv6")];
        let expected = expected.map(|(route, family)| (route.to_owned(), family.to_owned(), 1));
        assert_eq!(slices.iter().map(shown).collect::<Vec<_>>(), expected);
        let labels = slices[0].metadata.labels.as_ref().unwrap();
        assert!(!labels.contains_key("kubernetes.io/service-name"), "pods are no endpoints of the Service");
        assert_eq!(labels[GATEWAY_LABEL], "foo");
    }

    #[test]
    fn a_terminating_endpoint_says_so_and_what_pod_it_is() {
        let mut leaving = pod("1", "1.0.3", "10.0.0.1");
        leaving.ready = false;
        let told =
            Told { uid: "u-1", node: Some("n1"), zone: Some("z1"), is_serving: true, is_terminating: true };
        let slices = published(&[leaving], &told);
        let endpoint = &slices[0].endpoints.as_ref().unwrap()[0];
        let conditions = endpoint.conditions.as_ref().unwrap();
        let told = (conditions.ready, conditions.serving, conditions.terminating);
        assert_eq!(told, (Some(false), Some(true), Some(true)));
        assert_eq!(endpoint.target_ref.as_ref().unwrap().uid.as_deref(), Some("u-1"));
        assert_eq!((endpoint.node_name.as_deref(), endpoint.zone.as_deref()), (Some("n1"), Some("z1")));
    }

    #[test]
    fn one_endpoint_more_changes_one_slice() {
        let many = |count: usize| -> Vec<Workload> {
            (0..count)
                .map(|at| pod(&at.to_string(), "1", &format!("10.0.{}.{}", at / 250, at % 250)))
                .collect()
        };
        let told = Told::default();
        let (before, after) = (published(&many(200), &told), published(&many(201), &told));
        assert_eq!(before.len(), after.len());
        let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert_eq!(changed, 2, "of each family one");
    }
}
