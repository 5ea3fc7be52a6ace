//! An invalid resource gets a condition with a reason, a column and advice, and disturbs nobody.

use gateway_tests::cluster::{Asker, Load};
use serde_json::json;

use crate::scene::{NEW, OLD, SELECTOR, Scene, condition, three_to_one, url};

#[test]
fn what_is_invalid_is_told_and_disturbs_nobody() {
    let scene = Scene::new("broken");
    scene.deploy(OLD, 2);
    scene.deploy(NEW, 2);
    let spec = json!({ "port": 8000, "selector": SELECTOR, "routes": three_to_one() });
    let entry = scene.gateway("in", &spec);
    let to = url(entry.at_node(scene.nodes()[0].addresses[0]));
    scene.answers(&Asker::Outside, &["--url", &to]);
    let load = Load::outside(&scene.cluster, &["--url", &to, "--fresh", "--rate", "30/s"]).unwrap();
    let broken = [
        ("selector", json!({ "port": 8100, "selector": "label(app)(foo" }), "InvalidSelector"),
        (
            "condition",
            json!({ "port": 8101, "selector": SELECTOR,
                    "routes": { "(9)": { "condition": "User-Agent ~ Firefox" } } }),
            "InvalidCondition",
        ),
        (
            "weights",
            json!({ "port": 8102, "selector": SELECTOR,
                    "routes": { "(1)": { "weight": "80%" }, "(2)": { "weight": "30%" } } }),
            "",
        ),
    ];
    for (name, spec, reason) in broken {
        scene.apply(name, &spec).unwrap();
        let told = scene.wait_for(name, "told that it is invalid", |gateway| {
            condition(gateway, "Accepted")["status"] == "False"
        });
        let accepted = condition(&told, "Accepted");
        let message = accepted["message"].as_str().unwrap_or_default();
        assert!(message.contains("spec."), "{name}: no place: {message}");
        assert!(message.contains('('), "{name}: no advice: {message}");
        if !reason.is_empty() {
            assert_eq!(accepted["reason"], reason, "{message}");
            assert!(message.contains("column"), "{name}: no column: {message}");
        }
    }
    // Its neighbour is changed, and the change is followed everywhere.
    let half = json!({ format!("({OLD})"): { "weight": "50%" }, format!("({NEW})"): { "weight": "50%" } });
    scene.gateway("in", &json!({ "port": 8000, "selector": SELECTOR, "routes": half }));
    scene.wait_for_weights("in", "(1.0.3)=50% (2.0.1)=50%");
    let from = load.from_now().unwrap();
    load.since(&from, 150).unwrap().check_share(NEW, 0.5).unwrap();
    load.stop().unwrap().check_none_failed().unwrap();
}

#[test]
fn what_no_spec_may_say_is_refused_where_it_is_written() {
    let scene = Scene::new("refused");
    for (spec, word) in [
        (json!({ "port": 99_999, "selector": SELECTOR }), "expected a port"),
        (json!({ "port": "80/sctp", "selector": SELECTOR }), "types are"),
        (json!({ "port": 8000 }), "selector and routes"),
    ] {
        let refused = scene.apply("in", &spec).unwrap_err().to_string();
        assert!(refused.contains(word), "{spec}: {refused}");
    }
}

#[test]
fn a_gateway_that_breaks_keeps_what_was_in_force() {
    let scene = Scene::new("kept");
    scene.deploy(OLD, 2);
    scene.deploy(NEW, 2);
    let spec = json!({ "port": 8000, "selector": SELECTOR, "routes": three_to_one() });
    let entry = scene.gateway("in", &spec);
    let to = url(entry.at_node(scene.nodes()[0].addresses[0]));
    scene.answers(&Asker::Outside, &["--url", &to]);
    scene.apply("in", &json!({ "port": 8000, "selector": "label(app)(foo" })).unwrap();
    scene.wait_for("in", "told that it is invalid", |gateway| {
        condition(gateway, "Accepted")["status"] == "False"
    });
    let tally = scene.cluster.ask(&Asker::Outside, 200, &["--url", &to]).unwrap();
    crate::scene::check_three_to_one(&tally).unwrap();
}
