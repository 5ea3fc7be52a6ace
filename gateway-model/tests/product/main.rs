//! What Weir promises of artifacts, conditions, selectors, weights and stickiness: a small test for each promise, in
//! the order in which the specification makes them. Properties over thousands of cases stand beside the code.

mod artifact;
mod conditions;
mod selectors;
mod sticky;
mod weights;

use std::collections::BTreeMap;

use gateway_model::{
    discovery::{ChangeError, ConditionChange, Kept},
    explain::{Asked, Explanation, explain},
    finding::Finding,
    gateway::{self, Gateway},
    key::{GatewayKey, RouteName},
    pick::Picker,
    plan::{
        diff::Change,
        l4::{L4Gateway, Ring},
        l7::{Entry, L7Gateway},
    },
    planner::{Node, Planner},
    resolve::{ResolvedGateway, ResolvedRoute},
    snapshot::Settings,
    weight::{self, Weight},
    workload::{self, Workload},
};

/// The example of section 1.
const FOO_INGRESS: &str = "\
name: foo-ingress
kind: gateways
virtual_hosts:
- foo.bar.com
selector: label(app)(foo) && label(version)((.*))
";

/// A gateway named `foo` on port 9000 of this type, with routes by version.
fn on(kind: &str) -> String {
    format!("name: foo\nport: 9000/{kind}\nselector: label(app)(foo) && label(version)((.*))\n")
}

/// Three routes with these weights, as a field of an artifact.
fn routes(one: &str, two: &str, three: &str) -> String {
    format!("routes: {{(1): {{weight: {one}}}, (2): {{weight: {two}}}, (3): {{weight: {three}}}}}\n")
}

/// A pod of the application `foo`, made at second 100.
fn pod(name: &str, version: &str, address: &str) -> String {
    format!(
        "- {{name: {name}, labels: {{app: foo, version: {version}}}, addresses: [{address}], ports: [8080], created: 100}}\n"
    )
}

/// One pod of each of the versions 1, 2 and 3.
fn three_pods() -> String {
    pod("a", "1", "10.0.0.1") + &pod("b", "2", "10.0.0.2") + &pod("c", "3", "10.0.0.3")
}

/// The pods, that of this name not ready.
fn without(name: &str, pods: &str) -> String {
    pods.replace(&format!("name: {name},"), &format!("name: {name}, ready: false,"))
}

/// The gateways of a good artifact.
fn read(artifact: &str) -> Vec<Gateway> {
    let parsed = gateway::parse("foo.yaml", artifact, "default");
    assert!(!parsed.has_errors(), "{:?}", parsed.findings);
    parsed.gateways
}

/// What is wrong with an artifact.
fn complaints(artifact: &str) -> Vec<Finding> {
    gateway::parse("foo.yaml", artifact, "default").findings
}

/// The codes of what is wrong with an artifact.
fn codes(artifact: &str) -> Vec<&'static str> {
    complaints(artifact).iter().map(|finding| finding.code).collect()
}

fn workloads(text: &str) -> Vec<Workload> {
    let parsed = workload::parse("workloads.yaml", text, "default");
    assert!(!parsed.has_errors(), "{:?}", parsed.findings);
    parsed.workloads
}

/// `GET http://foo.bar.com/` from 198.51.100.7.
fn request() -> Asked {
    Asked {
        method: "GET".to_owned(),
        host: "foo.bar.com".to_owned(),
        port: 80,
        path: "/".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        client: [198, 51, 100, 7].into(),
        sni: String::new(),
    }
}

/// The request with this header.
fn with_header(name: &str, value: &str) -> Asked {
    Asked { headers: vec![(name.to_owned(), value.to_owned())], ..request() }
}

/// An agent on a node with the address 192.0.2.1, at second 1,000.
struct Agent {
    planner: Planner,
    now: u64,
    /// What the last step changed in the kernel.
    changes: Vec<Change>,
}

impl Agent {
    fn new() -> Self {
        Self::with(Kept::default(), 1_000)
    }

    fn with(kept: Kept, now: u64) -> Self {
        let settings = Settings { ring_size: 1_024, ..Settings::default() };
        let mut planner = Planner::new(settings, kept);
        planner.set_node(Node { addresses: vec![[192, 0, 2, 1].into()], ..Node::default() });
        Self { planner, now, changes: Vec::new() }
    }

    /// One that has these gateways and workloads.
    fn of(artifact: &str, workloads: &str) -> Self {
        let mut agent = Self::new();
        agent.runs(workloads);
        agent.declares(artifact);
        agent
    }

    fn declares(&mut self, artifact: &str) {
        self.planner.set_gateways(read(artifact));
        self.update();
    }

    fn runs(&mut self, text: &str) {
        self.planner.set_workloads(workloads(text));
        self.update();
    }

    fn waits(&mut self, seconds: u64) {
        self.now += seconds;
        self.update();
    }

    /// Starts anew with what was stored.
    fn restarts(&mut self, artifact: &str, workloads: &str) {
        let stored = serde_json::to_string(&self.planner.resolved().kept).expect("plain data");
        *self = Self::with(serde_json::from_str(&stored).expect("what was stored"), self.now);
        self.runs(workloads);
        self.declares(artifact);
    }

    fn sets(&mut self, changes: &[(&str, &str)], rebalance: bool) -> Result<(), ChangeError> {
        let changes: Vec<(RouteName, Weight)> =
            changes.iter().map(|(name, w)| (route(name), share(w))).collect();
        let key = self.gateway().key.clone();
        self.planner.set_weights(&key, &changes, rebalance, self.now)?;
        self.update();
        Ok(())
    }

    fn sets_condition(&mut self, name: &str, condition: &str) {
        let condition = ConditionChange::Set(Some(condition.parse().expect("a condition")));
        let key = self.gateway().key.clone();
        let set = self.planner.set_condition(&key, &route(name), condition, None, self.now);
        set.expect("a route that may have one");
        self.update();
    }

    fn rolls_back(&mut self, name: &str) {
        let key = self.gateway().key.clone();
        self.planner.roll_back(&key, &route(name), self.now).expect("there is such a route");
        self.update();
    }

    fn update(&mut self) {
        self.changes = self.planner.update(self.now).changes;
        for gateway in &self.planner.resolved().gateways {
            for sum in [
                weight::sum(gateway.routes.iter().map(|route| route.weight)),
                weight::sum(gateway.routes.iter().map(|route| route.lent)),
            ] {
                assert!(matches!(sum, 0 | 10_000), "weights always add up, and not to {sum}");
            }
        }
    }

    /// The gateway that is declared first.
    fn gateway(&self) -> &ResolvedGateway {
        &self.planner.resolved().gateways[0]
    }

    fn named(&self, name: &str) -> &ResolvedGateway {
        let mut gateways = self.planner.resolved().gateways.iter();
        gateways.find(|gateway| gateway.key.name == name).expect("it is in force")
    }

    fn route(&self, name: &str) -> &ResolvedRoute {
        self.gateway().routes.iter().find(|route| route.name.0 == name).expect("there is such a route")
    }

    /// `(1) 95%, (2) 5%`: the weights that routes have.
    fn weights(&self) -> String {
        self.told(|route| route.weight)
    }

    /// The weights in force, after lending.
    fn in_force(&self) -> String {
        self.told(|route| route.lent)
    }

    fn told(&self, weight: impl Fn(&ResolvedRoute) -> Weight) -> String {
        let mut routes: Vec<&ResolvedRoute> = self.gateway().routes.iter().collect();
        routes.sort_by(|a, b| a.name.display_order(&b.name));
        let told = routes.iter().map(|route| format!("{} {}", route.name, weight(route)));
        told.collect::<Vec<_>>().join(", ")
    }

    fn codes(&self) -> Vec<&'static str> {
        self.planner.resolved().findings.iter().map(|finding| finding.code).collect()
    }

    /// The first gateway in the kernel.
    fn l4(&self) -> &L4Gateway {
        &self.planner.plan().l4.gateways[&self.gateway().key]
    }

    /// How many slots of the ring each route has.
    fn slots(&self) -> BTreeMap<String, u32> {
        let ring: &Ring = &self.l4().ring4;
        ring.shares().into_iter().map(|(name, slots)| (name.to_string(), slots)).collect()
    }

    /// Who answers a host on the shared port.
    fn host(&self, host: &str) -> Option<&L7Gateway> {
        self.planner.plan().l7.find_host(host).map(AsRef::as_ref)
    }

    /// Who answers on a port of the node, where the proxy does.
    fn port(&self, port: u16) -> Option<Entry<'_>> {
        self.planner.plan().l7.find_frontend(&([192, 0, 2, 1], port).into())
    }

    fn explain(&self, asked: &Asked, user: Option<&str>) -> Explanation {
        explain(self.planner.resolved(), asked, user)
    }

    /// `(1) 95, (2) 5`: the shares of routes among requests like this.
    fn shares(&self, asked: &Asked) -> String {
        let shares = self.explain(asked, None).shares.0;
        shares.iter().map(|(name, share)| format!("{name} {share}")).collect::<Vec<_>>().join(", ")
    }

    /// How many of a hundred such requests each route takes; requests that none does are left out.
    fn takes(&self, asked: &Asked) -> BTreeMap<&str, u32> {
        let gateway = self.host(&asked.host).expect("a gateway with this host");
        take(gateway, asked, &mut Picker::new(7), 100)
    }
}

/// How many of the requests each route takes.
fn take<'a>(
    gateway: &'a L7Gateway,
    asked: &Asked,
    picker: &mut Picker,
    requests: u32,
) -> BTreeMap<&'a str, u32> {
    let mut taken = BTreeMap::new();
    for _ in 0..requests {
        if let Some(route) = gateway.decide(asked, picker) {
            *taken.entry(gateway.routes[route].name.0.as_str()).or_default() += 1;
        }
    }
    taken
}

fn route(name: &str) -> RouteName {
    RouteName(name.to_owned())
}

fn share(text: &str) -> Weight {
    text.parse().expect("a percentage")
}

fn key(name: &str) -> GatewayKey {
    GatewayKey::new("default", name)
}
