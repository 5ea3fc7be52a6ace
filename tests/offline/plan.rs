//! `weir plan`: what would be in force, and what would change.

use gateway_tests::command::{Folder, assert_says, run};

const WORKLOADS: &str = "\
- {name: foo-1, labels: {app: foo, version: 1.0.3}, addresses: [10.0.0.1], ports: 8080}
- {name: foo-2, labels: {app: foo, version: 2.0.1}, addresses: [10.0.0.3], ports: 8080}
";

fn gateway(kind: &str, more: &str, canary: u8) -> String {
    let stable = 100 - canary;
    format!(
        "name: foo\nport: 9000/{kind}\n{more}selector: label(app)(foo) && label(version)((.*))\nroutes:\n  \
         (1.0.3): {{weight: {stable}%}}\n  (2.0.1): {{weight: {canary}%}}\n"
    )
}

#[test]
fn from_nothing_it_shows_shares_and_slots() {
    let folder = Folder::new("plan");
    let (config, workloads) =
        (folder.write("g.yaml", &gateway("tcp", "", 5)), folder.write("w.yaml", WORKLOADS));
    let ran = run(&["plan", "--config", &config, "--workloads", &workloads, "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answer = ran.json();
    let foo = &answer["gateways"][0];
    assert_eq!((foo["gateway"].as_str(), foo["change"].as_str()), (Some("foo"), Some("added")));
    let route = &foo["routes"][1];
    assert_eq!((route["name"].as_str(), route["weight"].as_f64()), (Some("(2.0.1)"), Some(5.0)));
    let (slots, ring) = (route["slots"].as_f64().unwrap(), route["ring"].as_f64().unwrap());
    assert!((slots - ring * 0.05).abs() <= 1.0, "{slots} of {ring}");
}

#[test]
fn a_weight_that_rises_moves_its_share_of_connections_and_nobody_back() {
    let folder = Folder::new("plan-moves");
    let old = folder.write("old.yaml", &gateway("tcp", "", 5));
    let new = folder.write("new.yaml", &gateway("tcp", "", 25));
    let workloads = folder.write("w.yaml", WORKLOADS);
    let ran = run(&["plan", "--config", &new, "--workloads", &workloads, "--against", &old, "-o", "json"]);
    let answer = ran.json();
    let foo = &answer["gateways"][0];
    assert_eq!((foo["change"].as_str(), foo["unit"].as_str()), (Some("changed"), Some("connections")));
    let moves = foo["moves"].as_array().unwrap();
    assert_eq!(moves.len(), 1, "{moves:?}");
    assert_eq!((moves[0]["from"].as_str(), moves[0]["to"].as_str()), (Some("(1.0.3)"), Some("(2.0.1)")));
    assert!((moves[0]["percent"].as_f64().unwrap() - 20.0).abs() < 0.1, "{moves:?}");
    assert!(!answer["changes"].as_array().unwrap().is_empty());
    let table = run(&["plan", "--config", &new, "--workloads", &workloads, "--against", &old]);
    assert_says(&table.out, &["5% -> 25%", "(1.0.3) -> (2.0.1)", "new connections go elsewhere"]);
}

#[test]
fn of_a_sticky_gateway_it_says_how_many_users_move() {
    let folder = Folder::new("plan-users");
    let old = folder.write("old.yaml", &gateway("http", "sticky: route\n", 5));
    let new = folder.write("new.yaml", &gateway("http", "sticky: route\n", 25));
    let workloads = folder.write("w.yaml", WORKLOADS);
    let ran = run(&["plan", "--config", &new, "--workloads", &workloads, "--against", &old, "-o", "json"]);
    let foo = &ran.json()["gateways"][0];
    assert_eq!(foo["unit"], "users");
    let moves = foo["moves"].as_array().unwrap();
    assert_eq!(moves.len(), 1, "one way only: {moves:?}");
    assert!((moves[0]["percent"].as_f64().unwrap() - 20.0).abs() < 0.5, "{moves:?}");
}

#[test]
fn a_condition_that_changes_is_shown() {
    let folder = Folder::new("plan-condition");
    let text = |condition: &str| {
        format!(
            "name: foo\nport: 9000\nselector: label(app)(foo) && label(version)((.*))\nroutes:\n  \
             (1.0.3): {{weight: 100%}}\n  (2.0.1): {{weight: 0%{condition}}}\n"
        )
    };
    let old = folder.write("old.yaml", &text(""));
    let new = folder.write("new.yaml", &text(", condition: User-Agent is Firefox"));
    let workloads = folder.write("w.yaml", WORKLOADS);
    let ran = run(&["plan", "--config", &new, "--workloads", &workloads, "--against", &old]);
    assert_says(&ran.out, &["Condition of (2.0.1): none -> User-Agent is Firefox (100%)"]);
}

#[test]
fn the_same_again_changes_nothing() {
    let folder = Folder::new("plan-same");
    let (config, workloads) =
        (folder.write("g.yaml", &gateway("tcp", "", 5)), folder.write("w.yaml", WORKLOADS));
    let ran = run(&["plan", "--config", &config, "--workloads", &workloads, "--against", &config]);
    assert_says(&ran.out, &["Nothing changes"]);
    let ran =
        run(&["plan", "--config", &config, "--workloads", &workloads, "--against", &config, "-o", "yaml"]);
    assert_says(&ran.out, &["change: unchanged", "changes: []"]);
}

#[test]
fn what_is_wrong_with_the_new_files_is_told_and_exits_with_1() {
    let folder = Folder::new("plan-wrong");
    let config = folder.write("g.yaml", "name: foo\nport: x\nselector: label(app)(foo)\n");
    let ran = run(&["plan", "--config", &config]);
    assert_eq!(ran.code, Some(1));
    assert_says(&ran.err, &["error[invalid-port]"]);
}
