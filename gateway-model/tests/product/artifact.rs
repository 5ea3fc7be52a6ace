//! Section 1: the gateway artifact. Examples of the documentation are tried in `tests/language`, those of `deploy` in
//! `tests/cases.rs`.

mod route;

use gateway_model::{
    gateway::{Level, PortType},
    key::Protocol,
    plan::l4::Target,
    resolve::Layer,
    selector::Selector,
    sticky::{By, Keep, Sticky},
};

use super::*;

#[test]
fn the_example_is_accepted_verbatim() {
    assert_eq!(codes(FOO_INGRESS), [""; 0]);
    let foo = &read(FOO_INGRESS)[0];
    assert_eq!((&foo.key, foo.virtual_hosts[0].0.as_str()), (&key("foo-ingress"), "foo.bar.com"));
    let selector = foo.selector.as_ref().map(Selector::source);
    assert_eq!(selector, Some("label(app)(foo) && label(version)((.*))"));
}

#[test]
fn an_artifact_is_yaml_or_json() {
    let json = r#"{"name": "foo-ingress", "kind": "gateways", "virtual_hosts": ["foo.bar.com"],
        "selector": "label(app)(foo) && label(version)((.*))"}"#;
    let (yaml, json) = (&read(FOO_INGRESS)[0], &read(json)[0]);
    assert_eq!((&yaml.key, &yaml.selector), (&json.key, &json.selector));
    assert_eq!(yaml.virtual_hosts[0].0, json.virtual_hosts[0].0);
}

#[test]
fn a_file_has_one_or_several_documents() {
    assert_eq!(read(FOO_INGRESS).len(), 1);
    assert_eq!(read(&format!("{FOO_INGRESS}---\n{}", on("tcp"))).len(), 2);
}

#[test]
fn unknown_fields_are_errors_that_name_the_field_and_its_place() {
    let text = format!("{FOO_INGRESS}routes:\n  (1): {{wieght: 5%}}\nstickyness: route\n");
    let found = complaints(&text);
    let told: Vec<_> = found.iter().map(|one| (one.code, one.place.as_ref().unwrap().to_string())).collect();
    assert_eq!(
        told,
        [("unknown-field", "foo.yaml:7:9".to_owned()), ("unknown-field", "foo.yaml:8:1".to_owned())]
    );
    assert!(found[0].message.contains("`wieght`") && found[1].message.contains("`stickyness`"), "{found:?}");
}

#[test]
fn standalone_the_namespace_is_the_one_given() {
    let parsed = gateway::parse("foo.yaml", FOO_INGRESS, "shop");
    assert_eq!(parsed.gateways[0].key, GatewayKey::new("shop", "foo-ingress"));
}

#[test]
fn a_workload_is_as_old_as_its_created_says() {
    let younger = pod("a", "1", "10.0.0.1").replace("created: 100", "created: 200");
    let agent = Agent::of(&on("http"), &(younger + &pod("b", "2", "10.0.0.2")));
    assert_eq!(agent.weights(), "(1) 0%, (2) 100%");
}

#[test]
fn a_workload_that_does_not_say_so_is_as_old_as_when_it_was_first_seen_which_is_kept() {
    let ageless = three_pods().replace(", created: 100", "");
    let mut agent = Agent::of("", &ageless.lines().nth(1).map(|line| format!("{line}\n")).unwrap());
    agent.now += 1;
    agent.runs(&ageless);
    agent.now += 1;
    agent.restarts(&on("http"), &ageless);
    assert_eq!(agent.weights(), "(1) 0%, (2) 100%, (3) 0%");
}

// The table of fields, from `name` to `metadata`; `routes` has a file of its own.

#[test]
fn a_name_is_required() {
    assert_eq!(codes("selector: label(app)(foo)"), ["missing-field"]);
}

#[test]
fn a_name_has_no_white_space_and_no_brackets() {
    for name in ["'a b'", "'a[b'", "'a]b'", "\"a\\tb\"", "''"] {
        assert_eq!(codes(&format!("name: {name}\nselector: 'true'\n")), ["invalid-name"], "{name}");
    }
}

#[test]
fn a_name_names_the_service_where_it_can_and_else_a_hash_of_it_does() {
    let service = |name: &str| read(&format!("name: {name}\nselector: 'true'\n"))[0].service_name();
    assert_eq!(service("foo-ingress"), "foo-ingress");
    for name in ["Foo", "1foo", "foo.bar", "foo_bar", "foo-", &"a".repeat(64)] {
        let hash = service(name);
        assert!(
            hash != name && hash.len() <= 63 && hash.starts_with(|c: char| c.is_ascii_lowercase()),
            "{hash}"
        );
        assert!(hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{hash}");
        assert_eq!(hash, service(name));
    }
}

#[test]
fn fields_that_are_left_out_have_their_defaults() {
    let foo = &read("name: foo\nselector: label(app)(foo)\n")[0];
    assert_eq!((foo.port, foo.kind(), foo.host_port), (None, PortType::Http, false));
    assert!(foo.virtual_hosts.is_empty() && foo.routes.is_empty() && foo.tls.is_empty());
    assert_eq!((&foo.sticky, foo.preserve_client_ip, foo.level), (&None, false, Level::Auto));
    assert!(foo.metadata.is_empty());
}

#[test]
fn a_port_that_is_left_out_is_the_next_free_one_from_40000_to_45000_and_is_kept() {
    let both = "name: a\nselector: 'true'\n---\nname: b\nselector: 'true'\n";
    let mut agent = Agent::of(both, "[]");
    assert_eq!((agent.named("a").port, agent.named("b").port), (40_000, 40_001));
    agent.restarts("name: b\nselector: 'true'\n", "[]");
    assert_eq!(agent.named("b").port, 40_001);
}

#[test]
fn a_port_that_is_given_out_is_not_in_use_and_not_named_elsewhere() {
    let mut agent = Agent::new();
    let ports_in_use = [(Protocol::Tcp, 40_000), (Protocol::Udp, 40_001)].into();
    agent.planner.set_node(Node { ports_in_use, ..Node::default() });
    agent.declares("name: a\nselector: 'true'\n---\nname: b\nport: 40002/tcp\nselector: 'true'\n");
    assert_eq!(agent.named("a").port, 40_003);
}

#[test]
fn when_all_ports_are_given_out_it_is_a_finding() {
    let mut agent = Agent::new();
    let ports_in_use = (40_000..=45_000).map(|port| (Protocol::Tcp, port)).collect();
    agent.planner.set_node(Node { ports_in_use, ..Node::default() });
    agent.declares("name: a\nselector: 'true'\n");
    assert_eq!(agent.codes(), ["no-free-port"]);
}

#[test]
fn a_port_is_http_unless_it_says_tcp_udp_https_or_tls() {
    let kind = |port: &str| read(&format!("name: a\nport: {port}\ntls: x\nselector: 'true'\n"))[0].kind();
    assert_eq!(
        (kind("9000"), kind("9000/http"), kind("9000/https")),
        (PortType::Http, PortType::Http, PortType::Https)
    );
    let kind = |port: &str| read(&format!("name: a\nport: {port}\nselector: 'true'\n"))[0].kind();
    assert_eq!(
        (kind("9000/tcp"), kind("9000/udp"), kind("9000/tls")),
        (PortType::Tcp, PortType::Udp, PortType::Tls)
    );
    assert_eq!(codes("name: a\nport: 9000/ftp\nselector: 'true'\n"), ["invalid-port"]);
}

#[test]
fn tls_is_passed_through_by_its_server_name() {
    let text = format!("{}routes: {{(1): {{}}, (2): {{weight: 0%, condition: SNI is b}}}}\n", on("tls"));
    let agent = Agent::of(&text, &three_pods());
    let asked = Asked { port: 9_000, sni: "b".to_owned(), host: String::new(), ..request() };
    assert_eq!(agent.explain(&asked, None).route, Some(route("(2)")));
}

#[test]
fn host_port_is_accepted() {
    assert!(read(&format!("{}host_port: true\n", on("http")))[0].host_port);
}

#[test]
fn a_virtual_host_is_exact_or_a_wildcard_of_one_or_more_labels() {
    let text = FOO_INGRESS.replace("- foo.bar.com", "- foo.bar.com\n- '*.example.com'");
    let agent = Agent::of(&text, &three_pods());
    for known in ["foo.bar.com", "a.example.com", "a.b.example.com"] {
        assert!(agent.host(known).is_some(), "{known}");
    }
    for unknown in ["bar.com", "a.foo.bar.com", "example.com", "xexample.com"] {
        assert!(agent.host(unknown).is_none(), "{unknown}");
    }
}

#[test]
fn hosts_match_without_regard_to_case_and_port() {
    let agent = Agent::of(&FOO_INGRESS.replace("foo.bar", "Foo.BAR"), &three_pods());
    for host in ["foo.bar.com", "FOO.bar.com", "foo.bar.com:80", "foo.bar.com:8080"] {
        assert!(agent.host(host).is_some(), "{host}");
    }
}

#[test]
fn hosts_are_served_on_the_shared_port() {
    let agent = Agent::of(FOO_INGRESS, &three_pods());
    assert_eq!(agent.port(80), Some(Entry::Shared));
    assert_eq!(agent.planner.plan().l4.gateways[&GatewayKey::shared()].target, Target::Agent);
    assert_eq!(agent.host("foo.bar.com").map(|gateway| &gateway.key), Some(&key("foo-ingress")));
}

#[test]
fn hosts_with_tls_are_served_on_the_shared_tls_port_too() {
    let agent = Agent::of(&format!("{FOO_INGRESS}tls: foo-tls\n"), &three_pods());
    assert_eq!((agent.port(80), agent.port(443)), (Some(Entry::Shared), Some(Entry::Shared)));
    assert_eq!(Agent::of(FOO_INGRESS, &three_pods()).port(443), None);
}

#[test]
fn an_unknown_host_has_no_gateway() {
    let agent = Agent::of(FOO_INGRESS, &three_pods());
    assert!(agent.host("other.bar.com").is_none());
    let asked = Asked { host: "other.bar.com".to_owned(), ..request() };
    assert_eq!(agent.explain(&asked, None).gateway, None);
}

#[test]
fn a_host_belongs_to_the_oldest_gateway_that_names_it() {
    let mut agent = Agent::of(FOO_INGRESS, &three_pods());
    agent.now += 1;
    agent.declares(&format!("{}---\n{FOO_INGRESS}", FOO_INGRESS.replace("foo-ingress", "young")));
    assert_eq!(agent.host("foo.bar.com").unwrap().key, key("foo-ingress"), "though it is written last");
}

#[test]
fn younger_gateways_that_name_a_host_are_conflicted_and_keep_what_else_they_have() {
    let young =
        FOO_INGRESS.replace("foo-ingress", "young").replace("- foo.bar.com", "- foo.bar.com\n- b.com");
    let agent = Agent::of(&format!("{FOO_INGRESS}---\n{young}"), &three_pods());
    assert_eq!(agent.codes(), ["conflicted"]);
    assert_eq!(agent.planner.resolved().findings[0].gateway, Some(key("young")));
    assert_eq!(agent.host("b.com").unwrap().key, key("young"));
}

#[test]
fn routes_of_a_selector_are_managed_by_discovery() {
    let agent = Agent::of(FOO_INGRESS, &three_pods());
    let names: Vec<&str> = agent.gateway().routes.iter().map(|route| route.name.0.as_str()).collect();
    assert_eq!(names, ["(1)", "(2)", "(3)"]);
}

#[test]
fn sticky_is_route_or_instance() {
    let sticky = |value: &str| read(&format!("{}sticky: {value}\n", on("http")))[0].sticky.clone();
    assert_eq!(sticky("route"), Some(Sticky { keep: Keep::Route, by: By::Cookie }));
    assert_eq!(sticky("instance"), Some(Sticky { keep: Keep::Instance, by: By::Cookie }));
    assert_eq!(codes(&format!("{}sticky: pod\n", on("http"))), ["wrong-type"]);
}

#[test]
fn sticky_is_for_http_only() {
    for kind in ["tcp", "udp", "tls"] {
        assert_eq!(codes(&format!("{}sticky: route\n", on(kind))), ["sticky-needs-http"], "{kind}");
    }
}

#[test]
fn a_condition_on_the_address_asks_for_the_clients_own() {
    for (condition, asks) in [("IP in 10.0.0.0/8", true), ("< src 10.0.0.0/8 >", true), ("Host is a", false)]
    {
        assert_eq!(condition.parse::<gateway_model::condition::Condition>().unwrap().asks_for_client(), asks);
    }
}

#[test]
fn preserve_client_ip_that_the_proxy_cannot_keep_is_told() {
    let agent = Agent::of(&format!("{}preserve_client_ip: true\n", on("tcp")), &three_pods());
    assert_eq!(agent.codes(), [""; 0]);
    let agent = Agent::of(&format!("{}preserve_client_ip: true\nsticky: route\n", on("http")), &three_pods());
    assert_eq!(agent.codes(), ["client-address-not-kept"]);
}

#[test]
fn tls_names_one_secret_or_several() {
    let tls = |value: &str| read(&format!("{}tls: {value}\n", on("https")))[0].tls.clone();
    assert_eq!(tls("foo-tls"), ["foo-tls"]);
    assert_eq!(tls("[foo-tls, other/bar-tls]"), ["foo-tls", "other/bar-tls"]);
}

#[test]
fn level_kernel_never_looks_at_a_request_and_what_needs_one_is_an_error() {
    let agent = Agent::of(&format!("{}level: kernel\n", on("http")), &three_pods());
    assert_eq!(agent.gateway().layer, Layer::Kernel);
    for asking in [
        "sticky: route",
        "virtual_hosts: a.com",
        "routes: {(1): {condition: Host is a}}",
        "routes: {(1): {rewrites: {path: /a}}}",
    ] {
        assert_eq!(codes(&format!("{}level: kernel\n{asking}\n", on("http"))), ["level-kernel"], "{asking}");
    }
}

#[test]
fn level_kernel_with_tls_to_end_is_an_error() {
    assert_eq!(codes(&format!("{}level: kernel\ntls: foo-tls\n", on("https"))), ["level-kernel"]);
}

#[test]
fn level_request_always_goes_by_requests() {
    let agent = Agent::of(&format!("{}level: request\n", on("http")), &three_pods());
    assert_eq!(agent.gateway().layer, Layer::Request);
}

#[test]
fn metadata_of_gateways_and_routes_is_kept() {
    let text =
        format!("{}metadata: {{owner: me, n: [1, x]}}\nroutes: {{(1): {{metadata: {{a: b}}}}}}\n", on("tcp"));
    let foo = &read(&text)[0];
    assert_eq!((&foo.metadata["owner"], &foo.metadata["n"][1]), (&"me".into(), &"x".into()));
    assert_eq!(foo.routes[0].metadata["a"], "b");
}
