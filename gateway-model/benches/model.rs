//! What the model costs, beside what it may: CPU time of the process, so that others on the machine matter little,
//! and of several rounds the least.
//!
//! `cargo xtask bench model`, or `cargo bench -p gateway-model --bench model -- PART…` for some of it.

use std::{
    fmt::Write as _,
    hint::black_box,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use gateway_model::{
    condition::Condition,
    gateway,
    key::RouteName,
    matching::Request,
    pick::Picker,
    plan::{diff::diff, l4::Ring, plan},
    planner::{Node, Planner},
    resolve::resolve,
    ring::{RingRoute, assign},
    snapshot::{Settings, Snapshot},
    weight::Weight,
    workload::{Workload, WorkloadPort},
};

#[path = "model/choices.rs"]
mod choices;

fn main() {
    // `cargo bench` gives `--bench`; anything else names the part wanted.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, part) in
        [("rings", rings as fn()), ("plans", plans), ("requests", requests), ("choices", choices::choices)]
    {
        if wanted.is_empty() || wanted.iter().any(|one| one == name) {
            part();
        }
    }
}

/// One line: what, how long it took, and how long it may take where that is laid down.
fn show(what: &str, time: Duration, goal: Option<Duration>) {
    let goal = goal.map_or_else(String::new, |goal| format!("goal {goal:?}"));
    println!("{what:<78} {:>12} {goal}", format!("{time:.1?}"));
}

/// The least time of `rounds` rounds, by call. A round is as long as it takes to be measured well.
fn least<T>(rounds: u32, mut run: impl FnMut() -> T) -> Duration {
    let mut round = || {
        let start = cpu_time();
        let mut calls = 0;
        loop {
            black_box(run());
            calls += 1;
            // Reading the clock is dear: seldom where calls are cheap.
            if (calls % 1_000 == 0 || calls < 20)
                && cpu_time().saturating_sub(start) > Duration::from_millis(100)
            {
                return cpu_time().saturating_sub(start) / calls;
            }
        }
    };
    (0..rounds).map(|_| round()).min().unwrap_or_default()
}

/// Time that this process, which has one thread, was on a CPU.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("Linux tells the time on CPU first in schedstat"))
}

fn address(number: u32) -> IpAddr {
    IpAddr::V4((0x0a00_0000 + number).into())
}

fn routes(routes: u16, endpoints: u32) -> Vec<RingRoute> {
    let route = |index: u16| RingRoute {
        name: RouteName(format!("({index}.0.0)")),
        weight: u64::from(10_000 / routes),
        endpoints: (0..endpoints)
            .map(|number| SocketAddr::new(address(u32::from(index) * 10_000 + number), 80))
            .collect(),
    };
    (0..routes).map(route).collect()
}

fn ring(size: u32, routes: &[RingRoute]) -> Ring {
    assign(size, 1, routes)
}

fn rings() {
    for (size, count, endpoints) in
        [(4_096, 2, 2), (4_096, 10, 10), (4_096, 1, 100), (65_536, 10, 100), (65_536, 1, 1_000)]
    {
        let routes = routes(count, endpoints);
        let time = least(5, || ring(size, &routes));
        let goal = (size == 65_536 && count == 1).then_some(Duration::from_millis(100));
        show(&format!("ring of {size} slots, {count} routes of {endpoints} endpoints"), time, goal);
    }
}

/// A snapshot of 1,000 gateways with 10 routes of 10 endpoints each.
fn snapshot() -> Snapshot {
    let mut text = String::new();
    let mut workloads = Vec::new();
    for index in 0..1_000_u32 {
        let _ = write!(
            text,
            "---\nname: g{index}\nport: {}/tcp\nselector: namespace(default) && label(app)(a{index}) && label(version)((.*))\n",
            10_000 + index
        );
        for pod in 0..100 {
            workloads.push(Workload {
                namespace: "default".to_owned(),
                kind: "pod".to_owned(),
                name: format!("a{index}-{pod}"),
                labels: [
                    ("app".to_owned(), format!("a{index}")),
                    ("version".to_owned(), format!("{}.0.0", pod % 10)),
                ]
                .into(),
                addresses: vec![address(index * 100 + pod)],
                ports: vec![WorkloadPort { name: "http".to_owned(), port: 80 }],
                ready: true,
                created: Some(u64::from(pod)),
                ..Workload::default()
            });
        }
    }
    let gateways = gateway::parse("bench", &text, "default").gateways;
    Snapshot { gateways, workloads, addresses: vec![address(1 << 20)], now: 1_000, ..Snapshot::default() }
}

fn plans() {
    let one_slot = Settings { ring_size: 1, ..Settings::default() };
    let snapshot = Snapshot { settings: one_slot, ..snapshot() };
    println!("1,000 gateways of 10 routes of 10 endpoints (100,000 workloads):");
    let both = least(3, || plan(&resolve(&snapshot), None));
    show("  resolve and plan from nothing, rings of one slot", both, Some(Duration::from_millis(250)));
    show("    of this resolve", least(3, || resolve(&snapshot)), None);
    let inputs: Vec<Vec<RingRoute>> = resolve(&snapshot)
        .gateways
        .iter()
        .map(|one| {
            let route = |route: &gateway_model::resolve::ResolvedRoute| RingRoute {
                name: route.name.clone(),
                weight: 1_000,
                endpoints: route.endpoints.iter().map(|endpoint| endpoint.address).collect(),
            };
            one.routes.iter().map(route).collect()
        })
        .collect();
    let rings = least(3, || inputs.iter().map(|routes| ring(4_096, routes)).collect::<Vec<_>>());
    show(
        "  their rings of 4,096 slots, all routes with an equal weight",
        rings,
        Some(Duration::from_millis(500)),
    );
    let full = Snapshot { settings: Settings::default(), ..snapshot };
    changes(&full);
    let (before, mut after) = (resolve(&full), full);
    after.workloads.pop();
    let before = plan(&before, None);
    let after = plan(&resolve(&after), Some(&before));
    let count = diff(&before.l4, &after.l4).len();
    show(
        &format!("  diff of two plans that share all but one gateway, {count} changes"),
        least(5, || diff(&before.l4, &after.l4)),
        None,
    );
}

/// What a planner needs for one change, up to its diff.
fn changes(snapshot: &Snapshot) {
    let mut planner = Planner::new(snapshot.settings, snapshot.kept.clone());
    let start = cpu_time();
    planner.set_gateways(snapshot.gateways.clone());
    planner.set_node(Node { addresses: snapshot.addresses.clone(), ..Node::default() });
    planner.set_workloads(snapshot.workloads.clone());
    planner.update(snapshot.now);
    show("  a planner told of everything, rings of 4,096 slots", cpu_time().saturating_sub(start), None);
    spread(&mut planner, snapshot.now);
    let goal = Some(Duration::from_millis(1));
    let pod = snapshot.workloads[50_005].clone();
    let identity = pod.identity();
    let mut is_there = true;
    let mut count = 0;
    let time = least(5, || {
        is_there = !is_there;
        if is_there {
            planner.upsert_workload(pod.clone());
        } else {
            planner.remove_workload(&identity);
        }
        count = planner.update(snapshot.now).changes.len();
    });
    show(&format!("  one endpoint gone or back, to its {count} changes, 4,096 slots"), time, goal);
    let mut ready = true;
    let time = least(5, || {
        ready = !ready;
        planner.upsert_workload(Workload { ready, ..pod.clone() });
        planner.update(snapshot.now).changes.len()
    });
    show("  one endpoint ready or not, to its changes, 4,096 slots", time, goal);
    let time = least(5, || planner.update(snapshot.now).changes.len());
    show("  an update where nothing has changed", time, None);
}

/// Gives all routes of the gateway in the middle an equal weight: its ring is to cost what a ring costs.
fn spread(planner: &mut Planner, now: u64) {
    let gateway = planner.resolved().gateways[500].clone();
    let tenth = Weight::from_hundredths(1_000).unwrap_or(Weight::FULL);
    let weights: Vec<(RouteName, Weight)> =
        gateway.routes.iter().map(|route| (route.name.clone(), tenth)).collect();
    planner.set_weights(&gateway.key, &weights, false, now).expect("they add up");
    planner.update(now);
}

struct Asked;

impl Request for Asked {
    fn method(&self) -> &'static str {
        "GET"
    }
    fn host(&self) -> &'static str {
        "g500.example.com"
    }
    fn path(&self) -> &'static str {
        "/api/v1/items"
    }
    fn query(&self) -> &'static str {
        ""
    }
    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let headers = [
            ("host", "x"),
            ("user-agent", "Mozilla/5.0 Gecko/20100101 Firefox/140.0"),
            ("cookie", "a=b; beta=yes"),
        ];
        headers.iter().any(|(own, value)| own.eq_ignore_ascii_case(name) && test(value.as_bytes()))
    }
    fn client(&self) -> IpAddr {
        address(7)
    }
    fn sni(&self) -> &'static str {
        ""
    }
}

fn requests() {
    let declare = |index: u32| {
        format!(
            "name: g{index}\nvirtual_hosts: [g{index}.example.com]\nselector: label(app)(a) && label(version)((.*))\n"
        )
    };
    let text = (0..1_000).map(declare).collect::<Vec<_>>().join("---\n");
    let workloads = (0..4).map(|pod| Workload {
        namespace: "default".to_owned(),
        kind: "pod".to_owned(),
        name: format!("p{pod}"),
        labels: [("app".to_owned(), "a".to_owned()), ("version".to_owned(), format!("{pod}.0.0"))].into(),
        addresses: vec![address(pod)],
        ports: vec![WorkloadPort { name: "http".to_owned(), port: 80 }],
        ready: true,
        ..Workload::default()
    });
    let snapshot = Snapshot {
        gateways: gateway::parse("bench", &text, "default").gateways,
        workloads: workloads.collect(),
        addresses: vec![address(1 << 20)],
        ..Snapshot::default()
    };
    let table = plan(&resolve(&snapshot), None).l7;
    let time = least(5, || table.find_host(black_box("g500.example.com")).is_some());
    show("the gateway of a host among 1,000", time, Some(Duration::from_nanos(200)));
    let condition = Condition::parse(
        "User-Agent is Chrome or Has Header x-none or Cookie beta == no or Method is POST or Path starts with /api",
    )
    .expect("it parses");
    let time = least(5, || condition.matches(black_box(&Asked)));
    show("a condition of five terms, the last one true", time, Some(Duration::from_nanos(150)));
    let Some(gateway) = table.find_host("g500.example.com") else { return };
    let mut picker = Picker::new(1);
    let time = least(5, || gateway.decide(&Asked, &mut picker));
    show("a weighted pick of four routes", time, None);
}
