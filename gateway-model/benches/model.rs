//! What the model costs: CPU time of the process, so that others on the machine matter little, and of several
//! rounds the least.
//!
//! `cargo bench -p gateway-model`

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
    plan::{Plan, diff::diff, l4::Ring, plan},
    resolve::resolve,
    ring::{RingRoute, assign},
    snapshot::Snapshot,
    weight::Weight,
    workload::{Workload, WorkloadPort},
};

fn main() {
    // `cargo bench` gives `--bench`; anything else names the part wanted.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, part) in [("rings", rings as fn()), ("plans", plans), ("requests", requests)] {
        if wanted.is_empty() || wanted.iter().any(|one| one == name) {
            part();
        }
    }
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
        weight: Weight::from_hundredths(10_000 / routes).unwrap_or(Weight::FULL),
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
        println!("ring of {size} slots, {count} routes of {endpoints} endpoints: {time:?}");
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
    let mut snapshot = snapshot();
    let time = least(2, || resolve(&snapshot));
    println!("1,000 gateways of 10 routes of 10 endpoints: resolve {time:?}");
    let resolved = resolve(&snapshot);
    let time = least(2, || plan(&resolved, None));
    println!("  plan with rings of 4,096 slots, from nothing: {time:?}");
    let first: Plan = plan(&resolved, None);
    snapshot.kept = resolved.kept.clone();
    snapshot.workloads.pop();
    let resolved = resolve(&snapshot);
    let time = least(3, || plan(&resolved, Some(&first)));
    println!("  plan with one endpoint less: {time:?}");
    let second = plan(&resolved, Some(&first));
    let time = least(3, || diff(&first.l4, &second.l4));
    println!("  diff: {time:?}, {} changes", diff(&first.l4, &second.l4).len());
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
    println!("a host among 1,000: {time:?}");
    let condition = Condition::parse(
        "User-Agent is Chrome or Has Header x-none or Cookie beta == no or Method is POST or Path starts with /api",
    )
    .expect("it parses");
    let time = least(5, || condition.matches(black_box(&Asked)));
    println!("a condition of five terms, the last one true: {time:?}");
    let Some(gateway) = table.find_host("g500.example.com") else { return };
    let mut picker = Picker::new(1);
    let time = least(5, || gateway.decide(&Asked, &mut picker));
    println!("a weighted pick of four routes: {time:?}");
}
