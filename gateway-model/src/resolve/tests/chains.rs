//! Routes that lead to other gateways.

use super::*;
use crate::{
    key::GatewayKey,
    matching::Request,
    pick::Picker,
    plan::{
        Plan,
        l4::{L4Gateway, Ring},
        l7::L7Gateway,
    },
};

/// `outer` splits between `inner`, which has two versions, and an external address.
const OUTER: &str = "\
name: outer
port: 7001/tcp
routes:
  inner: {weight: 60%}
  '[198.51.100.1:80]': {weight: 40%}
";

fn inner(fields: &str) -> String {
    format!(
        "name: inner\nport: 7002/tcp\nselector: label(app)(foo) && label(version)((.*))\nroutes: {{(1.0.3): {{weight: 75%}}, (2.0.1): {{weight: 25%}}}}\n{fields}"
    )
}

fn pods() -> String {
    two_pods() + &pod("c", "2.0.1", "10.0.0.3")
}

fn planned(gateways: &str, workloads: &str) -> (Resolved, Plan) {
    let resolved = resolve(&snapshot(gateways, workloads));
    let plan = plan(&resolved, None);
    (resolved, plan)
}

fn find<'a>(plan: &'a Plan, name: &str) -> &'a L4Gateway {
    &plan.l4.gateways[&GatewayKey::new("default", name)]
}

/// Slots by route and endpoint.
fn slots(ring: &Ring) -> BTreeMap<String, u32> {
    let mut slots = BTreeMap::new();
    for slot in 0..ring.slots.len() {
        if let Some((route, address)) = ring.endpoint(slot) {
            *slots.entry(format!("{route} {address}")).or_default() += 1;
        }
    }
    slots
}

#[test]
fn at_l4_a_chained_routes_share_is_divided_among_the_routes_behind_it() {
    let (resolved, plan) = planned(&format!("{OUTER}---\n{}", inner("")), &pods());
    assert_eq!(told(&resolved), []);
    let outer = find(&plan, "outer");
    let within = |slots: u32, exact: f64| (f64::from(slots) - exact).abs() <= 2.0;
    let slots = slots(&outer.ring4);
    assert_eq!(slots.len(), 4, "{slots:?}");
    for (member, share) in [
        ("inner 10.0.0.1:8080", 0.6 * 0.75 / 2.0),
        ("inner 10.0.0.2:8080", 0.6 * 0.75 / 2.0),
        ("inner 10.0.0.3:8080", 0.6 * 0.25),
        ("[198.51.100.1:80] 198.51.100.1:80", 0.4),
    ] {
        assert!(within(slots[member], 256.0 * share), "{member}: {}", slots[member]);
    }
    assert_eq!(outer.routes[&RouteName("inner".to_owned())].endpoints.len(), 3);
}

#[test]
fn chains_are_followed_as_far_as_they_go() {
    let link =
        |name: &str, to: &str, port: u16| format!("name: {name}\nport: {port}/tcp\nroutes: {to}\n---\n");
    let chain = link("a", "b", 7010) + &link("b", "c", 7011) + &link("c", "inner", 7012) + &inner("");
    let (resolved, plan) = planned(&chain, &pods());
    assert_eq!(told(&resolved), []);
    let a = &resolved.gateways[0];
    assert_eq!((a.key.name.as_str(), a.depth, a.routes[0].endpoints.len()), ("a", 4, 3));
    let by_address = |name: &str| {
        let ring = &find(&plan, name).ring4;
        slots(ring).into_values().collect::<Vec<_>>()
    };
    assert_eq!(by_address("a").iter().sum::<u32>(), 256);
    assert_eq!(by_address("a").len(), 3);
    let long: String = (0..9).map(|at| link(&format!("x{at}"), &format!("x{}", at + 1), 7100 + at)).collect();
    let long = long + &inner("").replace("inner", "x9");
    let (resolved, _) = planned(&long, &pods());
    let told: Vec<_> = told(&resolved).into_iter().map(|(code, gateway, _)| (code, gateway)).collect();
    assert_eq!(told, [("route-without-endpoints", "x0"), ("chain-too-long", "x1")]);
}

#[test]
fn a_chained_route_lends_its_weight_while_the_gateway_behind_it_cannot_serve() {
    let both = format!("{OUTER}---\n{}", inner(""));
    let unready = pods().replace("created", "ready: false, created");
    let (resolved, plan) = planned(&both, &unready);
    let lent: Vec<String> = resolved.gateways[0].routes.iter().map(|route| route.lent.to_string()).collect();
    assert_eq!(lent, ["100%", "0%"]);
    assert_eq!(slots(&find(&plan, "outer").ring4).len(), 1);
    let zero = both.replace("75%", "0%").replace("25%", "0%");
    let (resolved, plan) = planned(&zero, &pods());
    assert!(!resolved.gateways[1].serves, "nobody is sent to routes of 0%");
    assert_eq!(slots(&find(&plan, "outer").ring4).len(), 1);
}

#[test]
fn a_gateway_that_asks_for_requests_takes_those_with_it_that_lead_to_it() {
    let http = format!("{OUTER}---\n{}", inner("")).replace("/tcp", "/http");
    let layers = |text: &str| {
        let (resolved, _) = planned(text, &pods());
        resolved.gateways.iter().map(|gateway| gateway.layer).collect::<Vec<_>>()
    };
    assert_eq!(layers(&http), [Layer::Kernel, Layer::Kernel]);
    assert_eq!(layers(&(http.clone() + "level: request\n")), [Layer::Request, Layer::Request]);
    let asking = http.replace("weight: 25%", "weight: 25%, condition: Has Header beta");
    assert_eq!(layers(&asking), [Layer::Request, Layer::Request]);
    let outer_only = http.replace("inner: {weight: 60%", "inner: {condition: Has Header beta, weight: 60%");
    assert_eq!(layers(&outer_only), [Layer::Request, Layer::Kernel]);
    let kernel = asking.replace("port: 7001/http", "port: 7001/http\nlevel: kernel");
    let (resolved, plan) = planned(&kernel, &pods());
    assert_eq!(told(&resolved), [("level-kernel", "outer", 5)]);
    assert_eq!(resolved.gateways[0].layer, Layer::Kernel);
    assert_eq!(slots(&find(&plan, "outer").ring4).len(), 1, "the other route serves on");
}

struct Asked(bool);

impl Request for Asked {
    fn method(&self) -> &'static str {
        "GET"
    }
    fn host(&self) -> &'static str {
        "foo"
    }
    fn path(&self) -> &'static str {
        "/"
    }
    fn query(&self) -> &'static str {
        ""
    }
    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0 && name == "beta" && test(b"yes")
    }
    fn client(&self) -> IpAddr {
        [192, 0, 2, 7].into()
    }
    fn sni(&self) -> &'static str {
        ""
    }
}

#[test]
fn at_l7_the_gateway_behind_a_chained_route_decides_in_turn() {
    let http = format!("{OUTER}---\n{}", inner("")).replace("/tcp", "/http");
    let asking = http
        .replace("weight: 60%", "weight: 100%")
        .replace("weight: 40%", "weight: 0%")
        .replace("weight: 75%", "weight: 100%")
        .replace("weight: 25%", "weight: 0%, condition: Has Header beta");
    let (resolved, plan) = planned(&asking, &pods());
    assert_eq!(told(&resolved), []);
    let Some(Entry::Gateway(outer)) = plan.l7.find_frontend(&"192.0.2.1:7001".parse().unwrap()) else {
        panic!("the proxy serves it")
    };
    let decide = |gateway: &L7Gateway, beta: bool| {
        let route = gateway.decide(&Asked(beta), &mut Picker::new(1)).unwrap();
        (gateway.routes[route].name.to_string(), gateway.routes[route].chained.clone())
    };
    let (name, inner) = decide(outer, true);
    let inner = inner.expect("it is chained");
    assert_eq!((name.as_str(), inner.key.name.as_str()), ("inner", "inner"));
    assert_eq!(decide(&inner, true).0, "(2.0.1)");
    assert_eq!(decide(&inner, false).0, "(1.0.3)");
    let Some(Entry::Gateway(own)) = plan.l7.find_frontend(&"192.0.2.1:7002".parse().unwrap()) else {
        panic!("the proxy serves it")
    };
    assert!(Arc::ptr_eq(own, &inner), "one and the same, with its picks");
}

#[test]
fn a_gateway_whose_port_the_kernel_has_is_the_one_in_the_table_that_others_lead_to() {
    let http = format!("{OUTER}level: request\n---\n{}", inner("")).replace("/tcp", "/http");
    let (_, plan) = planned(&http, &pods());
    assert_eq!(plan.l4.gateways[&GatewayKey::new("default", "inner")].target, Target::Ring);
    let [outer, inner] = ["192.0.2.1:7001", "192.0.2.1:7002"].map(|at| {
        let found = plan.l7.find_frontend(&at.parse().unwrap());
        let Some(Entry::Gateway(gateway)) = found else { panic!("nobody answers on {at}: {found:?}") };
        gateway
    });
    let chained: Vec<_> = outer.routes.iter().filter_map(|route| route.chained.as_ref()).collect();
    assert!(matches!(chained[..], [one] if Arc::ptr_eq(one, inner)));
}

#[test]
fn a_condition_alone_makes_a_chained_route_worth_going_to() {
    let http = format!("{OUTER}---\n{}", inner("")).replace("/tcp", "/http");
    let asking = http
        .replace("weight: 75%", "weight: 0%")
        .replace("weight: 25%", "weight: 0%, condition: Has Header beta");
    let (resolved, plan) = planned(&asking, &pods());
    assert!(resolved.gateways[1].serves);
    let Some(Entry::Gateway(outer)) = plan.l7.find_frontend(&"192.0.2.1:7001".parse().unwrap()) else {
        panic!("the proxy serves it")
    };
    assert_eq!(outer.shares(), [4_000, 6_000]);
}

#[test]
fn a_route_to_a_gateway_that_does_not_exist_is_told_those_that_do() {
    let lost = format!("{}---\n{}", OUTER.replace("  inner:", "  iner:"), inner(""));
    let (resolved, plan) = planned(&lost, &pods());
    assert_eq!(told(&resolved), [("unknown-gateway", "outer", 4)]);
    assert!(resolved.findings[0].message.contains("there are: inner"), "{}", resolved.findings[0]);
    assert_eq!(slots(&find(&plan, "outer").ring4).len(), 1, "the other route serves");
    let (resolved, _) = planned(OUTER, "[]");
    assert!(resolved.findings[0].message.contains("there is no other"), "{}", resolved.findings[0]);
}

#[test]
fn gateways_on_a_cycle_are_out_of_force_and_no_others() {
    let link =
        |name: &str, to: &str, port: u16| format!("name: {name}\nport: {port}/tcp\nroutes: {to}\n---\n");
    let ring = link("a", "b", 7010) + &link("b", "c", 7011) + &link("c", "a", 7012);
    let text = ring + &link("d", "a", 7013) + &link("e", "e", 7014) + &inner("");
    let (resolved, _) = planned(&text, &pods());
    assert_eq!(
        told(&resolved),
        [
            ("gateway-cycle", "a", 3),
            ("gateway-cycle", "b", 7),
            ("gateway-cycle", "c", 11),
            ("gateway-not-in-force", "d", 15),
            ("gateway-cycle", "e", 19),
        ]
    );
    let messages: Vec<&str> = resolved
        .findings
        .iter()
        .filter_map(|finding| finding.message.split_once(": "))
        .map(|(_, way)| way)
        .collect();
    assert_eq!(messages, ["a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c", "e -> e"]);
    let names: Vec<&str> = resolved.gateways.iter().map(|gateway| gateway.key.name.as_str()).collect();
    assert_eq!(names, ["d", "inner"]);
}

#[test]
fn only_gateways_of_one_type_can_be_chained() {
    let told_of = |outer: &str, inner_type: &str| {
        let text = format!("{OUTER}---\n{}", inner(""));
        let text = text.replace("7001/tcp", &format!("7001/{outer}"));
        let (resolved, _) = planned(&text.replace("7002/tcp", &format!("7002/{inner_type}")), &pods());
        told(&resolved)
            .iter()
            .map(|(code, gateway, line)| format!("{code} {gateway} {line}"))
            .collect::<Vec<_>>()
    };
    for (outer, inner) in [("tcp", "tcp"), ("udp", "udp"), ("http", "http")] {
        assert_eq!(told_of(outer, inner), [""; 0], "{outer} {inner}");
    }
    for (outer, inner) in [("tcp", "udp"), ("udp", "tcp"), ("http", "tcp"), ("tcp", "http")] {
        assert_eq!(told_of(outer, inner), ["chain-type outer 4"], "{outer} {inner}");
    }
}

#[test]
fn a_route_that_reads_like_one_of_the_selector_is_told_which_may_be_meant() {
    let advice = |file: &str, route: &str, workloads: &str| {
        let resolved = resolve(&snapshot(&format!("{file}routes: ['{route}']\n"), workloads));
        let unknown = resolved.findings.iter().find(|finding| finding.code == "unknown-gateway").unwrap();
        unknown.advice.clone()
    };
    let named = two_pods().replace("1.0.3", "blue");
    for (route, workloads) in [("1.0.3", two_pods()), ("v2", two_pods()), ("blue", named)] {
        let advice = advice(TCP, route, &workloads);
        assert!(advice.starts_with(&format!("did you mean `({route})`")), "{advice}");
    }
    assert!(!advice(TCP, "blue", &two_pods()).contains("did you mean"));
    assert!(!advice("name: a\nport: 40001/tcp\n", "1.0.3", "[]").contains("did you mean"), "no selector");
}
