//! Which route and endpoint takes a request.

use std::collections::HashMap;

use crate::{
    backend::Backend,
    client::Client,
    stage::{Stage, gateway, gateway_with},
};

/// Answers of `count` requests, by text.
fn count(client: &mut Client, count: usize, head: &str) -> HashMap<String, usize> {
    let mut answers = HashMap::new();
    for _ in 0..count {
        client.send(format!("{head}\r\n\r\n"));
        *answers.entry(client.response().text().to_owned()).or_default() += 1;
    }
    answers
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a";

#[test]
fn after_any_number_of_requests_every_route_has_its_share_within_two() {
    let (a, b, c) = (Backend::named("a"), Backend::named("b"), Backend::named("c"));
    let routes: &[(&str, u16, &[_])] =
        &[("a", 9_400, &[a.address]), ("b", 500, &[b.address]), ("c", 100, &[c.address])];
    let stage = Stage::of(gateway(routes));
    let mut client = stage.connect();
    let mut sums: HashMap<String, usize> = HashMap::new();
    for n in 1..=600_usize {
        *sums.entry(client.get("a", "/").text().to_owned()).or_default() += 1;
        for (name, weight, _) in routes {
            // In ten-thousandths of a request.
            let due = n * usize::from(*weight);
            let got = sums.get(*name).unwrap_or(&0) * 10_000;
            assert!(got.abs_diff(due) <= 20_000, "{name} after {n}: {got}, due {due}");
        }
    }
}

#[test]
fn one_percent_of_a_hundred_requests_is_one_and_zero_percent_is_none() {
    let (a, b, c) = (Backend::named("a"), Backend::named("b"), Backend::named("c"));
    let stage =
        Stage::of(gateway(&[("a", 9_900, &[a.address]), ("b", 100, &[b.address]), ("c", 0, &[c.address])]));
    let answers = count(&mut stage.connect(), 1000, GET);
    assert!((9..=11).contains(&answers["b"]), "{answers:?}");
    assert_eq!(c.seen().len(), 0);
}

#[test]
fn a_condition_takes_its_requests_and_no_others() {
    let (a, b) = (Backend::named("a"), Backend::named("b"));
    let cases = [
        (
            "User-Agent is Firefox",
            "User-Agent: Mozilla/5.0 (X11) Gecko/20100101 Firefox/128.0",
            "User-Agent: curl",
        ),
        ("Has Cookie beta", "Cookie: x=1; beta=", "Cookie: alphabeta=1"),
        ("Header X-Team == blue", "X-Team: blue", "X-Team: bluebird"),
        ("Method is PUT or Path starts with /new", "X-HTTP-Method: PUT", "X: y"),
        ("not (Has Header X-Old)", "X-New: 1", "X-Old: 1"),
    ];
    for (condition, matching, other) in cases {
        let stage = Stage::of(gateway_with(
            &[("a", 10_000, &[a.address]), ("b", 0, &[b.address])],
            &[(condition, 1, 10_000)],
        ));
        let mut client = stage.connect();
        let expected = if condition.starts_with("Method") { "a" } else { "b" };
        assert_eq!(
            count(&mut client, 5, &format!("{GET}\r\n{matching}")).get(expected),
            Some(&5),
            "{condition}"
        );
        assert_eq!(count(&mut client, 5, &format!("{GET}\r\n{other}")).get("a"), Some(&5), "{condition}");
        client.send("GET /new/x?y HTTP/1.1\r\nHost: a\r\nX-Old: 1\r\n\r\n");
        let expected = if condition.starts_with("Method") { "b" } else { "a" };
        assert_eq!(client.response().text(), expected, "{condition}");
    }
}

#[test]
fn a_condition_on_the_host_sees_the_target_s_where_that_names_one() {
    let (a, b) = (Backend::named("a"), Backend::named("b"));
    let stage = Stage::of(gateway_with(
        &[("a", 10_000, &[a.address]), ("b", 0, &[b.address])],
        &[("Host is beta.example", 1, 10_000)],
    ));
    let mut client = stage.connect();
    assert_eq!(client.get("Beta.Example:8080", "/").text(), "b");
    assert_eq!(client.get("www.example", "http://beta.example/").text(), "b");
    assert_eq!(client.get("beta.example", "http://www.example/").text(), "a");
}

#[test]
fn strength_is_the_share_of_matching_requests_that_a_condition_takes() {
    let (a, b) = (Backend::named("a"), Backend::named("b"));
    let stage = Stage::of(gateway_with(
        &[("a", 8_000, &[a.address]), ("b", 2_000, &[b.address])],
        &[("Has Header X-Beta", 1, 5_000)],
    ));
    let mut client = stage.connect();
    let matching = count(&mut client, 1000, &format!("{GET}\r\nX-Beta: 1"));
    // s + (1 − s)·w = 0.5 + 0.5 · 0.2
    assert!(matching["b"].abs_diff(600) <= 2, "{matching:?}");
    let others = count(&mut client, 1000, GET);
    assert!(others["b"].abs_diff(200) <= 2, "{others:?}");
}

#[test]
fn the_first_condition_that_matches_decides() {
    let (a, b) = (Backend::named("a"), Backend::named("b"));
    let stage = Stage::of(gateway_with(
        &[("a", 0, &[a.address]), ("b", 10_000, &[b.address])],
        &[("Has Header X-One", 0, 10_000), ("Has Header X-Two", 1, 10_000)],
    ));
    assert_eq!(count(&mut stage.connect(), 10, &format!("{GET}\r\nX-Two: 1\r\nX-One: 1"))["a"], 10);
}

#[test]
fn a_route_s_endpoints_share_its_requests() {
    let backends = [Backend::named("a"), Backend::named("a"), Backend::named("a")];
    let endpoints = [backends[0].address, backends[1].address, backends[2].address];
    let stage = Stage::of(gateway(&[("a", 10_000, &endpoints)]));
    count(&mut stage.connect(), 300, GET);
    for backend in &backends {
        assert!(backend.seen().len() > 50, "{}", backend.seen().len());
    }
}
