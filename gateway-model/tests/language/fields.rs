//! The page's tables of fields have those that are read.

use std::collections::BTreeSet;

use gateway_model::{finding::Finding, gateway, workload};

use super::page;

/// The fields that a finding about one that does not exist lists.
fn told(findings: &[Finding]) -> BTreeSet<String> {
    let [finding] = findings else { panic!("one finding: {findings:?}") };
    assert_eq!(finding.code, "unknown-field", "{finding}");
    let (_, allowed) = finding.advice.split_once("allowed are: ").expect("a list of fields");
    allowed.split(", ").map(str::to_owned).collect()
}

/// The fields in the first cells of the rows after a heading.
fn listed(heading: &str) -> BTreeSet<String> {
    let rows = page::table_after(heading);
    rows.iter().filter_map(|row| row[0].strip_prefix('`')?.strip_suffix('`').map(str::to_owned)).collect()
}

#[test]
fn the_tables_have_every_field() {
    let of_gateway = |text: &str| told(&gateway::parse("page", text, "default").findings);
    let missing = |fields: BTreeSet<String>, heading: &str| {
        let listed = listed(heading);
        fields.into_iter().filter(|field| !listed.contains(field)).collect::<Vec<_>>()
    };
    let gateway = of_gateway("{name: foo, selector: name(foo), nonsense: 1}");
    let mut route = of_gateway("{name: foo, selector: name(foo), routes: {(): {nonsense: 1}}}");
    // In a list of routes.
    route.remove("name");
    let workload = told(&workload::parse("page", "[{name: foo, nonsense: 1}]", "default").findings);
    assert!(gateway.len() > 10 && route.len() > 6 && workload.len() > 6);
    assert_eq!(missing(gateway, "### Gateways"), Vec::<String>::new());
    assert_eq!(missing(route, "### Routes"), Vec::<String>::new());
    assert_eq!(missing(workload, "## Workloads"), Vec::<String>::new());
}
