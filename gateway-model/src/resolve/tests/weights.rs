//! Who says what a weight is.

use super::*;

#[test]
fn a_weight_given_at_run_time_holds_until_the_file_says_something_new() {
    let file =
        |a: &str, b: &str| format!("{TCP}routes:\n  (1.0.3): {{weight: {a}}}\n  (2.0.1): {{weight: {b}}}\n");
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    assert_eq!(story.step(&file("90%", "10%"), &both), weights(&[("(1.0.3)", "90%"), ("(2.0.1)", "10%")]));
    story.set(&[("(1.0.3)", "50%"), ("(2.0.1)", "50%")], false).unwrap();
    assert_eq!(story.step(&file("90%", "10%"), &both), weights(&[("(1.0.3)", "50%"), ("(2.0.1)", "50%")]));
    assert_eq!(story.resolved.gateways[0].routes[0].origin, Origin::Cli);
    assert_eq!(
        story.step(&file("90%", "10%"), &(two_pods() + &pod("d", "2.0.1", "10.0.0.4"))),
        weights(&[("(1.0.3)", "50%"), ("(2.0.1)", "50%")])
    );
    assert_eq!(story.step(&file("80%", "20%"), &both), weights(&[("(1.0.3)", "80%"), ("(2.0.1)", "20%")]));
    assert!(
        story.resolved.notes.iter().any(|note| note.message.contains("the file now says 80%")),
        "{:?}",
        story.resolved.notes
    );
    assert_eq!(story.resolved.gateways[0].routes[0].origin, Origin::File);
}

#[test]
fn weights_that_do_not_add_up_change_nothing_and_say_why() {
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    story.step(TCP, &both);
    let error = story.set(&[("(2.0.1)", "5%")], false).unwrap_err();
    assert!(
        error.contains("105%") && error.contains("(1.0.3)=100%") && error.contains("--rebalance"),
        "{error}"
    );
    assert!(story.set(&[("(3)", "5%")], false).unwrap_err().contains("it has: (1.0.3), (2.0.1)"));
    assert!(story.set(&[("(2.0.1)", "5%"), ("(2.0.1)", "6%")], true).is_err());
    assert_eq!(story.step(TCP, &both), weights(&[("(1.0.3)", "100%"), ("(2.0.1)", "0%")]));
    story.set(&[("(2.0.1)", "5%")], true).unwrap();
    assert_eq!(story.step(TCP, &both), weights(&[("(1.0.3)", "95%"), ("(2.0.1)", "5%")]));
}

#[test]
fn a_route_that_was_rolled_back_gets_weight_from_a_person_only() {
    let listed = |a: &str, b: &str, c: &str| {
        format!("{TCP}routes: {{(1): {{weight: {a}}}, (2): {{weight: {b}}}, (3): {{weight: {c}}}}}\n")
    };
    let three = pod("a", "1", "10.0.0.1") + &pod("b", "2", "10.0.0.2") + &pod("c", "3", "10.0.0.3");
    let mut story = Story::new();
    story.step(&listed("80%", "10%", "10%"), &three);
    story.roll_back("(2)");
    let after = weights(&[("(1)", "88.89%"), ("(2)", "0%"), ("(3)", "11.11%")]);
    assert_eq!(story.step(&listed("80%", "10%", "10%"), &three), after);
    let without = three.replacen("created", "ready: false, created", 1);
    assert_eq!(story.step(&listed("80%", "10%", "10%"), &without), after);
    assert!(story.resolved.gateways[0].routes[1].lent.is_zero(), "nothing is lent to it");
    assert_eq!(
        story.step(&listed("60%", "10%", "30%"), &three),
        weights(&[("(1)", "66.67%"), ("(2)", "0%"), ("(3)", "33.33%")]),
        "the file says nothing new about it: its part goes to the others"
    );
    story.set(&[("(2)", "10%")], true).unwrap();
    assert_eq!(story.step(&listed("60%", "10%", "30%"), &three)["(2)"], "10%");
    story.roll_back("(2)");
    assert_eq!(story.step(&listed("60%", "10%", "30%"), &three)["(2)"], "0%");
    assert_eq!(story.step(&listed("60%", "20%", "20%"), &three)["(2)"], "20%", "the file says something new");
    assert!(!story.resolved.gateways[0].routes[1].rolled_back);
}

#[test]
fn a_route_that_was_rolled_back_takes_no_rest() {
    let listed = |a: &str| format!("{TCP}routes: {{(1): {{weight: {a}}}, (2): {{}}, (3): {{}}}}\n");
    let three = pod("a", "1", "10.0.0.1") + &pod("b", "2", "10.0.0.2") + &pod("c", "3", "10.0.0.3");
    let mut story = Story::new();
    story.step(&listed("80%"), &three);
    story.roll_back("(2)");
    story.step(&listed("80%"), &three);
    story.set(&[("(1)", "80%"), ("(3)", "20%")], false).unwrap();
    let after = story.step(&listed("70%"), &three);
    assert_eq!(after["(2)"], "0%");
}

#[test]
fn the_last_route_with_a_weight_that_is_rolled_back_leaves_nobody() {
    let mut story = Story::new();
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    story.step(TCP, &both);
    story.roll_back("(1.0.3)");
    assert_eq!(story.step(TCP, &both), weights(&[("(1.0.3)", "0%"), ("(2.0.1)", "0%")]), "0% stays 0%");
}
