//! Coming, going, and what is left.

use gateway_tests::{Agent, LabPlan, client::connect_many, wait_until};

use crate::shop::{SOON, Shop, TCP};

#[test]
fn an_agent_that_is_gone_leaves_l4_in_place_until_it_is_uninstalled() {
    let mut shop = Shop::open("gone", &["1.0.3"]);
    assert_eq!(shop.reached(), ["1.0.3"]);
    assert!(shop.agent.terminate().unwrap().success());
    let log = shop.agent.log();
    assert!(log.contains("weir uninstall --pin-dir"), "its last words name what removes it: {log}");
    assert_eq!(shop.reached(), ["1.0.3"], "L4 went with the agent");
    let said = shop.agent.uninstall().unwrap();
    assert!(said.contains("Removed"), "{said}");
    assert!(!shop.agent.pin_dir().exists());
    let again = shop.agent.uninstall().unwrap();
    assert!(again.contains("Nothing of Weir's is left"), "{again}");
}

#[test]
fn an_agent_that_has_lost_the_kernel_is_not_ready_and_whoever_took_it_is_told() {
    let shop = Shop::open("lost", &["1.0.3"]);
    let said = shop.agent.uninstall().unwrap();
    assert!(said.contains("An agent still runs"), "{said}");
    // It looks at what is attached each 10 s.
    wait_until(4 * SOON, "it says that it is not ready", || {
        let (status, text) = shop.agent.fetch("/readyz").unwrap();
        status == 503 && text.contains("interface up0")
    });
}

#[test]
fn a_killed_agent_s_successor_adopts_what_it_finds() {
    let mut shop = Shop::open("adopt", &["1.0.3", "2.0.1"]);
    shop.agent.cli(&["weight", "foo-tcp", "(1.0.3)=0%", "(2.0.1)=100%"]).unwrap();
    shop.agent.kill().unwrap();
    assert_eq!(shop.reached(), ["2.0.1"], "nobody is there, and the kernel goes on");
    shop.agent.start().unwrap();
    assert_eq!(shop.reached(), ["2.0.1"]);
    let dump = shop.agent.json(&["dump"]).unwrap();
    assert_eq!(dump["differences"].as_array().map(Vec::len), Some(0), "{dump}");
}

#[test]
fn a_port_that_another_program_has_is_a_finding_and_not_taken() {
    let mut shop = Shop::closed("port", &["1.0.3"]);
    let port = shop.frontend();
    let listener = shop.lab.node.run(|| std::net::TcpListener::bind(("0.0.0.0", port.port())).unwrap());
    shop.agent.start().unwrap();
    let status = shop.agent.json(&["status"]).unwrap();
    let codes: Vec<_> =
        status["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["port-in-use"]);
    drop(listener);
    wait_until(SOON, "the port is taken once it is free", || {
        shop.agent.json(&["status"]).unwrap()["findings"].as_array().is_some_and(Vec::is_empty)
    });
    assert_eq!(shop.reached(), ["1.0.3"]);
}

#[test]
fn metrics_or_admin_addresses_in_use_are_named_with_their_flag() {
    let lab = LabPlan::new("taken").build().unwrap();
    let agent = Agent::new(&lab).unwrap();
    agent.write_config(TCP).unwrap();
    let _listener = lab.node.run(|| std::net::TcpListener::bind("127.0.0.1:9191").unwrap());
    let output = agent.run_command().unwrap().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("--metrics 127.0.0.1:9191") && error.contains("in use"), "{error}");
    assert!(!agent.pin_dir().join("v1").exists(), "it touched the kernel before it failed");
}

#[test]
fn without_capabilities_it_says_which_it_needs() {
    let lab = LabPlan::new("caps").build().unwrap();
    let agent = Agent::new(&lab).unwrap();
    let command = agent.run_command().unwrap();
    let arguments: Vec<_> = command.get_args().collect();
    let mut bare = lab.node.command("setpriv");
    bare.args(["--bounding-set", "-all", "--inh-caps", "-all", "--"])
        .arg(command.get_program())
        .args(arguments);
    let output = bare.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("CAP_BPF") && error.contains("CAP_NET_ADMIN"), "{error}");
}

#[test]
fn an_address_that_a_device_gets_is_answered_and_one_that_it_loses_is_not() {
    let shop = Shop::open("renumber", &["1.0.3"]);
    let frontends = || shop.agent.json(&["get", "foo-tcp"]).unwrap()["frontends"].to_string();
    shop.lab.node.ip("address add 192.168.0.9/24 dev up0\n").unwrap();
    wait_until(SOON, "the new address is answered", || frontends().contains("192.168.0.9:40001"));
    let reached = connect_many(&shop.lab.client().netns, ([192, 168, 0, 9], 40001).into(), 5, 5);
    assert_eq!((reached.answered(), reached.failures), (5, Vec::new()));
    shop.lab.node.ip("address del 192.168.0.9/24 dev up0\n").unwrap();
    wait_until(SOON, "the address is gone", || !frontends().contains("192.168.0.9"));
    assert_eq!(shop.reached(), ["1.0.3"]);
}

#[test]
fn the_log_can_be_read_by_programs() {
    let mut shop = Shop::closed("json", &["1.0.3"]).with(|agent| agent.with(&["--log-format", "json"]));
    shop.agent.start().unwrap();
    let log = shop.agent.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["level"] == "INFO" && line["generation"] == 1), "{log}");
}
