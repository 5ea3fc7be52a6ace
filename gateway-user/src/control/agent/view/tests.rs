use std::time::Duration;

use gateway_model::key::Protocol;

use super::{
    super::facts::{EndpointFacts, RouteFacts, ServicePort},
    *,
};

fn gateway(name: &str, spec: &str, routes: &[(&str, &str)], version: u64) -> GatewayFacts {
    let routes = routes
        .iter()
        .map(|(name, weight)| RouteFacts { name: (*name).to_owned(), weight: weight.parse().unwrap() });
    GatewayFacts {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        resource_version: version,
        document: format!(
            r#"{{"apiVersion":"weir.dev/v1","kind":"WeirGateway","metadata":{{"name":"{name}","namespace":"shop"}},"spec":{spec}}}"#
        ),
        routes: Some(routes.collect()),
        port: Some(80),
        ..GatewayFacts::default()
    }
}

fn endpoint(last: u8, node: &str) -> EndpointFacts {
    EndpointFacts {
        address: IpAddr::from([10, 0, 0, last]),
        ready: true,
        node: Some(node.to_owned()),
        pod: format!("pod-{last}"),
        uid: format!("uid-{last}"),
    }
}

fn slice(name: &str, route: &str, endpoints: Vec<EndpointFacts>) -> SliceFacts {
    SliceFacts {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        gateway: "foo".to_owned(),
        route: route.to_owned(),
        port: 8080,
        endpoints,
        ..SliceFacts::default()
    }
}

fn service(name: &str) -> ServiceFacts {
    ServiceFacts {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        is_of_gateway: true,
        ports: vec![ServicePort { port: 80, node_port: Some(30_080), protocol: Protocol::Tcp }],
        cluster_ips: vec![IpAddr::from([10, 96, 0, 9])],
        has_ipv4: true,
        ..ServiceFacts::default()
    }
}

fn pod(last: u8, is_ready: bool) -> PodFacts {
    PodFacts {
        namespace: "shop".to_owned(),
        name: format!("pod-{last}"),
        uid: format!("uid-{last}"),
        is_ready,
        addresses: vec![IpAddr::from([10, 0, 0, last])],
    }
}

fn node() -> NodeFacts {
    NodeFacts { name: "n1".to_owned(), internal_ips: vec![IpAddr::from([192, 0, 2, 1])] }
}

const SPEC: &str = r#"{"selector":"label(app)(foo) && label(version)((.*))"}"#;

/// A view to which the API server has told all.
fn known() -> View {
    let mut view = View::new("n1", "weir-system");
    view.set_addresses(BTreeSet::from([IpAddr::from([192, 0, 2, 1])]));
    for event in [Event::Begin, Event::Listed(gateway("foo", SPEC, &[("(1)", "100%")], 7)), Event::End] {
        view.handle(Change::Gateway(event));
    }
    let endpoints = vec![endpoint(1, "n1"), endpoint(2, "n2")];
    for event in [Event::Begin, Event::Listed(slice("s1", "(1)", endpoints)), Event::End] {
        view.handle(Change::Slice(event));
    }
    for event in [Event::Begin, Event::Listed(service("foo")), Event::End] {
        view.handle(Change::Service(event));
    }
    for event in [Event::Begin, Event::Listed(pod(1, true)), Event::End] {
        view.handle(Change::Pod(event));
    }
    assert!(view.take().is_none(), "the node is not known yet");
    for event in [Event::Begin, Event::Listed(node()), Event::End] {
        view.handle(Change::Node(event));
    }
    view
}

fn foo() -> GatewayKey {
    GatewayKey::new("shop", "foo")
}

fn ready(delta: &Delta) -> BTreeMap<String, Option<bool>> {
    let of = |workload: &Option<Workload>| workload.as_ref().map(|workload| workload.ready);
    delta.workloads.iter().map(|(identity, workload)| (identity.clone(), of(workload))).collect()
}

fn identity(slice: &str, last: u8) -> String {
    format!("shop/{slice}/10.0.0.{last}/pod-{last}")
}

#[test]
fn nothing_is_told_before_everything_is_known_and_then_all_at_once() {
    let mut view = known();
    let delta = view.take().unwrap();
    assert_eq!(delta.resource_version, 7);
    assert!(delta.gateways[&foo()].is_some());
    let expected = [(identity("s1", 1), Some(true)), (identity("s1", 2), Some(true))];
    assert_eq!(ready(&delta), BTreeMap::from(expected));
    let frontends: Vec<_> = delta.frontends[&foo()].keys().map(|one| one.address.to_string()).collect();
    assert_eq!(frontends, ["10.96.0.9:80", "192.0.2.1:30080"]);
    assert_eq!(delta.virtual_addresses, Some(BTreeSet::from([IpAddr::from([10, 96, 0, 9])])));
    assert_eq!(delta.node_pods, Some(BTreeSet::from([IpAddr::from([10, 0, 0, 1])])));
    assert_eq!(delta.internal_ips, Some(vec![IpAddr::from([192, 0, 2, 1])]));
    assert!(view.take().is_none(), "it was told");
}

#[test]
fn one_endpoint_of_many_is_told_alone() {
    let mut view = known();
    view.take();
    let mut endpoints: Vec<_> = (1..100).map(|last| endpoint(last, "n2")).collect();
    view.handle(Change::Slice(Event::Applied(slice("s1", "(1)", endpoints.clone()))));
    view.take();
    endpoints[41].ready = false;
    endpoints.remove(7);
    view.handle(Change::Slice(Event::Applied(slice("s1", "(1)", endpoints))));
    let delta = view.take().unwrap();
    assert_eq!(ready(&delta), BTreeMap::from([(identity("s1", 42), Some(false)), (identity("s1", 8), None)]));
    assert!(delta.gateways.is_empty() && delta.frontends.is_empty() && delta.virtual_addresses.is_none());
}

#[test]
fn a_pod_of_this_node_that_is_not_ready_is_taken_out_before_the_slice_says_so() {
    let mut view = known();
    view.take();
    view.handle(Change::Pod(Event::Applied(pod(1, false))));
    let gone = BTreeMap::from([(identity("s1", 1), Some(false))]);
    assert_eq!(ready(&view.take().unwrap()), gone);
    view.handle(Change::Pod(Event::Applied(pod(1, true))));
    assert_eq!(ready(&view.take().unwrap()), BTreeMap::from([(identity("s1", 1), Some(true))]));
    view.handle(Change::Pod(Event::Deleted(("shop".to_owned(), "pod-1".to_owned()), 0)));
    let delta = view.take().unwrap();
    assert_eq!(ready(&delta), gone);
    assert_eq!(delta.node_pods, Some(BTreeSet::new()));
}

#[test]
fn a_ready_pod_brings_nothing_in_that_the_slice_does_not() {
    let mut view = known();
    view.take();
    let mut endpoints = vec![endpoint(1, "n1"), endpoint(2, "n2")];
    endpoints[0].ready = false;
    view.handle(Change::Slice(Event::Applied(slice("s1", "(1)", endpoints))));
    view.take();
    view.handle(Change::Pod(Event::Applied(PodFacts { addresses: Vec::new(), ..pod(1, true) })));
    assert!(view.take().unwrap().workloads.is_empty());
}

#[test]
fn a_pod_that_went_is_forgotten_with_its_endpoint() {
    let mut view = known();
    view.handle(Change::Pod(Event::Deleted(("shop".to_owned(), "pod-1".to_owned()), 0)));
    assert!(view.unready.contains("uid-1"));
    view.handle(Change::Slice(Event::Applied(slice("s1", "(1)", vec![endpoint(2, "n2")]))));
    assert!(view.unready.is_empty() && view.of_pod.is_empty());
}

#[test]
fn an_endpoint_that_moves_to_another_slice_is_never_missing() {
    let mut view = known();
    view.take();
    view.handle(Change::Slice(Event::Applied(slice("s2", "(1)", vec![endpoint(2, "n2")]))));
    view.handle(Change::Slice(Event::Applied(slice("s1", "(1)", vec![endpoint(1, "n1")]))));
    let delta = view.take().unwrap();
    let expected = [(identity("s2", 2), Some(true)), (identity("s1", 2), None)];
    assert_eq!(ready(&delta), BTreeMap::from(expected));
}

#[test]
fn a_weight_that_changes_is_told_with_its_gateway_and_the_version_counts_without_a_change() {
    let mut view = known();
    view.take();
    view.handle(Change::Gateway(Event::Applied(gateway("foo", SPEC, &[("(1)", "95%"), ("(2)", "5%")], 9))));
    let delta = view.take().unwrap();
    let (_, gateway_now) = delta.gateways[&foo()].as_ref().unwrap();
    let weights: Vec<_> = gateway_now.routes.iter().map(|route| route.weight.unwrap().to_string()).collect();
    assert_eq!((weights, delta.resource_version), (vec!["95%".to_owned(), "5%".to_owned()], 9));
    view.handle(Change::Gateway(Event::Applied(gateway("foo", SPEC, &[("(1)", "95%"), ("(2)", "5%")], 11))));
    let delta = view.take().unwrap();
    assert!(delta.gateways.is_empty());
    assert_eq!(delta.resource_version, 11);
}

#[test]
fn a_spec_with_an_error_leaves_the_last_good_one_in_force_under_new_weights() {
    let mut view = known();
    view.take();
    let wrong = r#"{"selector":"label(app)(foo","port":"x"}"#;
    view.handle(Change::Gateway(Event::Applied(gateway("foo", wrong, &[("(1)", "95%"), ("(2)", "5%")], 9))));
    let delta = view.take().unwrap();
    assert!(delta.findings[&foo()].iter().any(Finding::is_error));
    assert_eq!(delta.gateways[&foo()].as_ref().unwrap().1.routes.len(), 2);
    let kept = view.facts();
    assert!(kept.gateways[0].document.contains("version"), "{}", kept.gateways[0].document);
    view.handle(Change::Gateway(Event::Applied(gateway("bar", wrong, &[], 10))));
    let delta = view.take().unwrap();
    assert_eq!(delta.gateways[&GatewayKey::new("shop", "bar")], None);
}

#[test]
fn a_gateway_that_goes_takes_its_frontends_along() {
    let mut view = known();
    view.take();
    view.handle(Change::Gateway(Event::Deleted(("shop".to_owned(), "foo".to_owned()), 12)));
    let delta = view.take().unwrap();
    assert_eq!(delta.gateways[&foo()], None);
    assert_eq!(delta.frontends[&foo()], Frontends::new());
    assert_eq!(delta.resource_version, 12);
}

#[test]
fn a_service_of_the_same_name_that_is_not_ours_answers_nothing() {
    let mut view = known();
    view.take();
    view.handle(Change::Service(Event::Applied(ServiceFacts { is_of_gateway: false, ..service("foo") })));
    assert_eq!(view.take().unwrap().frontends[&foo()], Frontends::new());
}

#[test]
fn the_shared_service_answers_for_virtual_hosts_only_on_ports_that_are_used() {
    let mut view = known();
    let shared = |port| ServicePort { port, node_port: None, protocol: Protocol::Tcp };
    let shared = ServiceFacts {
        namespace: "weir-system".to_owned(),
        ports: vec![shared(80), shared(443)],
        load_balancer_ips: vec![IpAddr::from([198, 51, 100, 1])],
        cluster_ips: Vec::new(),
        ..service(SHARED_SERVICE)
    };
    view.handle(Change::Service(Event::Applied(shared)));
    assert_eq!(view.take().unwrap().frontends[&GatewayKey::shared()], Frontends::new());
    let spec = r#"{"selector":"true","virtualHosts":["foo.bar.com"]}"#;
    view.handle(Change::Gateway(Event::Applied(gateway("foo", spec, &[("()", "100%")], 8))));
    let delta = view.take().unwrap();
    let all: Vec<_> =
        delta.frontends[&GatewayKey::shared()].keys().map(|one| one.address.to_string()).collect();
    assert_eq!(all, ["198.51.100.1:80"]);
}

#[test]
fn health_checks_count_ready_endpoints_here_that_get_traffic() {
    let mut view = known();
    let asked = ServiceFacts { health_check_node_port: Some(31_000), ..service("foo") };
    view.handle(Change::Service(Event::Applied(asked)));
    let local = |view: &mut View| {
        let checks = view.take().and_then(|delta| delta.health_checks);
        checks.map(|checks| checks[&31_000].local_endpoints)
    };
    assert_eq!(local(&mut view), Some(1));
    // A second port of the same pod is no second endpoint; a version at 0 % takes no traffic.
    view.handle(Change::Slice(Event::Applied(slice("s2", "(1)", vec![endpoint(1, "n1")]))));
    view.handle(Change::Slice(Event::Applied(slice("s3", "(2)", vec![endpoint(3, "n1")]))));
    view.handle(Change::Gateway(Event::Applied(gateway("foo", SPEC, &[("(1)", "100%"), ("(2)", "0%")], 8))));
    assert_eq!(local(&mut view), Some(1));
    view.handle(Change::Gateway(Event::Applied(gateway("foo", SPEC, &[("(1)", "99%"), ("(2)", "1%")], 9))));
    assert_eq!(local(&mut view), Some(2));
    view.handle(Change::Pod(Event::Applied(pod(1, false))));
    assert_eq!(local(&mut view), Some(1));
    view.handle(Change::Service(Event::Deleted(("shop".to_owned(), "foo".to_owned()), 0)));
    assert_eq!(view.take().unwrap().health_checks, Some(BTreeMap::new()));
}

#[test]
fn an_address_with_local_policy_may_be_answered_for_only_where_endpoints_are() {
    let mut view = known();
    let [local, cluster] = [1, 2].map(|last| IpAddr::from([198, 51, 100, last]));
    let of = |name: &str, address: IpAddr| ServiceFacts {
        load_balancer_ips: vec![address],
        is_external_local: address == local,
        health_check_node_port: (address == local).then_some(31_000),
        ..service(name)
    };
    view.handle(Change::Service(Event::Applied(of("foo", local))));
    view.handle(Change::Service(Event::Applied(of("bar", cluster))));
    let told = |view: &mut View| view.take().and_then(|delta| delta.load_balancer_addresses);
    assert_eq!(told(&mut view), Some(BTreeMap::from([(local, true), (cluster, true)])));
    view.handle(Change::Pod(Event::Applied(pod(1, false))));
    assert_eq!(told(&mut view), Some(BTreeMap::from([(local, false), (cluster, true)])));
    view.handle(Change::Service(Event::Deleted(("shop".to_owned(), "bar".to_owned()), 0)));
    assert_eq!(told(&mut view), Some(BTreeMap::from([(local, false)])));
}

#[test]
fn a_restored_plan_serves_before_the_api_server_answers_and_gives_way_to_it() {
    let before = known().facts();
    let mut view = View::new("n1", "weir-system");
    view.restore(before);
    let delta = view.take().unwrap();
    assert!(delta.gateways[&foo()].is_some() && delta.workloads.len() == 2 && delta.arrived.is_none());
    assert!(!view.is_known());
    view.handle(Change::Slice(Event::Begin));
    view.handle(Change::Slice(Event::Listed(slice("s1", "(1)", vec![endpoint(2, "n2")]))));
    view.handle(Change::Slice(Event::End));
    assert_eq!(ready(&view.take().unwrap()), BTreeMap::from([(identity("s1", 1), None)]));
}

#[test]
fn an_empty_first_list_takes_nothing_away_until_it_is_believed() {
    let mut view = View::new("n1", "weir-system");
    view.restore(known().facts());
    view.take();
    for event in [Event::Begin, Event::End] {
        view.handle(Change::Gateway(event));
    }
    assert!(view.is_doubtful());
    assert!(view.take().is_none_or(|delta| delta.gateways.is_empty()));
    view.believe();
    assert_eq!(view.take().unwrap().gateways[&foo()], None);
}

#[test]
fn node_addresses_that_change_move_frontends_and_host_ports() {
    let mut view = known();
    let spec = r#"{"selector":"true","port":"9050/udp","hostPort":true}"#;
    view.handle(Change::Gateway(Event::Applied(gateway("foo", spec, &[("()", "100%")], 8))));
    view.take();
    view.set_addresses(BTreeSet::from([IpAddr::from([192, 0, 2, 5])]));
    let delta = view.take().unwrap();
    let all: Vec<_> =
        delta.frontends[&foo()].keys().map(|one| format!("{}/{}", one.address, one.protocol)).collect();
    assert_eq!(all, ["10.96.0.9:80/tcp", "192.0.2.5:9050/udp", "192.0.2.5:30080/tcp"]);
    view.set_addresses(BTreeSet::from([IpAddr::from([192, 0, 2, 5])]));
    assert!(view.take().is_none(), "the same again");
}

/// Not a measurement, but far from it if something looks at everything.
#[test]
fn an_event_costs_no_more_with_a_thousand_gateways() {
    let mut view = View::new("n1", "weir-system");
    view.restore(KeptFacts::default());
    for number in 0..1000_u32 {
        let facts = gateway(&format!("g{number}"), SPEC, &[("(1)", "100%")], u64::from(number));
        view.handle(Change::Gateway(Event::Applied(facts)));
        let endpoints = (0..10).map(|last| endpoint(last, "n2")).collect();
        let facts =
            SliceFacts { gateway: format!("g{number}"), ..slice(&format!("s{number}"), "(1)", endpoints) };
        view.handle(Change::Slice(Event::Applied(facts)));
    }
    view.take();
    let began = Instant::now();
    for round in 0..100_u32 {
        let mut endpoints: Vec<_> = (0..10).map(|last| endpoint(last, "n2")).collect();
        endpoints[3].ready = round % 2 == 1;
        let facts = SliceFacts { gateway: "g500".to_owned(), ..slice("s500", "(1)", endpoints) };
        view.handle(Change::Slice(Event::Applied(facts)));
        assert_eq!(view.take().unwrap().workloads.len(), 1);
    }
    assert!(began.elapsed() < Duration::from_millis(500), "{:?} for 100 events", began.elapsed());
}
