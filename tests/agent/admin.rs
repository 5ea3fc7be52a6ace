//! Who may ask and who may change, and what operators see.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::Stdio,
};

use gateway_tests::netns::run;

use crate::shop::Shop;

const ADMIN: &str = "127.0.0.1:9190";

#[test]
fn the_socket_is_for_its_owner_and_goes_with_the_agent() {
    let mut shop = Shop::open("socket", &["1.0.3"]);
    let socket = shop.lab.dir().join("admin.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    shop.agent.kill().unwrap();
    assert!(socket.exists(), "a killed agent leaves its socket");
    shop.agent.start().unwrap();
    assert!(shop.agent.terminate().unwrap().success());
    assert!(!socket.exists());
}

#[test]
fn writes_on_a_port_need_the_token_and_reads_do_not() {
    let shop = Shop::closed("token", &["1.0.3", "2.0.1"]);
    let token = shop.lab.dir().join("token");
    fs::write(&token, "correct horse\n").unwrap();
    let token = token.to_str().unwrap().to_owned();
    let mut shop = shop.with(|agent| agent.with(&["--admin-token-file", &token]).with_admin(ADMIN));
    shop.agent.start().unwrap();
    let with = |token: Option<&str>, arguments: &[&str]| {
        let mut command = shop.agent.cli_command(arguments).unwrap();
        if let Some(token) = token {
            command.args(["--admin-token-file", token]);
        }
        run(&mut command)
    };
    let change = ["weight", "foo-tcp", "(1.0.3)=50%", "(2.0.1)=50%"];
    with(None, &["get"]).unwrap();
    let error = with(None, &change).unwrap_err().to_string();
    assert!(error.contains("token"), "{error}");
    let wrong = shop.lab.dir().join("wrong");
    fs::write(&wrong, "correct house").unwrap();
    with(Some(wrong.to_str().unwrap()), &change).unwrap_err();
    assert!(with(None, &["get"]).unwrap().contains("100%"), "a refused write changed something");
    with(Some(&token), &change).unwrap();
    assert!(with(None, &["get"]).unwrap().contains("50%"));
}

#[test]
fn metrics_have_names_units_and_labels_and_nothing_there_writes() {
    let shop = Shop::open("metrics", &["1.0.3"]);
    assert_eq!(shop.reached(), ["1.0.3"]);
    let (status, text) = shop.agent.fetch("/metrics").unwrap();
    assert_eq!(status, 200);
    for line in [
        "weir_build_info{version=\"0.1.0\"} 1",
        "weir_ready 1",
        "weir_route_connections_total{namespace=\"default\",gateway=\"foo-tcp\",route=\"(1.0.3)\"} 20",
        "weir_route_weight_ratio{namespace=\"default\",gateway=\"foo-tcp\",route=\"(1.0.3)\"} 1.0",
        "weir_findings{severity=\"error\"} 0",
        "# TYPE weir_request_duration_seconds histogram",
        "# TYPE weir_requests counter",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
    }
    let value = |name: &str, label: &str| -> u64 {
        let mut lines =
            text.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        lines.next().and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    };
    for name in [
        "weir_route_packets_total",
        "weir_route_bytes_total",
        "weir_endpoint_packets_total",
        "weir_endpoint_bytes_total",
    ] {
        assert!(
            value(name, "direction=\"request\"") > 20 && value(name, "direction=\"reply\"") > 20,
            "{name}\n{text}"
        );
    }
    assert!(text.contains("weir_verdicts_total{verdict=\""), "{text}");
    assert_eq!(shop.agent.fetch("/healthz").unwrap().0, 200);
    assert_eq!(shop.agent.fetch("/readyz").unwrap().0, 200);
    assert_eq!(shop.agent.fetch("/v1/gateways").unwrap().0, 404);
}

#[test]
fn every_command_answers_in_every_format() {
    let shop = Shop::open("formats", &["1.0.3", "2.0.1"]);
    for command in [
        &["get"][..],
        &["get", "foo-tcp"],
        &["describe", "foo-tcp"],
        &["status"],
        &["top", "--once"],
        &["dump"],
    ] {
        let table = shop.agent.cli(command).unwrap();
        assert!(!table.trim().is_empty(), "{command:?}");
        shop.agent.json(command).unwrap();
        let yaml = shop.agent.cli(&[command, &["-o", "yaml"]].concat()).unwrap();
        assert!(yaml.contains(": "), "{command:?}: {yaml}");
    }
    let table = shop.agent.cli(&["get"]).unwrap();
    let lines: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[0][..2], ["NAMESPACE", "GATEWAY"]);
    assert_eq!(
        lines[1],
        ["default", "foo-tcp", "40001/tcp", "-", "(1.0.3)", "100%", "discovery", "-", "-", "2/2"]
    );
    assert_eq!(lines[2], ["(2.0.1)", "0%", "discovery", "-", "-", "2/2"]);
    let dump = shop.agent.json(&["dump"]).unwrap();
    assert_eq!(dump["differences"].as_array().map(Vec::len), Some(0), "{dump}");
    let status = shop.agent.json(&["status"]).unwrap();
    assert_eq!((status["ready"].as_bool(), status["phase"].as_str()), (Some(true), Some("serving")));
    assert!(status["interfaces"][0]["mode"].as_str().is_some_and(|mode| mode.contains("native")), "{status}");
}

#[test]
fn top_goes_on_until_it_is_ended_and_shows_rates() {
    let shop = Shop::open("top", &["1.0.3"]);
    let read = |arguments: &[&str]| {
        let mut child = shop.agent.cli_command(arguments).unwrap().stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let lines: Vec<String> = lines.take(6).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        lines
    };
    for line in read(&["top", "--interval", "100ms", "-o", "json"]) {
        let reading: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(reading["gateways"][0]["name"], "foo-tcp");
    }
    let table = read(&["top", "foo-tcp", "--interval", "100ms"]).join("\n");
    assert!(
        table.contains("GATEWAY") && table.contains("default/foo-tcp") && table.contains("0.0/s"),
        "{table}"
    );
}
