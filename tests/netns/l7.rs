//! Requests through the binary: none fails, whatever is changed while they are made.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use gateway_tests::{
    Agent, Lab, LabPlan, Workload, came_true,
    client::{
        HttpLoad,
        http::{Asker, get},
    },
    lab::Pod,
    pod::Server,
    wait_until,
};

/// The seed example, and the same workloads on an own port.
const GATEWAYS: &str = "\
name: foo-ingress
kind: gateways
virtual_hosts:
- foo.bar.com
selector: label(app)(foo) && label(version)((.*))
---
name: foo-http
kind: gateways
port: 40080/http
level: request
selector: label(app)(foo) && label(version)((.*))
";
const POD_PORT: u16 = 8080;
const CHROME: Asker = Asker { class: "chrome", host: "foo.bar.com", user_agent: "Chrome/120" };
const FIREFOX: Asker = Asker { class: "firefox", host: "foo.bar.com", user_agent: "Firefox/121" };
const PATIENCE: Duration = Duration::from_secs(30);

/// Two pods of 1.0.3 and two of 2.0.1 behind the gateways, and an agent that serves them.
struct Shop {
    agent: Agent,
    _servers: Vec<Server>,
    lab: Lab,
}

impl Shop {
    fn open(tag: &str) -> Self {
        let lab = LabPlan::new(tag).pods(4).build().unwrap();
        let versions = ["1.0.3", "1.0.3", "2.0.1", "2.0.1"];
        let pods = || lab.pods.iter().zip(versions);
        let servers = pods().map(|(pod, version)| pod.serve_http(POD_PORT, version).unwrap()).collect();
        let workloads: Vec<_> =
            pods().map(|(pod, version)| pod.workload(version, "http", POD_PORT)).collect();
        let mut agent = Agent::new(&lab).unwrap();
        agent.write_config(GATEWAYS).unwrap();
        agent.write_workloads(&Workload::list(&workloads)).unwrap();
        agent.start().unwrap();
        Self { agent, _servers: servers, lab }
    }

    /// Where virtual hosts are served, and the own port, in both families.
    fn frontends(&self) -> [SocketAddr; 4] {
        [self.lab.node4(80), self.lab.node6(80), self.lab.node4(40080), self.lab.node6(40080)]
    }

    fn weights(&self, gateway: &str, second: u32) {
        let weights = [format!("(1.0.3)={}%", 100 - second), format!("(2.0.1)={second}%")];
        self.agent.cli(&["weight", gateway, &weights[0], &weights[1]]).unwrap();
    }

    /// Steady requests of both browsers to every frontend.
    fn load(&self) -> Vec<HttpLoad> {
        let from = &self.lab.client().netns;
        self.frontends().into_iter().map(|to| HttpLoad::start(from, to, &[CHROME, FIREFOX], 2, 20)).collect()
    }
}

/// Ends the loads; fails where a request did.
fn assert_none_failed(loads: Vec<HttpLoad>) {
    let mut answered = 0;
    for load in loads {
        let tally = load.stop().tally(|_| true);
        assert_eq!(tally.failures, Vec::<String>::new());
        answered += tally.answered();
    }
    assert!(answered > 100, "only {answered} requests were made");
}

#[test]
fn a_host_is_answered_on_the_shared_port_and_every_host_on_an_own_one() {
    let shop = Shop::open("hosts");
    let ask = |to, host| get(&shop.lab.client().netns, to, "/", Asker { host, ..CHROME }).unwrap();
    let [shared4, shared6, own4, own6] = shop.frontends();
    for to in [shared4, shared6, own4, own6] {
        let response = ask(to, "foo.bar.com");
        assert_eq!((response.status, &response.body[..]), (200, &b"1.0.3\n"[..]), "{to}");
    }
    for to in [shared4, shared6] {
        assert_eq!(ask(to, "other.bar.com").status, 404, "{to}");
    }
    for to in [own4, own6] {
        assert_eq!(ask(to, "other.bar.com").status, 200, "{to}");
    }
}

#[test]
fn a_condition_sends_its_users_to_their_version_and_nobody_else() {
    let shop = Shop::open("condition");
    shop.agent.cli(&["condition", "foo-ingress", "(2.0.1)", "User-Agent is Firefox"]).unwrap();
    for to in [shop.lab.node4(80), shop.lab.node6(80)] {
        for (asker, version) in [(CHROME, "1.0.3\n"), (FIREFOX, "2.0.1\n")] {
            for _ in 0..5 {
                let response = get(&shop.lab.client().netns, to, "/", asker).unwrap();
                assert_eq!(response.body, version, "{} at {to}", asker.class);
            }
        }
    }
    let route = shop.agent.json(&["get", "foo-ingress"]).unwrap()["routes"][1].clone();
    assert_eq!(route["condition"]["origin"], "cli");
    assert_eq!(route["strength"]["value"], "100%");
}

#[test]
fn two_hundred_changes_of_weights_and_conditions_fail_no_request() {
    let shop = Shop::open("changes");
    let loads = shop.load();
    for change in 0..50 {
        for gateway in ["foo-ingress", "foo-http"] {
            shop.weights(gateway, change * 37 % 101);
            let condition = ["condition", gateway, "(2.0.1)"];
            let what: &[&str] =
                if change % 2 == 0 { &["User-Agent is Firefox", "--strength", "50%"] } else { &["--clear"] };
            shop.agent.cli(&[&condition, what].concat()).unwrap();
        }
    }
    assert_none_failed(loads);
}

#[test]
fn the_first_condition_moves_no_request_in_flight_and_the_last_one_none_back() {
    // The gateway's own port is the kernel's until something asks for a request.
    let shop = Shop::open("level");
    shop.agent.write_config(&GATEWAYS.replace("level: request\n", "")).unwrap();
    let level =
        || shop.agent.json(&["get", "foo-http"]).unwrap()["level"].as_str().unwrap_or_default().to_owned();
    wait_until(PATIENCE, "the kernel has the port", || level() == "kernel");
    let loads = shop.load();
    for _ in 0..5 {
        shop.agent.cli(&["condition", "foo-http", "(2.0.1)", "User-Agent is Firefox"]).unwrap();
        assert_eq!(level(), "request");
        let firefox = get(&shop.lab.client().netns, shop.lab.node4(40080), "/", FIREFOX).unwrap();
        assert_eq!(firefox.body, "2.0.1\n", "a new connection meets the condition");
        shop.agent.cli(&["condition", "foo-http", "(2.0.1)", "--clear"]).unwrap();
        assert_eq!(level(), "kernel");
        let firefox = get(&shop.lab.client().netns, shop.lab.node4(40080), "/", FIREFOX).unwrap();
        assert_eq!(firefox.body, "1.0.3\n", "a new connection goes by weight");
    }
    assert_none_failed(loads);
}

#[test]
fn connections_of_any_moment_are_answered_while_a_condition_comes_and_goes() {
    let shop = Shop::open("moments");
    shop.agent.write_config(&GATEWAYS.replace("level: request\n", "")).unwrap();
    let condition = |what: &[&str]| {
        shop.agent.cli(&[&["condition", "foo-http", "(2.0.1)"], what].concat()).unwrap();
    };
    condition(&["User-Agent is Firefox"]);
    // Kept connections begin at the proxy, and stay there while the kernel has the port again.
    let kept = shop.load();
    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let keep_connecting = |to| {
        while !is_over.load(Ordering::Relaxed) {
            let response = get(&shop.lab.client().netns, to, "/", CHROME).unwrap();
            assert_eq!((response.status, &response.body[..]), (200, &b"1.0.3\n"[..]), "{to}");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let [.., own4, own6] = shop.frontends();
        for to in [own4, own6, own4, own6] {
            let keep_connecting = &keep_connecting;
            scope.spawn(move || keep_connecting(to));
        }
        for _ in 0..25 {
            condition(&["--clear"]);
            condition(&["User-Agent is Firefox"]);
        }
        condition(&["--clear"]);
        let enough = answered.load(Ordering::Relaxed) + 100;
        let done = came_true(PATIENCE, || answered.load(Ordering::Relaxed) >= enough);
        is_over.store(true, Ordering::Relaxed);
        assert!(done, "only {answered:?} connections were answered");
    });
    assert_none_failed(kept);
}

#[test]
fn three_successors_in_a_row_fail_no_request() {
    let mut shop = Shop::open("successors");
    shop.weights("foo-ingress", 30);
    let loads = shop.load();
    for _ in 0..3 {
        shop.agent.replace().unwrap();
    }
    assert_none_failed(loads);
}

#[test]
fn a_killed_agent_s_requests_end_with_it_and_the_next_agent_serves_again() {
    let mut shop = Shop::open("kill7");
    let ask = |shop: &Shop| get(&shop.lab.client().netns, shop.lab.node4(80), "/", CHROME);
    assert_eq!(ask(&shop).unwrap().status, 200);
    shop.agent.kill().unwrap();
    ask(&shop).expect_err("nobody listens, so connecting is refused");
    shop.agent.start().unwrap();
    assert_eq!(ask(&shop).unwrap().status, 200);
}

#[test]
fn an_agent_told_to_stop_lets_requests_end_and_says_so_to_their_clients() {
    let mut shop = Shop::open("stop");
    let load = HttpLoad::start(&shop.lab.client().netns, shop.lab.node4(80), &[CHROME], 4, 50);
    wait_until(PATIENCE, "requests are made", || load.journal().len() > 100);
    // And connections at every moment, until the agent is gone.
    let (is_over, failures) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let connect = |to| {
        while !is_over.load(Ordering::Relaxed) {
            if let Err(failure) = get(&shop.lab.client().netns, to, "/", CHROME) {
                failures.lock().unwrap().push(failure);
            }
        }
    };
    let connectors = shop.frontends();
    let stopped = thread::scope(|scope| {
        for to in connectors {
            scope.spawn(move || connect(to));
        }
        let stopped = shop.agent.terminate();
        is_over.store(true, Ordering::Relaxed);
        stopped
    });
    assert!(stopped.unwrap().success());
    let mut failures = failures.into_inner().unwrap();
    load.stop().each(|record| failures.extend(record.outcome.clone().err()));
    // Connections closed as announced are opened again, and refused then: that is all that may fail.
    let unexpected: Vec<_> = failures.iter().filter(|failure| !failure.contains("refused")).collect();
    assert!(!failures.is_empty() && unexpected.is_empty(), "{unexpected:?}");
}

#[test]
fn an_endpoint_behind_an_uplink_is_reached_by_kernel_and_proxy_unless_it_is_to_see_the_client() {
    let lab = LabPlan::new("far").clients(2).build().unwrap();
    let far = &lab.clients[1];
    let pod = Pod { netns: far.netns.clone(), name: "far".to_owned(), v4: far.v4, v6: far.v6 };
    let _server = pod.serve_http(POD_PORT, "1.0.3").unwrap();
    let kernel = |name: &str, port: u16, more: &str| {
        format!(
            "---\nname: {name}\nport: {port}/tcp\nselector: label(app)(foo) && label(version)((.*))\n{more}"
        )
    };
    let plain = kernel("foo-tcp", 40001, "");
    let kept = kernel("foo-kept", 40002, "preserve_client_ip: true\n");
    let mut agent = Agent::new(&lab).unwrap();
    agent.write_config(&format!("{GATEWAYS}{plain}{kept}")).unwrap();
    agent.write_workloads(&Workload::list(&[pod.workload("1.0.3", "http", POD_PORT)])).unwrap();
    agent.start().unwrap();
    for to in [lab.node4(80), lab.node6(80), lab.node4(40080), lab.node4(40001), lab.node6(40001)] {
        assert_eq!(get(&lab.client().netns, to, "/", CHROME).unwrap().body, "1.0.3\n", "{to}");
    }
    let refused = get(&lab.client().netns, lab.node4(40002), "/", CHROME).unwrap_err();
    assert!(refused.contains("refused"), "{refused}");
    let findings =
        |agent: &Agent, gateway| agent.json(&["describe", gateway]).unwrap()["findings"].to_string();
    assert!(findings(&agent, "foo-kept").contains("endpoint-through-uplink"));
    assert!(!findings(&agent, "foo-tcp").contains("uplink"));
}

#[test]
fn an_address_besides_the_devices_own_is_answered_while_it_is_asked_for() {
    let lab = LabPlan::new("address").pods(1).build().unwrap();
    let _server = lab.pods[0].serve_http(POD_PORT, "1.0.3").unwrap();
    lab.client().netns.ip("route add 192.0.2.10 via 192.168.0.1\n").unwrap();
    let mut agent = Agent::new(&lab).unwrap().with(&["--address", "192.0.2.10"]);
    agent.write_config(GATEWAYS).unwrap();
    agent.write_workloads(&Workload::list(&[lab.pods[0].workload("1.0.3", "http", POD_PORT)])).unwrap();
    agent.start().unwrap();
    for port in [80, 40080] {
        let to = SocketAddr::new([192, 0, 2, 10].into(), port);
        assert_eq!(get(&lab.client().netns, to, "/", CHROME).unwrap().body, "1.0.3\n", "{to}");
    }
    let local = || lab.node.exec("ip -4 route show table local").unwrap().contains("192.0.2.10");
    assert!(local());
    agent.terminate().unwrap();
    agent.uninstall().unwrap();
    assert!(!local(), "the local route outlived everything else");
}

#[test]
fn requests_are_counted_by_route_and_status_and_their_packets_in_the_kernel() {
    let shop = Shop::open("count7");
    for _ in 0..40 {
        assert_eq!(get(&shop.lab.client().netns, shop.lab.node4(80), "/", CHROME).unwrap().status, 200);
    }
    let stats = shop.agent.json(&["top", "--once"]).unwrap();
    let gateway =
        stats["gateways"].as_array().unwrap().iter().find(|gateway| gateway["name"] == "foo-ingress");
    let route = &gateway.unwrap()["routes"][0];
    assert_eq!(route["name"], "(1.0.3)");
    assert_eq!(route["requests"]["2xx"], 40);
    assert_eq!(route["latency"]["count"], 40);
    // At least a segment each way for each request, on the upstream leg.
    assert!(
        route["packets"].as_u64().unwrap() >= 40 && route["reply_packets"].as_u64().unwrap() >= 40,
        "{route}"
    );
    let (_, metrics) = shop.agent.fetch("/metrics").unwrap();
    let line = "weir_requests_total{namespace=\"default\",gateway=\"foo-ingress\",route=\"(1.0.3)\",status=\"2xx\"} 40";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
    let line = "weir_request_duration_seconds_count{namespace=\"default\",gateway=\"foo-ingress\",route=\"(1.0.3)\"} 40";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
}
