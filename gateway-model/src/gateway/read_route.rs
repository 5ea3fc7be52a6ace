//! Reading routes from artifacts: a map by name, a list, or a single name.

use std::collections::BTreeMap;

use super::{
    Balance, Route,
    read::{choice, parsed, read_metadata, read_selector},
};
use crate::{
    condition::Condition,
    document::{Fields, Node, Spelling, Value, wrong},
    finding::{Finding, Place},
    key::RouteName,
    rewrite::{Rewrite, RewriteKind},
    weight::Weight,
};

pub(super) fn read_routes(node: &Node, spelling: Spelling, findings: &mut Vec<Finding>) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    let mut lines: BTreeMap<RouteName, u32> = BTreeMap::new();
    let mut add = |name: &str, place: &Place, body: Option<&Node>, findings: &mut Vec<Finding>| {
        let Some(name) = route_name(name, place, findings) else { return };
        if let Some(first) = lines.get(&name) {
            findings.push(
                Finding::error(
                    "repeated-route",
                    format!("route `{name}` is listed twice; the first is in line {first}"),
                    "remove one of them",
                )
                .at(place),
            );
            return;
        }
        lines.insert(name.clone(), place.line);
        let route = Route::named(name, place.clone());
        routes.extend(match body.filter(|body| !body.is_null()) {
            Some(body) => read_body(route, body, spelling, findings),
            None => Some(route),
        });
    };
    match &node.value {
        Value::Scalar(name, _) => add(name, &node.place, None, findings),
        Value::Map(entries) => {
            for (key, body) in entries {
                add(&key.text, &key.place, Some(body), findings);
            }
        }
        Value::List(items) => {
            for item in items {
                match &item.value {
                    Value::Scalar(name, _) => add(name, &item.place, None, findings),
                    Value::Map(entries) => match list_item(entries) {
                        Some((name, place, body)) => add(name, place, Some(body.unwrap_or(item)), findings),
                        None => findings.push(wrong(item, "a route with a `name`")),
                    },
                    Value::List(_) => findings.push(wrong(item, "a route: a name or a map")),
                }
            }
        }
    }
    routes
}

/// Name, place and body of a list item: `{name: …, weight: …}` or `{(2.0.1): {weight: …}}`; without a body the
/// item itself is it.
fn list_item(entries: &[(crate::document::Key, Node)]) -> Option<(&str, &Place, Option<&Node>)> {
    if let Some((_, node)) = entries.iter().find(|(key, _)| key.text == "name")
        && let Value::Scalar(name, _) = &node.value
    {
        return Some((name, &node.place, None));
    }
    match entries {
        [(key, body)] if matches!(body.value, Value::Map(_)) || body.is_null() => {
            Some((&key.text, &key.place, Some(body)))
        }
        _ => None,
    }
}

fn route_name(text: &str, place: &Place, findings: &mut Vec<Finding>) -> Option<RouteName> {
    let name = RouteName(text.trim().to_owned()).in_order();
    let group = name.0.starts_with('(');
    let external = name.0.starts_with('[');
    let complaint = if name.0.is_empty() {
        Some("the name of a route is empty")
    } else if group && !is_group_list(&name.0) {
        Some("expected `(group)`, or `(a),(b)` for several")
    } else if external && Route::named(name.clone(), place.clone()).external().is_none() {
        Some("expected `[host:port]`, of an IPv6 address `[[2001:db8::7]:80]`")
    } else if !group
        && !external
        && name.0.contains(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '(' | ')'))
    {
        Some("expected a name without white space, brackets and parentheses")
    } else {
        None
    };
    let Some(complaint) = complaint else { return Some(name) };
    findings.push(
        Finding::error(
            "invalid-route-name",
            format!("`{name}` cannot be the name of a route: {complaint}"),
            "write `(2.0.1)` for a version that the selector finds, `[host:port]` for an address, or a plain name",
        )
        .at(place),
    );
    None
}

fn is_group_list(name: &str) -> bool {
    name.strip_prefix('(').and_then(|name| name.strip_suffix(')')).is_some()
}

fn read_body(
    mut route: Route,
    body: &Node,
    spelling: Spelling,
    findings: &mut Vec<Finding>,
) -> Option<Route> {
    let mut fields = Fields::of(body, "route", findings)?.spelled(spelling);
    fields.take("name");
    let percent = "a share, like `5%` or `0.05%`";
    route.weight = fields.take("weight").and_then(|node| parsed(node, "invalid-weight", percent, findings));
    route.condition = fields.take("condition").and_then(|node| read_condition(node, findings));
    route.condition_strength = fields
        .take("condition_strength")
        .and_then(|node| parsed::<Weight>(node, "invalid-strength", percent, findings));
    if let Some(node) = fields.take("rewrites") {
        route.rewrites = node.items().iter().flat_map(|item| read_rewrites(item, findings)).collect();
    }
    route.balance = fields.take("balance").and_then(|node| read_balance(node, findings));
    route.selector = fields.take("selector").map(|node| read_selector(node, findings));
    if let Some(node) = fields.take("metadata") {
        route.metadata = read_metadata(node, findings);
    }
    route.priority = fields.take("priority").and_then(|node| {
        let text = node.text("a whole number", findings)?;
        text.parse().inspect_err(|_| findings.push(wrong(node, "a whole number"))).ok()
    });
    route.places = fields.finish(findings);
    Some(route)
}

fn read_condition(node: &Node, findings: &mut Vec<Finding>) -> Option<Condition> {
    let text = node.text("a condition, like `User-Agent is Firefox`", findings)?;
    match Condition::parse(text) {
        Ok(condition) => Some(condition),
        Err(error) => {
            findings.push(Finding::syntax("invalid-condition", "condition", &node.written, &error));
            None
        }
    }
}

/// The rewrites of a map: `{path: "/new if Path is /old", host: internal.example.com}`.
fn read_rewrites(node: &Node, findings: &mut Vec<Finding>) -> Vec<Rewrite> {
    let Some(mut fields) = Fields::of(node, "rewrite", findings) else { return Vec::new() };
    let mut rewrites = Vec::new();
    for (field, kind) in
        [("path", RewriteKind::Path), ("prefix", RewriteKind::Prefix), ("host", RewriteKind::Host)]
    {
        if let Some(node) = fields.take(field) {
            rewrites.extend(read_rewrite(kind, node, findings));
        }
    }
    fields.finish(findings);
    rewrites
}

fn read_rewrite(kind: RewriteKind, node: &Node, findings: &mut Vec<Finding>) -> Option<Rewrite> {
    let expected = "a rewrite, like `/new if Path is /old`, `/old to /new` or `internal.example.com`";
    let text = node.text(expected, findings)?;
    match Rewrite::parse(kind, text) {
        Ok(rewrite) => {
            let condition = rewrite.condition();
            // It stands at the end of the text, as it was written.
            let length = condition.map_or(0, |condition| condition.source().chars().count());
            let before = text.chars().count() - length;
            let warnings = condition.into_iter().flat_map(Condition::lint);
            findings.extend(warnings.map(|one| Finding::warned(&node.written, one.shifted(before))));
            Some(rewrite)
        }
        Err(error) => {
            findings.push(Finding::syntax("invalid-rewrite", "rewrite", &node.written, &error));
            None
        }
    }
}

fn read_balance(node: &Node, findings: &mut Vec<Finding>) -> Option<Balance> {
    let words = [
        ("roundrobin", Balance::RoundRobin),
        ("leastconn", Balance::LeastConn),
        ("random", Balance::Random),
        ("p2c", Balance::P2c),
        ("maglev", Balance::Maglev),
    ];
    choice(node, "`roundrobin`, `leastconn`, `random`, `p2c` or `maglev`", &words, findings)
}
