//! Which workloads and addresses are endpoints.

use super::*;

#[test]
fn endpoints_on_other_nodes_serve_unless_the_client_s_address_is_to_be_kept() {
    let mut snapshot = snapshot(TCP, &two_pods());
    snapshot.through_uplink = ["10.0.0.2".parse::<IpAddr>().unwrap()].into();
    let members = |snapshot: &Snapshot| {
        let resolved = resolve(snapshot);
        let made = plan(&resolved, None);
        let codes: Vec<&str> = resolved.findings.iter().map(|finding| finding.code).collect();
        (made.l4.gateways[&GatewayKey::new("default", "foo-tcp")].ring4.members.len(), codes)
    };
    assert_eq!(members(&snapshot), (2, vec![]));
    snapshot.gateways[0].preserve_client_ip = true;
    assert_eq!(members(&snapshot), (1, vec!["endpoint-through-uplink"]));
    snapshot.gateways =
        gateway::parse("g", &TCP.replace("40001/tcp", "40001\nlevel: request"), "default").gateways;
    let resolved = resolve(&snapshot);
    assert!(resolved.findings.is_empty(), "{:?}", resolved.findings);
    let made = plan(&resolved, None);
    let Some(Entry::Gateway(gateway)) = made.l7.find_frontend(&"192.0.2.1:40001".parse().unwrap()) else {
        panic!()
    };
    assert_eq!(gateway.routes[0].endpoints.len(), 2);
}

#[test]
fn a_workload_that_says_where_it_runs_is_on_this_node_or_not() {
    let mut snapshot = snapshot(TCP, &two_pods());
    snapshot.workloads[0].node = Some("n1".to_owned());
    snapshot.workloads[1].node = Some("n2".to_owned());
    let local = |snapshot: &Snapshot| -> Vec<bool> {
        let routes = &resolve(snapshot).gateways[0].routes;
        routes.iter().flat_map(|route| &route.endpoints).map(|endpoint| endpoint.is_local).collect()
    };
    assert_eq!(local(&snapshot), [true, true], "nobody says which node this is");
    snapshot.node = Some("n2".to_owned());
    assert_eq!(local(&snapshot), [false, true]);
}

#[test]
fn ports_of_workloads_are_chosen_or_asked_for_never_guessed() {
    let ports = |ports: &str| {
        format!(
            "- {{name: a, labels: {{app: foo, version: '1'}}, addresses: [10.0.0.1], ports: [{ports}]}}\n"
        )
    };
    let chosen = |selector: &str, workload: String| {
        let file = TCP.replace("label(version)((.*))", &format!("label(version)((.*)){selector}"));
        let resolved = resolve(&snapshot(&file, &workload));
        let codes: Vec<&str> = resolved.findings.iter().map(|finding| finding.code).collect();
        let ports: Vec<u16> = resolved.gateways[0]
            .routes
            .iter()
            .flat_map(|route| &route.endpoints)
            .map(|one| one.address.port())
            .collect();
        (ports, codes)
    };
    assert_eq!(chosen("", ports("81")), (vec![81], vec![]));
    assert_eq!(chosen("", ports("{name: tcp, port: 80}, {name: metrics, port: 81}")), (vec![80], vec![]));
    assert_eq!(chosen("", ports("80, 81")), (vec![], vec!["ambiguous-port"]));
    assert_eq!(chosen(" && port(81)", ports("80, 81")), (vec![81], vec![]));
    assert_eq!(chosen(" && index(0)", ports("80, 81")), (vec![80], vec![]));
    assert_eq!(chosen(" && port(8.)", ports("80, 81")), (vec![], vec!["ambiguous-port"]));
    assert_eq!(chosen("", ports("")), (vec![], vec!["no-port"]));
    assert_eq!(chosen(" && port(90)", ports("80, 81")), (vec![], vec!["selector-finds-nothing"]));
}

#[test]
fn only_the_gateways_own_namespace_is_searched() {
    let foreign = two_pods().replace("name: a", "namespace: other, name: a");
    let resolved = resolve(&snapshot(TCP, &foreign));
    assert_eq!(resolved.gateways[0].routes[0].endpoints.len(), 1);
}

#[test]
fn external_addresses_are_endpoints_unless_they_are_of_this_node() {
    let file =
        |address: &str| format!("name: x\nport: 9000/tcp\nroutes: {{'[{address}]': {{weight: 100%}}}}\n");
    let resolved = resolve(&snapshot(&file("198.51.100.7:5432"), "[]"));
    assert_eq!(resolved.gateways[0].routes[0].endpoints[0].address, "198.51.100.7:5432".parse().unwrap());
    for refused in ["127.0.0.1:1", "169.254.1.1:1", "192.0.2.1:1", "[::1]:1", "[fe80::1]:1", "0.0.0.0:1"] {
        let resolved = resolve(&snapshot(&file(refused), "[]"));
        assert_eq!(resolved.findings[0].code, "external-refused", "{refused}");
        assert!(resolved.gateways[0].routes[0].endpoints.is_empty());
    }
}
