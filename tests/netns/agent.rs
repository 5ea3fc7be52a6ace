//! The same promises with the binary `weir` in the node: configured by files, changed by command, killed.

use std::time::Duration;

use gateway_tests::{
    Agent, Lab, LabPlan, Workload,
    client::{ConnectLoad, Dialect, Flood, FloodKind, Held, connect_many, flood},
    pod::Server,
    wait::Beat,
    wait_until,
};

use crate::{
    held::{PAUSE, assert_unbroken, steps_to},
    plan::POD_PORT,
    shares::{assert_within_chance, frontends},
};

const GATEWAY: &str = "name: shop\nkind: gateways\nport: 40001/tcp\n\
                       selector: label(app)(foo) && label(version)((.*))\n";

/// Two versions with two pods each, all at 1.0.3.
fn start(tag: &str) -> (Lab, Vec<Server>, Agent) {
    let lab = LabPlan::new(tag).pods(4).build().unwrap();
    let servers =
        lab.pods.iter().enumerate().map(|(at, pod)| pod.serve_tcp(POD_PORT, version(at)).unwrap()).collect();
    let mut agent = Agent::new(&lab).unwrap();
    agent.write_config(GATEWAY).unwrap();
    agent.write_workloads(&Workload::list(&workloads(&lab)[..2])).unwrap();
    agent.start().unwrap();
    agent.write_workloads(&Workload::list(&workloads(&lab))).unwrap();
    wait_until(Duration::from_secs(10), "the new version is found, at 0 %", || weigh(&agent, 100, 0));
    (lab, servers, agent)
}

fn version(pod: usize) -> &'static str {
    if pod < 2 { "1.0.3" } else { "2.0.1" }
}

fn workloads(lab: &Lab) -> Vec<Workload> {
    lab.pods.iter().enumerate().map(|(at, pod)| pod.workload(version(at), "tcp", POD_PORT)).collect()
}

/// `weir weight`; whether it was accepted.
fn weigh(agent: &Agent, old: usize, new: usize) -> bool {
    let weights = [format!("(1.0.3)={old}%"), format!("(2.0.1)={new}%")];
    agent.cli(&["weight", "shop", &weights[0], &weights[1]]).is_ok()
}

#[test]
fn two_hundred_held_connections_outlive_a_release_a_flap_a_flood_and_a_killed_agent() {
    let (lab, _servers, mut agent) = start("agent");
    let client = &lab.client().netns;
    let mut held: Vec<Held> =
        frontends(&lab).iter().map(|to| Held::open(client, *to, 60, 30).unwrap()).collect();
    let mut beat = Beat::new(PAUSE);
    for percent in [0, 50, 0, 50, 100] {
        for step in steps_to(percent) {
            beat.wait();
            assert!(weigh(&agent, 100 - step, step));
        }
        held.extend(frontends(&lab).iter().map(|to| Held::open(client, *to, 8, 4).unwrap()));
    }
    assert_eq!(held.iter().map(|held| held.connections().len()).sum::<usize>(), 200);
    assert_unbroken(&held, "after the weights");
    let mut flap = workloads(&lab);
    flap[2].ready = false;
    agent.write_workloads(&Workload::list(&flap)).unwrap();
    wait_until(Duration::from_secs(10), "a pod that is not ready gets no new connection", || {
        !connect_many(client, frontends(&lab)[0], 50, 8).pods.contains_key("pod2")
    });
    agent.write_workloads(&Workload::list(&workloads(&lab))).unwrap();
    assert_unbroken(&held, "after the readiness flap");
    agent.kill().unwrap();
    for to in frontends(&lab) {
        for kind in [FloodKind::Syn, FloodKind::Ack] {
            flood(client, Flood { kind, to, count: 50_000 }).unwrap();
        }
    }
    assert_unbroken(&held, "in a flood without an agent");
    agent.start().unwrap();
    assert!(weigh(&agent, 100, 0));
    assert_unbroken(&held, "with the next agent");
    for to in frontends(&lab) {
        let tally = connect_many(client, to, 100, 8);
        assert_eq!((tally.version("1.0.3"), tally.failures), (100, Vec::new()), "new ones follow at once");
    }
}

#[test]
fn new_connections_succeed_while_the_agent_is_killed_started_and_succeeded() {
    let (lab, _servers, mut agent) = start("kill");
    assert!(weigh(&agent, 50, 50));
    let loads = frontends(&lab).map(|to| ConnectLoad::start(&lab.client().netns, to, Dialect::Lines, 200));
    agent.kill().unwrap();
    agent.start().unwrap();
    agent.replace().unwrap();
    for load in loads {
        let tally = load.stop().tally(|_| true);
        assert_eq!(tally.failures, Vec::<String>::new());
        assert!(tally.version("1.0.3") > 10 && tally.version("2.0.1") > 10, "{tally:?}");
    }
}

#[test]
fn ten_thousand_connections_follow_a_ring_that_is_exact_within_one_slot() {
    let (lab, _servers, agent) = start("exactly");
    assert!(weigh(&agent, 90, 10));
    let dump = agent.json(&["dump"]).unwrap();
    let rings = dump["kernel"]["rings"].as_array().unwrap();
    assert_eq!(rings.len(), 2, "{dump}");
    for ring in rings {
        let slots = ring["slots"].as_f64().unwrap();
        for (route, share) in [("(1.0.3)", 0.9), ("(2.0.1)", 0.1)] {
            let exact = slots * share;
            let actual = ring["current"][route].as_f64().unwrap();
            assert!((actual - exact).abs() <= 1.0, "{route}: {actual} of {slots} slots");
        }
    }
    for to in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, to, 5_000, 32);
        assert_eq!(tally.failures, Vec::<String>::new());
        assert_within_chance(tally.version("2.0.1"), 5_000, 0.1);
    }
}
