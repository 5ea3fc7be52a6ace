//! Files are followed: a change is in the kernel soon, whole or not at all.

use std::time::{Duration, Instant};

use gateway_tests::wait_until;

use crate::shop::{SOON, Shop, TCP};

/// What users are promised, from the change of a file to the kernel.
const PROMISED: Duration = Duration::from_millis(500);

#[test]
fn a_new_version_gets_a_route_at_0_within_half_a_second_and_no_connection() {
    let shop = Shop::open("new", &["1.0.3", "2.0.1"]);
    shop.show(&["1.0.3"]);
    wait_until(SOON, "the route of 2.0.1 keeps its place while its workload is away", || {
        shop.route("(2.0.1)").is_none_or(|route| route["endpoints"].as_array().is_some_and(Vec::is_empty))
    });
    let changed = Instant::now();
    shop.show(&["1.0.3", "2.0.1"]);
    wait_until(SOON, "an endpoint of 2.0.1", || {
        shop.route("(2.0.1)")
            .is_some_and(|route| route["endpoints"].as_array().is_some_and(|all| !all.is_empty()))
    });
    let took = changed.elapsed();
    assert_eq!(shop.weight("(2.0.1)").0, "0%");
    assert_eq!(shop.reached(), ["1.0.3"]);
    assert!(took < PROMISED, "it took {took:?}");
}

#[test]
fn a_file_that_no_longer_parses_keeps_the_last_good_state_and_says_where_it_is_wrong() {
    let shop = Shop::open("broken", &["1.0.3"]);
    let config = shop.agent.config().display().to_string();
    shop.agent.write_config("name: foo-tcp\nport: [\n").unwrap();
    wait_until(SOON, "a finding", || findings(&shop).iter().any(|finding| finding.contains(&config)));
    let place = &findings(&shop)[0];
    assert!(
        place.starts_with(&format!("{config}:2:")) || place.starts_with(&format!("{config}:3:")),
        "{place}"
    );
    assert_eq!(shop.reached(), ["1.0.3"]);
    assert!(shop.agent.log().contains(&format!("{config}:")), "the log says it, too");
    shop.agent.write_config(TCP).unwrap();
    wait_until(SOON, "no finding", || findings(&shop).is_empty());
}

#[test]
fn a_gateway_with_an_error_does_not_hold_another_one_up() {
    let shop = Shop::open("other", &["1.0.3"]);
    let wrong = TCP.replace("port:", "prot:");
    let second = TCP.replace("foo-tcp", "bar-tcp").replace("40001", "40002");
    shop.agent.write_config(&format!("{wrong}---\n{second}")).unwrap();
    wait_until(SOON, "the second gateway", || shop.agent.cli(&["get", "bar-tcp"]).is_ok());
    assert!(findings(&shop).iter().any(|finding| finding.contains("unknown-field")), "{:?}", findings(&shop));
    assert_eq!(shop.reached(), ["1.0.3"], "the first keeps its last good form");
}

#[test]
fn a_pod_that_is_not_ready_gets_no_connection_and_lends_its_share() {
    let shop = Shop::open("ready", &["1.0.3", "2.0.1"]);
    shop.agent.cli(&["weight", "foo-tcp", "(1.0.3)=0%", "(2.0.1)=100%"]).unwrap();
    assert_eq!(shop.reached(), ["2.0.1"]);
    shop.agent.cli(&["weight", "foo-tcp", "(1.0.3)=50%", "(2.0.1)=50%"]).unwrap();
    let list = shop.lab.pods.iter().zip(&shop.versions).map(|(pod, version)| {
        let mut workload = pod.workload(version, "http", 8080);
        workload.ready = *version == "1.0.3";
        workload
    });
    let list = list.collect::<Vec<_>>();
    shop.agent.write_workloads(&gateway_tests::Workload::list(&list)).unwrap();
    wait_until(SOON, "(1.0.3) carries everything", || {
        shop.route("(1.0.3)").is_some_and(|route| route["in_force"] == "100%")
    });
    assert_eq!(shop.weight("(1.0.3)").0, "50%", "what is lent is not given");
    assert_eq!(shop.reached(), ["1.0.3"]);
}

fn findings(shop: &Shop) -> Vec<String> {
    let status = shop.agent.json(&["status"]).unwrap();
    let text =
        |finding: &serde_json::Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    let all = status["findings"].as_array().unwrap().iter();
    all.map(|finding| {
        format!("{} {} {}", text(finding, "place"), text(finding, "code"), text(finding, "message"))
    })
    .collect()
}
