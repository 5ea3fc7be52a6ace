//! Artifacts of the page: what is wrong with them, what their routes get, and who takes a request.

use std::collections::BTreeMap;

use gateway_model::{
    explain::explain,
    finding::{self, Finding},
    gateway::{self, Gateway},
    resolve::{Resolved, resolve},
    snapshot::Snapshot,
    sticky::{By, Keep},
    weight::Weight,
    workload::{self, Workload},
};

use super::{
    page::{self, Block, Example},
    request,
};

/// The workloads of the page.
pub fn workloads() -> Vec<Workload> {
    let [block] = page::blocks("yaml workloads").try_into().expect("one list of workloads");
    let parsed = workload::parse("page", &block.text, "default");
    assert!(parsed.findings.is_empty(), "{:?}", parsed.findings);
    parsed.workloads
}

/// What gateways mean that have just been declared.
pub fn resolved(gateways: Vec<Gateway>, workloads: Vec<Workload>) -> Resolved {
    resolve(&Snapshot { gateways, workloads, now: 1_800_000_000, ..Snapshot::default() })
}

/// The documents of a block, each with what is said of it.
fn documents(block: &Block) -> Vec<Example> {
    let documents = format!("\n{}", block.text);
    let documents = documents.split("\n---\n").map(|text| Example {
        texts: vec![(block.line, text.to_owned())],
        claims: text.lines().filter_map(page::claim).collect(),
    });
    documents.collect()
}

#[test]
fn artifacts_have_the_findings_that_the_page_says() {
    let mut wrong = Vec::new();
    for block in page::blocks("yaml") {
        let parsed = gateway::parse("page", &block.text, "default");
        let is_read = !parsed.gateways.is_empty();
        let mut findings = parsed.findings;
        findings.extend(resolved(parsed.gateways, workloads()).findings);
        finding::sort(&mut findings);
        let claims = block.text.lines().filter_map(page::claim);
        let expected: Vec<String> =
            claims.filter(|(word, _)| word == "expect").map(|(_, rest)| rest).collect();
        let describe = |finding: &Finding| {
            let place = finding.place.as_ref().unwrap_or_else(|| panic!("no place: {finding}"));
            format!("{}:{} {}", place.line, place.column, finding.code)
        };
        let found: Vec<String> = findings.iter().map(describe).collect();
        if found != expected {
            let messages: Vec<String> = findings.iter().map(ToString::to_string).collect();
            wrong.push(format!(
                "block at line {}: {found:?} instead of {expected:?}\n{}",
                block.line,
                messages.join("\n")
            ));
        }
        assert!(is_read || !expected.is_empty(), "the block at line {} has no gateway", block.line);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn routes_have_the_shares_and_take_the_requests_that_the_page_says() {
    for example in page::blocks("yaml").iter().flat_map(documents) {
        example.assert_words(&["shares", "takes", "expect"]);
        let (line, text) = &example.texts[0];
        let what = format!("the block at line {line}: {text}");
        let resolved = resolved(gateway::parse("page", text, "default").gateways, workloads());
        if let Some(expected) = example.said("shares").next() {
            let gateway = resolved.gateways.first().unwrap_or_else(|| panic!("{what}"));
            let shares = gateway.routes.iter().map(|route| (route.name.to_string(), route.weight));
            assert_eq!(shares.collect::<BTreeMap<_, _>>(), expected_shares(expected), "{what}");
        }
        for takes in example.said("takes") {
            let (request, expected) = takes.split_once(" -> ").expect("a request and shares");
            let shares = explain(&resolved, &request::parse(request), None).shares.0;
            let shares = shares.into_iter().filter(|(_, share)| *share > 0.0);
            let shares = shares.map(|(name, share)| (name.to_string(), format!("{share}%").parse().unwrap()));
            assert_eq!(shares.collect::<BTreeMap<_, _>>(), expected_shares(expected), "{request}: {what}");
        }
    }
}

fn expected_shares(text: &str) -> BTreeMap<String, Weight> {
    let share = |share: &str| {
        let (name, weight) = share.rsplit_once('=').unwrap_or_else(|| panic!("{share}: no share"));
        (name.to_owned(), weight.parse().unwrap_or_else(|error| panic!("{share}: {error}")))
    };
    text.split(' ').map(share).collect()
}

#[test]
fn every_form_of_routes_ports_and_stickiness_is_shown() {
    let blocks = page::blocks("yaml");
    let gateways: Vec<Gateway> =
        blocks.iter().flat_map(|block| gateway::parse("page", &block.text, "default").gateways).collect();
    let routes = || gateways.iter().flat_map(|gateway| &gateway.routes);
    assert!(routes().any(|route| route.name.is_group()));
    assert!(routes().any(|route| route.external().is_some_and(|(host, _)| host.contains(':'))));
    let plain = || routes().filter(|route| !route.name.is_group() && route.external().is_none());
    assert!(plain().any(|route| route.selector.is_some()) && plain().any(|route| route.selector.is_none()));
    for balance in ["roundrobin", "leastconn", "random", "p2c", "maglev"] {
        assert!(blocks.iter().any(|block| block.text.contains(&format!("balance: {balance}"))), "{balance}");
    }
    for kind in ["http", "https", "tcp", "udp", "tls"] {
        let is_shown = |gateway: &Gateway| gateway.port.is_some_and(|port| port.kind.name() == kind);
        assert!(gateways.iter().any(is_shown), "{kind}");
    }
    let sticky: Vec<_> = gateways.iter().filter_map(|gateway| gateway.sticky.as_ref()).collect();
    for keep in [Keep::Route, Keep::Instance] {
        assert!(sticky.iter().any(|sticky| sticky.keep == keep && sticky.by == By::Cookie), "{keep:?}");
    }
    assert!(sticky.iter().any(|sticky| sticky.by == By::Client));
    assert!(sticky.iter().any(|sticky| matches!(sticky.by, By::Header(_))));
    assert!(sticky.iter().any(|sticky| matches!(sticky.by, By::Claim(_))));
}
