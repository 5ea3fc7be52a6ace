//! How long the agent takes for what a cluster of 1,000 gateways and 10,000 endpoints tells it, on real maps:
//! `cargo test --release -p gateway-user --lib -- --ignored --nocapture speed`.
//!
//! Everything is in it but the API server and the parsing of its answers; `cargo xtask bench convergence` has those.

use std::{
    net::Ipv4Addr,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use clap::Parser as _;
use gateway_model::key::Protocol;

use super::{super::cluster::Cluster, *};
use crate::{
    cli::args::{Cli, Command as Subcommand},
    control::agent::{
        facts::{
            EndpointFacts, GatewayFacts, NodeFacts, PodFacts, RouteFacts, ServiceFacts, ServicePort,
            SliceFacts,
        },
        view::{Change, Delta, Event, View},
    },
};

/// The agent's own, for its memory to be what is measured.
#[global_allocator]
static ALLOCATOR: crate::allocator::Allocator = crate::allocator::ALLOCATOR;

const GATEWAYS: u16 = 1_000;
const ENDPOINTS: u8 = 10;
/// Pods of this node: of the first endpoint of as many gateways.
const PODS: u16 = 100;
const NODE: &str = "n1";

/// Pods, bpffs and control group of one run; taken away when dropped.
struct Place {
    name: String,
    pins: PathBuf,
    cgroup: PathBuf,
    state: tempfile::TempDir,
}

impl Place {
    /// Moves this thread into a network namespace with an uplink and a device for pods.
    fn new() -> Self {
        let name = format!("weir-speed-{}", std::process::id());
        ip(&format!("netns add {name}"));
        let netns = std::fs::File::open(format!("/run/netns/{name}")).unwrap();
        let kind = rustix::thread::LinkNameSpaceType::Network;
        rustix::thread::move_into_link_name_space(netns.as_fd(), Some(kind)).expect("root is needed");
        ip("link set lo up");
        ip("link add name up type veth peer name far");
        ip("link add pods type veth peer name inside");
        for device in ["up", "far", "pods", "inside"] {
            ip(&format!("link set dev {device} up"));
        }
        ip("address add 192.0.2.1/24 dev up");
        ip("route add default via 192.0.2.254 dev up");
        (0..PODS).for_each(|gateway| ip(&format!("route add {}/32 dev pods", address(gateway, 0))));
        let cgroup = dataplane::ensure_cgroup2().unwrap().join(&name);
        std::fs::create_dir_all(cgroup.join("pods")).unwrap();
        let pins = Path::new("/sys/fs/bpf").join(&name);
        dataplane::ensure_bpffs(&pins).unwrap();
        Self { name, pins, cgroup, state: tempfile::tempdir().unwrap() }
    }

    fn config(&self) -> Config {
        let folder = self.state.path();
        let path = |path: &Path| path.display().to_string();
        let arguments = ["weir", "agent", "--node-name", NODE, "--interface", "up"].map(str::to_owned);
        let folders = [
            ("--pin-dir", path(&self.pins)),
            ("--cgroup", path(&self.cgroup.join("agent"))),
            ("--services-cgroup", path(&self.cgroup.join("pods"))),
            ("--state-dir", path(&folder.join("state"))),
            ("--run-dir", path(&folder.join("run"))),
        ];
        let folders = folders.into_iter().flat_map(|(flag, path)| [flag.to_owned(), path]);
        let cli = Cli::try_parse_from(arguments.into_iter().chain(folders)).unwrap();
        let Subcommand::Agent(args) = cli.command else { panic!("an agent was asked for") };
        Config::try_from(*args).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let root = self.cgroup.parent().expect("it is below the root");
        let _ = std::fs::write(root.join("cgroup.procs"), "0");
        let _ = dataplane::uninstall(&self.pins);
        let _ = std::fs::remove_dir(&self.pins);
        for folder in ["agent", "pods", ""] {
            let _ = std::fs::remove_dir(self.cgroup.join(folder));
        }
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(done.success(), "ip {arguments}");
}

fn address(gateway: u16, endpoint: u8) -> IpAddr {
    let [high, low] = gateway.to_be_bytes();
    Ipv4Addr::new(10, 128 + high, low, endpoint).into()
}

fn gateway(number: u16, version: u64, first: u16) -> GatewayFacts {
    let name = format!("g{number}");
    let route = |name: &str, hundredths| RouteFacts {
        name: name.to_owned(),
        weight: gateway_model::weight::Weight::from_hundredths(hundredths).unwrap(),
    };
    GatewayFacts {
        namespace: "shop".to_owned(),
        created: u64::from(number % 7),
        resource_version: version,
        document: format!(
            r#"{{"apiVersion":"weir.dev/v1","kind":"WeirGateway","metadata":{{"name":"{name}","namespace":"shop"}},"spec":{{"selector":"label(app)({name}) && label(version)((.*))"}}}}"#
        ),
        routes: Some(vec![route("(1)", first), route("(2)", 10_000 - first)]),
        port: Some(80),
        name,
    }
}

/// The endpoints of a route; `unready` of them takes no new connections.
fn slice(gateway: u16, route: u8, unready: Option<u8>) -> SliceFacts {
    let half = ENDPOINTS / 2;
    let endpoint = |number: u8| EndpointFacts {
        address: address(gateway, number),
        ready: unready != Some(number),
        node: Some(if number == 0 && gateway < PODS { NODE } else { "n2" }.to_owned()),
        pod: format!("g{gateway}-{number}"),
        uid: format!("uid-{gateway}-{number}"),
    };
    SliceFacts {
        namespace: "shop".to_owned(),
        name: format!("g{gateway}-{route}"),
        gateway: format!("g{gateway}"),
        route: format!("({})", route + 1),
        port: 8080,
        endpoints: (route * half..(route + 1) * half).map(endpoint).collect(),
        ..SliceFacts::default()
    }
}

fn service(number: u16) -> ServiceFacts {
    let [high, low] = number.to_be_bytes();
    ServiceFacts {
        namespace: "shop".to_owned(),
        name: format!("g{number}"),
        is_of_gateway: true,
        ports: vec![ServicePort { port: 80, node_port: None, protocol: Protocol::Tcp }],
        cluster_ips: vec![Ipv4Addr::new(10, 96, high, low).into()],
        has_ipv4: true,
        ..ServiceFacts::default()
    }
}

fn pod(number: u16) -> PodFacts {
    PodFacts {
        namespace: "shop".to_owned(),
        name: format!("g{number}-0"),
        uid: format!("uid-{number}-0"),
        is_ready: true,
        addresses: vec![address(number, 0)],
    }
}

fn tell<T>(view: &mut View, facts: impl Iterator<Item = T>, change: impl Fn(Event<T>) -> Change) {
    view.handle(change(Event::Begin));
    facts.for_each(|fact| view.handle(change(Event::Listed(fact))));
    view.handle(change(Event::End));
}

fn everything() -> View {
    let mut view = View::new(NODE, "weir-system");
    view.set_addresses(BTreeSet::from([IpAddr::from([192, 0, 2, 1])]));
    tell(&mut view, (0..GATEWAYS).map(|number| gateway(number, 1, 5_000)), Change::Gateway);
    let slices = (0..GATEWAYS).flat_map(|number| [0, 1].map(|route| slice(number, route, None)));
    tell(&mut view, slices, Change::Slice);
    tell(&mut view, (0..GATEWAYS).map(service), Change::Service);
    tell(&mut view, (0..PODS).map(pod), Change::Pod);
    let node = NodeFacts { name: NODE.to_owned(), internal_ips: vec![IpAddr::from([192, 0, 2, 1])] };
    tell(&mut view, [node].into_iter(), Change::Node);
    view
}

async fn start(place: &Place, view: &mut View) -> Control {
    let mut cluster = Cluster::new(NODE);
    cluster.absorb(view.take().unwrap());
    let config = place.config();
    let mut state = StateFolder::open(&config.state_dir).unwrap();
    state.take().unwrap();
    let began = Instant::now();
    let loaded = Loading::begin(&config.pin_dir).done().await.unwrap();
    println!("  loading the programs {:?}", began.elapsed());
    let declared = Declared::Cluster(cluster);
    Control::start(config, loaded, declared, state, Kept::default(), Voices::default()).await.unwrap()
}

/// Takes over what the view has to tell; from the first event to the last write.
fn follow(control: &mut Control, view: &mut View, changes: impl IntoIterator<Item = Change>) -> Duration {
    let arrived = Instant::now();
    changes.into_iter().for_each(|change| view.handle(change));
    if let Some(delta) = view.take() {
        control.follow(Delta { arrived: Some(arrived), ..delta });
    }
    assert_eq!(control.trouble, None);
    arrived.elapsed()
}

fn show(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{what}: median {:?}, p99 {:?}, worst {:?}", at(50), at(99), at(100));
    at(99)
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("Rss"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

/// How long the data plane's thread has others wait, for some seconds of ticks.
async fn waits(control: &Control, seconds: u64) -> Vec<Duration> {
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_secs(seconds) {
        let asked = Instant::now();
        control.call(|_| ()).unwrap();
        times.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times
}

async fn measure(place: &Place) {
    println!("at first: {}", memory());
    let mut view = everything();
    println!("told of all: {}", memory());
    let began = Instant::now();
    let mut control = start(place, &mut view).await;
    println!("start: {:?}; {}", began.elapsed(), memory());
    let mut singles = Vec::new();
    for at in 0..400_u16 {
        let (number, unready) = (at / 2 * 7 % GATEWAYS, (at % 2 == 0).then_some(3));
        let change = Change::Slice(Event::Applied(slice(number, 0, unready)));
        singles.push(follow(&mut control, &mut view, [change]));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    show("one endpoint", singles);
    let mut weights = Vec::new();
    for at in 0..100_u16 {
        let change = Change::Gateway(Event::Applied(gateway(at * 7 % GATEWAYS, 2, 5_000 - at)));
        weights.push(follow(&mut control, &mut view, [change]));
    }
    show("weights of one gateway", weights);
    let mut pods = Vec::new();
    for at in 0..20_u16 {
        let deleted = Event::Deleted(("shop".into(), "g7-0".into()), 0);
        let event = if at % 2 == 0 { deleted } else { Event::Applied(pod(7)) };
        pods.push(follow(&mut control, &mut view, [Change::Pod(event)]));
    }
    show("a pod of this node goes or comes", pods);
    let mut lives = Vec::new();
    for at in 0..20_u16 {
        let deleted = Event::Deleted(("shop".into(), "g9".into()), 0);
        let event = if at % 2 == 0 { deleted } else { Event::Applied(gateway(9, 1, 5_000)) };
        lives.push(follow(&mut control, &mut view, [Change::Gateway(event)]));
    }
    show("a gateway goes or comes", lives);
    for unready in [Some(1), None] {
        let all = (0..GATEWAYS).map(|number| Change::Slice(Event::Applied(slice(number, 0, unready))));
        println!("one endpoint of each gateway: {:?}", follow(&mut control, &mut view, all));
    }
    show("waiting for the data plane", waits(&control, 12).await);
    let mut refreshes = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        control.refresh();
        refreshes.push(began.elapsed());
    }
    show("working everything out", refreshes);
    let mut ticks = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        control.tick().await;
        ticks.push(began.elapsed());
    }
    show("a tick", ticks);
    ip("link add more type veth peer name others");
    ip("link set dev more up");
    ip("route add 10.200.0.0/24 dev more");
    show("waiting when a device comes", waits(&control, 2).await);
    ip("route del 10.200.0.0/24 dev more");
    ip("link del more");
    show("waiting when a device goes", waits(&control, 2).await);
    println!("at last: {}", memory());
    drop(control);
    let mut view = everything();
    let began = Instant::now();
    let mut control = start(place, &mut view).await;
    println!("start again: {:?}; {}", began.elapsed(), memory());
    let change = Change::Slice(Event::Applied(slice(0, 0, Some(3))));
    println!("one endpoint: {:?}", follow(&mut control, &mut view, [change]));
}

#[test]
#[ignore = "a measurement: cargo test --release -p gateway-user --lib -- --ignored --nocapture speed"]
fn changes_among_a_thousand_gateways() {
    let run = || {
        let place = Place::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(measure(&place));
    };
    std::thread::spawn(run).join().unwrap();
}
