//! Conditions, where they are asked and in which order.

use super::*;

#[test]
fn a_condition_moves_the_own_port_to_the_proxy_and_back() {
    let http = TCP.replace("/tcp", "/http");
    let mut story = Story::new();
    story.step(&http, &two_pods());
    let key = story.resolved.gateways[0].key.clone();
    let route = RouteName("(1.0.3)".to_owned());
    let target = |story: &Story| plan(&story.resolved, None).l4.gateways[&key].target;
    assert_eq!(target(&story), Target::Ring);
    let condition = ConditionChange::Set(Some("User-Agent is Firefox".parse().unwrap()));
    story.kept.set_condition(&story.resolved, &key, &route, condition, None, 1_000).unwrap();
    story.step(&http, &two_pods());
    assert_eq!(target(&story), Target::Agent);
    let given = &story.resolved.gateways[0].routes[0];
    assert_eq!((given.strength, given.condition_origin), (Weight::FULL, Origin::Cli));
    let made = plan(&story.resolved, None);
    assert!(matches!(made.l7.find_frontend(&"192.0.2.1:40001".parse().unwrap()), Some(Entry::Gateway(_))));
    story
        .kept
        .set_condition(
            &story.resolved,
            &key,
            &route,
            ConditionChange::Keep,
            Some("20%".parse().unwrap()),
            1_000,
        )
        .unwrap();
    story.step(&http, &two_pods());
    assert_eq!(story.resolved.gateways[0].routes[0].strength.to_string(), "20%");
    let listed = format!("{http}routes: {{(1.0.3): {{condition: Host is a}}}}\n");
    story.step(&listed, &two_pods());
    let replaced = &story.resolved.gateways[0].routes[0];
    assert_eq!(
        replaced.condition.as_ref().map(ToString::to_string).as_deref(),
        Some("Host == a"),
        "the file's changed"
    );
    story.kept.set_condition(&story.resolved, &key, &route, ConditionChange::Set(None), None, 1_000).unwrap();
    story.step(&listed, &two_pods());
    assert_eq!(target(&story), Target::Ring);
}

#[test]
fn conditions_are_refused_where_there_are_no_requests() {
    let mut story = Story::new();
    story.step(TCP, &two_pods());
    let key = story.resolved.gateways[0].key.clone();
    let condition = ConditionChange::Set(Some("Host is a".parse().unwrap()));
    let route = RouteName("(1.0.3)".to_owned());
    let error = story.kept.set_condition(&story.resolved, &key, &route, condition, None, 1).unwrap_err();
    assert!(error.to_string().contains("tcp port"), "{error}");
    let error =
        story.kept.set_condition(&story.resolved, &key, &route, ConditionChange::Keep, Some(Weight::FULL), 1);
    assert!(error.unwrap_err().to_string().contains("no condition"));
}

#[test]
fn conditions_given_at_run_time_are_taken_where_the_file_could_have_them() {
    let set = |kind: &str, condition: &str| {
        let mut story = Story::new();
        story.step(&TCP.replace("40001/tcp\n", &format!("40001/{kind}")), &two_pods());
        let key = story.resolved.gateways[0].key.clone();
        let condition = ConditionChange::Set(Some(condition.parse().unwrap()));
        let route = RouteName("(1.0.3)".to_owned());
        story.kept.set_condition(&story.resolved, &key, &route, condition, None, 1).is_ok()
    };
    assert!(set("https\ntls: foo-tls\n", "Host is a"));
    assert!(set("tls\n", "SNI is a and IP in 10.0.0.0/8"));
    assert!(!set("tls\n", "Host is a"));
}

#[test]
fn conditions_are_tried_by_priority_then_as_written() {
    let file = format!(
        "{SEED}routes:\n  (3): {{condition: Host is c}}\n  (1): {{condition: Host is a, weight: 100%}}\n  (2): {{condition: Host is b, priority: 5}}\n"
    );
    let made = plan(&resolve(&snapshot(&file, &two_pods())), None);
    let gateway = made.l7.find_host("foo.bar.com").unwrap();
    let order: Vec<String> =
        gateway.conditions.iter().map(|one| gateway.routes[one.route].name.to_string()).collect();
    assert_eq!(order, ["(2)", "(3)", "(1)"]);
}
