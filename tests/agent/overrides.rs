//! What is said at run time holds until the file says something else; it survives kill -9.

use gateway_tests::wait_until;

use crate::shop::{SOON, Shop};

/// `foo-tcp` with the weights in the file.
fn config(first: &str, second: &str) -> String {
    format!(
        "name: foo-tcp\nkind: gateways\nport: 40001/tcp\nselector: label(app)(foo) && label(version)((.*))\n\
         routes:\n  (1.0.3): {{weight: {first}}}\n  (2.0.1): {{weight: {second}}}\n"
    )
}

fn shown(value: &str, origin: &str) -> (String, String) {
    (value.to_owned(), origin.to_owned())
}

#[test]
fn a_value_of_the_command_line_holds_until_the_file_changes_that_field() {
    let shop = Shop::closed("over", &["1.0.3", "2.0.1"]);
    shop.agent.write_config(&config("90%", "10%")).unwrap();
    let mut shop = shop;
    shop.agent.start().unwrap();
    assert_eq!(shop.weight("(1.0.3)"), shown("90%", "file"));
    shop.agent.cli(&["weight", "foo-tcp", "(1.0.3)=95%", "(2.0.1)=5%"]).unwrap();
    assert_eq!(shop.weight("(1.0.3)"), shown("95%", "cli"));
    assert_eq!(shop.weight("(2.0.1)"), shown("5%", "cli"));

    // The same file again, and a change of another field: neither undoes it.
    shop.agent.write_config(&(config("90%", "10%") + "metadata: {owner: me}\n")).unwrap();
    shop.show(&["1.0.3"]);
    wait_until(SOON, "the list of workloads is read", || {
        shop.route("(2.0.1)").is_some_and(|route| route["endpoints"].as_array().is_some_and(Vec::is_empty))
    });
    assert_eq!(shop.weight("(1.0.3)"), shown("95%", "cli"));

    shop.agent.write_config(&config("70%", "30%")).unwrap();
    shop.wait_for_weight("(1.0.3)", "70%");
    assert_eq!(shop.weight("(1.0.3)"), shown("70%", "file"));
    let log = shop.agent.log();
    assert!(log.lines().any(|line| line.contains("(1.0.3)") && line.contains("file")), "{log}");
}

#[test]
fn what_was_acknowledged_survives_kill_9_and_an_unchanged_file() {
    let mut shop = Shop::open("kill", &["1.0.3", "2.0.1"]);
    for round in 0..5 {
        let (first, second) = (format!("{}%", 90 - round), format!("{}%", 10 + round));
        let weights = [format!("(1.0.3)={first}"), format!("(2.0.1)={second}")];
        shop.agent.cli(&["weight", "foo-tcp", &weights[0], &weights[1]]).unwrap();
        shop.agent.kill().unwrap();
        shop.agent.start().unwrap();
        assert_eq!(shop.weight("(1.0.3)"), shown(&first, "cli"));
        assert_eq!(shop.weight("(2.0.1)"), shown(&second, "cli"));
    }
}

#[test]
fn a_change_that_makes_no_sense_changes_nothing_and_says_what_exists() {
    let shop = Shop::open("sense", &["1.0.3", "2.0.1"]);
    let refused = |arguments: &[&str]| shop.agent.cli(arguments).unwrap_err().to_string();
    let error = refused(&["weight", "foo-tpc", "(1.0.3)=100%"]);
    assert!(error.contains("foo-tpc") && error.contains("default/foo-tcp"), "{error}");
    let error = refused(&["weight", "foo-tcp", "(9)=100%"]);
    assert!(error.contains("(9)") && error.contains("(1.0.3)") && error.contains("(2.0.1)"), "{error}");
    let error = refused(&["weight", "foo-tcp", "(1.0.3)=60%", "(2.0.1)=50%"]);
    assert!(error.contains("110%"), "{error}");
    let error = refused(&["weight", "foo-tcp", "(1.0.3)=60%"]);
    assert!(error.contains("--rebalance"), "{error}");
    let error = refused(&["condition", "foo-tcp", "(2.0.1)", "User-Agent is Firefox"]);
    assert!(error.contains("tcp"), "{error}");
    assert_eq!(shop.weight("(1.0.3)"), shown("100%", "discovery"));
    shop.agent.cli(&["weight", "foo-tcp", "(2.0.1)=60%", "--rebalance"]).unwrap();
    assert_eq!(shop.weight("(1.0.3)").0, "40%");
}
