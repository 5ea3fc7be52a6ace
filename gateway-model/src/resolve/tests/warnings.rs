//! What is legal and surely not meant.

use super::*;

fn told_of(gateways: &str, workloads: &str) -> Vec<String> {
    let resolved = resolve(&snapshot(gateways, workloads));
    told(&resolved).iter().map(|(code, _, line)| format!("{line} {code}")).collect()
}

#[test]
fn a_route_with_a_weight_and_no_endpoint_is_told_of() {
    let http = TCP.replace("/tcp", "/http");
    let listed = format!("{http}routes:\n  (1.0.3): {{weight: 90%}}\n  (2.0.1): {{weight: 10%}}\n");
    assert_eq!(told_of(&listed, &two_pods()), ["6 route-without-endpoints"]);
    let scaled = two_pods() + "- {name: c, kind: deployment, labels: {app: foo, version: 2.0.1}}\n";
    assert_eq!(told_of(&listed, &scaled), ["6 route-without-endpoints"]);
    let unready = two_pods() + &pod("c", "2.0.1", "10.0.0.3").replace("created", "ready: false, created");
    assert_eq!(told_of(&listed, &unready), ["6 route-without-endpoints"]);
    let ready = unready.clone() + &pod("d", "2.0.1", "10.0.0.4");
    assert_eq!(told_of(&listed, &ready), [""; 0], "one of them is enough");
    let resolved = resolve(&snapshot(&listed, &unready));
    let message = &resolved.findings[0].message;
    assert!(
        message.ends_with("(2.0.1) has 10% and no ready endpoint; other routes take its part"),
        "{message}"
    );
    assert_eq!(told_of(&http, &unready), [""; 0], "a new version has 0% until somebody gives it more");
    let mut story = Story::new();
    story.step(&http, &two_pods());
    story.step(&http, &pod("c", "2.0.1", "10.0.0.3"));
    assert_eq!(told(&story.resolved), [("route-without-endpoints", "foo-tcp", 1)]);
    let message = &story.resolved.findings[0].message;
    assert!(message.contains("nobody takes its part"), "{message}");
}

#[test]
fn a_listed_route_that_the_selector_does_not_find_is_told_of_whatever_its_weight() {
    let listed = format!("{TCP}routes:\n  (1.0.3): {{}}\n  (2.0.1): {{weight: 0%}}\n");
    assert_eq!(told_of(&listed, &two_pods()), ["6 route-without-endpoints"]);
    let resolved = resolve(&snapshot(&listed, &two_pods()));
    assert!(resolved.findings[0].message.contains("finds no workload for it"), "{}", resolved.findings[0]);
}

#[test]
fn a_selector_that_finds_nothing_is_told_of_once() {
    let listed = format!("{TCP}routes:\n  (1.0.3): {{}}\n  (2.0.1): {{weight: 0%}}\n");
    assert_eq!(told_of(&listed, "[]"), ["3 selector-finds-nothing"]);
    assert_eq!(told_of(TCP, "[]"), ["3 selector-finds-nothing"]);
}

#[test]
fn a_condition_on_a_route_that_has_everything_anyway_is_told_of() {
    let listed = |routes: &str| {
        let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
        told_of(&format!("{SEED}routes:\n{routes}"), &both)
    };
    let condition = "condition: Has Header beta";
    assert_eq!(
        listed(&format!("  (2.0.1): {{{condition}}}\n")),
        ["7 condition-without-effect"],
        "listed alone, it takes the rest"
    );
    assert_eq!(
        listed(&format!("  (2.0.1): {{{condition}, condition_strength: 5%, weight: 100%}}\n")).len(),
        1
    );
    assert_eq!(listed(&format!("  (2.0.1): {{{condition}, weight: 0%}}\n  (1.0.3): {{}}\n")), [""; 0]);
    let first = format!(
        "  (1.0.3): {{{condition}, weight: 100%}}\n  (2.0.1): {{condition: Host is a, weight: 0%}}\n"
    );
    assert_eq!(listed(&first), [""; 0], "it keeps requests from the other condition");
}

#[test]
fn a_condition_is_compared_with_the_nearest_and_with_the_same_however_many_there_are() {
    let shadowed = |between: usize, last: &str| {
        let first = "  (first): {condition: Host is a and Has Header b, weight: 100%}\n";
        let others: Vec<String> =
            (0..between).map(|at| format!("  (r{at}): {{condition: Host is h{at}}}\n")).collect();
        let others = others.concat();
        let routes = format!("{first}{others}  (last): {{condition: {last}}}\n");
        let resolved = resolve(&snapshot(&format!("{SEED}routes:\n{routes}"), &two_pods()));
        let mut messages = resolved.findings.into_iter().filter(|one| one.code == "condition-shadowed");
        messages.next().map(|one| one.message)
    };
    let same = "(Host == a) && (has header b)";
    let more = "Host is a and Has Header b and Has Header c";
    for between in [0, 63, 64, 500] {
        let message = shadowed(between, same).unwrap();
        assert!(message.contains("(last) is never asked: route (first) has the same"), "{message}");
        assert_eq!(shadowed(between, more).is_some(), between < 64, "{between} between");
    }
    assert_eq!(shadowed(10, "Host is a"), None);
}

#[test]
fn a_balance_that_the_kernel_does_not_know_is_advised_against_with_what_is_allowed() {
    let advice = |kind: &str| {
        let file = TCP.replace("/tcp", &format!("/{kind}"));
        let resolved =
            resolve(&snapshot(&format!("{file}routes: {{(1.0.3): {{balance: p2c}}}}\n"), &two_pods()));
        let told: Vec<_> = resolved.findings.iter().map(|one| (one.code, one.advice.clone())).collect();
        told
    };
    for kind in ["tcp", "udp", "tls"] {
        assert_eq!(advice(kind), [("balance-at-l4", "leave it out".to_owned())], "{kind}");
    }
    assert_eq!(advice("http"), [("balance-at-l4", "write `level: request`, or leave it out".to_owned())]);
}
