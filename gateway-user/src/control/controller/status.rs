//! What a gateway's status says: pure, from what is in force and what is known.

use std::collections::HashSet;

use gateway_model::{
    discovery::{KeptGateway, KeptRoute, Origin},
    finding::Finding,
    key::RouteName,
    resolve::{Endpoint, ResolvedGateway, ResolvedRoute},
    weight::Weight,
};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use serde_json::Value;

use crate::control::{
    resource::{NodesStatus, RouteState, RouteStatus, ServiceStatus, WeirGatewayStatus},
    translate::GatewayFacts,
};

/// How many findings a condition tells.
const TOLD: usize = 5;

/// Everything that a status is made of.
pub(super) struct Known<'a> {
    /// The gateway.
    pub(super) facts: &'a GatewayFacts,
    /// What is in force of it; `None` where nothing is.
    pub(super) resolved: Option<&'a ResolvedGateway>,
    /// What is remembered of it.
    pub(super) kept: Option<&'a KeptGateway>,
    /// What is wrong with it beside what its spec says.
    pub(super) findings: &'a [Finding],
    /// The last spec that could be in force, where that is another.
    pub(super) in_force: Option<Value>,
    /// Its Service, or why there is none.
    pub(super) service: Result<ServiceStatus, String>,
    /// Which nodes have it.
    pub(super) nodes: NodesStatus,
}

/// The status as it is to be; times of conditions that are as before stay.
pub(super) fn status(known: &Known<'_>, now: Timestamp) -> WeirGatewayStatus {
    let old = &known.facts.status;
    let mut status = match (known.resolved, known.kept) {
        (Some(resolved), Some(kept)) => in_force(resolved, kept),
        // What was in force stays, and so does what is said of it.
        (None, _) | (_, None) => WeirGatewayStatus { conditions: Vec::new(), ..old.clone() },
    };
    status.observed_generation = Some(known.facts.generation);
    status.service = known.service.clone().ok().or_else(|| old.service.clone());
    status.nodes = Some(known.nodes.clone());
    status.in_force.clone_from(&known.in_force);
    let conditions = [accepted(known), service_ready(&known.service), programmed(known)];
    status.conditions = conditions.map(|fresh| fresh.into_condition(old, known.facts.generation, now)).into();
    status
}

fn in_force(resolved: &ResolvedGateway, kept: &KeptGateway) -> WeirGatewayStatus {
    let mut routes: Vec<&ResolvedRoute> = resolved.routes.iter().collect();
    routes.sort_by(|left, right| left.name.display_order(&right.name));
    let shown: Vec<String> = routes.iter().map(|route| format!("{}={}", route.name, route.weight)).collect();
    let hosts: Vec<String> = resolved.hosts.iter().map(ToString::to_string).collect();
    let none = KeptRoute::default();
    WeirGatewayStatus {
        port: Some(i32::from(resolved.port)),
        type_: Some(resolved.kind.to_string()),
        hosts: (!hosts.is_empty()).then(|| hosts.join(",")),
        route_count: count(routes.len()),
        weights: (!shown.is_empty()).then(|| shown.join(" ")),
        routes: routes
            .iter()
            .map(|route| of_route(route, kept.routes.get(&route.name).unwrap_or(&none)))
            .collect(),
        ..WeirGatewayStatus::default()
    }
}

fn of_route(route: &ResolvedRoute, kept: &KeptRoute) -> RouteStatus {
    let state = match (route.rolled_back, route.is_gone, route.serves()) {
        (true, _, _) => RouteState::RolledBack,
        (_, true, _) => RouteState::Gone,
        (_, _, true) => RouteState::Serving,
        (_, _, false) => RouteState::Waiting,
    };
    RouteStatus {
        name: route.name.0.clone(),
        weight: route.weight.to_string(),
        origin: origin(route.origin).to_owned(),
        since: timestamp(route.since),
        endpoints: count(pods(route.endpoints.iter().filter(|endpoint| endpoint.ready))),
        total: count(pods(&route.endpoints)),
        state,
        declared: kept.declared.map(|weight| weight.to_string()),
        gone_since: route.gone_since.and_then(timestamp),
        rolled_back: route.rolled_back,
    }
}

/// How many pods these are of: one with addresses of both families is one. What has no pod counts by address.
fn pods<'a>(endpoints: impl IntoIterator<Item = &'a Endpoint>) -> usize {
    let of = |endpoint: &'a Endpoint| {
        let external = endpoint.workload.is_empty().then_some(endpoint.address);
        (endpoint.workload.as_str(), external)
    };
    endpoints.into_iter().map(of).collect::<HashSet<_>>().len()
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::File => "file",
        Origin::Cli => "cli",
        Origin::Discovery => "discovery",
    }
}

fn timestamp(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

/// What is to be remembered of a gateway, from its status: the inverse of [`status`].
pub(super) fn remembered(facts: &GatewayFacts) -> KeptGateway {
    let seconds = |time: Option<Timestamp>| time.and_then(|time| u64::try_from(time.as_second()).ok());
    let weight = |text: &str| text.parse::<Weight>().ok();
    let routes = facts.status.routes.iter().filter_map(|route| {
        let kept = KeptRoute {
            weight: weight(&route.weight)?,
            origin: match route.origin.as_str() {
                "file" => Origin::File,
                "cli" => Origin::Cli,
                _ => Origin::Discovery,
            },
            since: seconds(route.since).unwrap_or(facts.created),
            declared: route.declared.as_deref().and_then(weight),
            ran: route.total > 0 || route.gone_since.is_some(),
            gone_since: seconds(route.gone_since),
            rolled_back: route.rolled_back,
            ..KeptRoute::default()
        };
        Some((RouteName(route.name.clone()), kept))
    });
    KeptGateway {
        since: facts.created,
        gone_since: None,
        port: facts.status.port.and_then(|port| u16::try_from(port).ok()),
        routes: routes.collect(),
    }
}

/// What agents act on, and what people wait for: written at once. The rest is counted, and written once a second at
/// most.
pub(super) fn differs_in_what_is_in_force(old: &WeirGatewayStatus, new: &WeirGatewayStatus) -> bool {
    let plain = |status: &WeirGatewayStatus| {
        let mut plain = status.clone();
        plain.nodes = None;
        for route in &mut plain.routes {
            (route.endpoints, route.total, route.state) = (0, 0, RouteState::default());
        }
        for condition in &mut plain.conditions {
            condition.message.clear();
        }
        plain
    };
    plain(old) != plain(new)
}

/// Whether agents have something to do between one status and the other.
pub(super) fn differs_for_agents(old: &WeirGatewayStatus, new: &WeirGatewayStatus) -> bool {
    let of = |status: &WeirGatewayStatus| -> Vec<(String, String)> {
        status.routes.iter().map(|route| (route.name.clone(), route.weight.clone())).collect()
    };
    (old.port, of(old)) != (new.port, of(new))
}

/// What has become true or false, in words for people: reason, message, and whether it is a warning.
pub(super) fn news(old: &WeirGatewayStatus, new: &WeirGatewayStatus) -> Vec<(&'static str, String, bool)> {
    let of = |status: &WeirGatewayStatus, type_: &str| {
        let found = status.conditions.iter().find(|one| one.type_ == type_);
        found.map(|one| (one.status == "True", one.reason.clone(), one.message.clone()))
    };
    let mut told = Vec::new();
    let mut tell = |type_, good, bad| match (of(old, type_), of(new, type_)) {
        (before, Some((true, _, message))) if before.as_ref().is_none_or(|(was, ..)| !was) => {
            told.push((good, message, false));
        }
        (before, Some((false, reason, message)))
            // That it takes a moment to be made is no news.
            if before.as_ref().map_or(type_ == "Accepted", |(was, why, _)| *was || *why != reason) =>
        {
            told.push((bad, format!("{reason}: {message}"), true));
        }
        _ => {}
    };
    tell("Accepted", "Accepted", "NotAccepted");
    tell("ServiceReady", "ServiceReady", "ServiceNotReady");
    told
}

/// A number as statuses have it.
pub(super) fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A condition without times.
struct Fresh {
    type_: &'static str,
    is_true: bool,
    reason: String,
    message: String,
}

impl Fresh {
    fn into_condition(self, old: &WeirGatewayStatus, generation: i64, now: Timestamp) -> Condition {
        let status = if self.is_true { "True" } else { "False" }.to_owned();
        let before = old.conditions.iter().find(|one| one.type_ == self.type_ && one.status == status);
        Condition {
            type_: self.type_.to_owned(),
            last_transition_time: before.map_or(Time(now), |before| before.last_transition_time.clone()),
            status,
            reason: self.reason,
            message: self.message,
            observed_generation: Some(generation),
        }
    }
}

fn accepted(known: &Known<'_>) -> Fresh {
    let spec = &known.facts.spec;
    let of_spec = spec.findings.iter().map(|(field, finding)| (field.clone(), finding));
    let mut all: Vec<(String, &Finding)> = of_spec.collect();
    // Of a spec that does not parse, another is in force: what is wrong with that one is told elsewhere.
    if spec.gateway.is_some() {
        all.extend(known.findings.iter().map(|finding| (spec.field_of(finding), finding)));
    }
    let error = all.iter().find(|(_, finding)| finding.is_error());
    let mut told: Vec<String> = all.iter().take(TOLD).map(|(field, finding)| tell(field, finding)).collect();
    if all.len() > TOLD {
        told.push(format!("and {} more", all.len() - TOLD));
    }
    let (reason, mut message) = match error {
        Some((_, finding)) => (camel(finding.code), told.join("; ")),
        None if all.is_empty() => ("Accepted".to_owned(), "accepted".to_owned()),
        None => ("Accepted".to_owned(), format!("accepted; {}", told.join("; "))),
    };
    if error.is_some() && known.resolved.is_some() {
        message.push_str("; what was in force before stays");
    }
    // The API allows 32,768 bytes.
    message.truncate(message.floor_char_boundary(16_384));
    Fresh { type_: "Accepted", is_true: error.is_none(), reason, message }
}

fn tell(field: &str, finding: &Finding) -> String {
    format!("{field}: {} ({})", finding.message, finding.advice)
}

/// `unknown-field` → `UnknownField`.
fn camel(code: &str) -> String {
    let words = code.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    });
    words.collect()
}

fn service_ready(service: &Result<ServiceStatus, String>) -> Fresh {
    let (is_true, reason, message) = match service {
        Ok(service) if service.type_.as_deref() == Some("LoadBalancer") && service.addresses.is_empty() => {
            let message = format!(
                "Service {} is there, and nobody has given it a load balancer address yet: a WeirAddressPool would",
                service.name
            );
            (true, "Made", message)
        }
        Ok(service) => (true, "Made", format!("Service {} is there", service.name)),
        Err(why) => (false, "NotReady", why.clone()),
    };
    Fresh { type_: "ServiceReady", is_true, reason: reason.to_owned(), message }
}

fn programmed(known: &Known<'_>) -> Fresh {
    let NodesStatus { programmed, total, lagging } = &known.nodes;
    let (is_true, reason, message) = if known.resolved.is_none() {
        (false, "NotAccepted", "nothing of it is in force".to_owned())
    } else if *total == 0 {
        (false, "NoNodes", "no node has an agent".to_owned())
    } else if programmed == total {
        (true, "Programmed", format!("in force on {total} of {total} nodes"))
    } else {
        let names = lagging.join(", ");
        (false, "Pending", format!("in force on {programmed} of {total} nodes; not yet on {names}"))
    };
    Fresh { type_: "Programmed", is_true, reason: reason.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use gateway_model::{
        resolve::{Resolved, resolve},
        snapshot::{Settings, Snapshot},
        workload::{Workload, WorkloadPort},
    };
    use serde_json::json;

    use super::*;
    use crate::control::translate;

    fn facts(spec: &serde_json::Value) -> GatewayFacts {
        let object = json!({
            "apiVersion": "weir.dev/v1", "kind": "WeirGateway",
            "metadata": { "name": "foo", "namespace": "shop", "uid": "u", "generation": 2,
                          "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": spec,
        });
        translate::gateway(&serde_json::from_value(object).unwrap())
    }

    fn pod(version: &str) -> Workload {
        Workload {
            namespace: "shop".into(),
            kind: "pod".into(),
            name: format!("foo-{version}"),
            labels: [("app", "foo"), ("version", version)].map(|(k, v)| (k.into(), v.into())).into(),
            addresses: vec!["10.0.0.1".parse().unwrap()],
            ports: vec![WorkloadPort { name: "http".into(), port: 8080 }],
            ready: true,
            created: Some(if version == "1.0.3" { 1 } else { 2 }),
            ..Workload::default()
        }
    }

    fn resolved(facts: &GatewayFacts, versions: &[&str]) -> Resolved {
        resolve(&Snapshot {
            gateways: facts.spec.gateway.clone().into_iter().collect(),
            workloads: versions.iter().map(|version| pod(version)).collect(),
            now: 1_000,
            settings: Settings { given_frontends: true, ..Settings::default() },
            ..Snapshot::default()
        })
    }

    fn known<'a>(facts: &'a GatewayFacts, resolved: &'a Resolved) -> Known<'a> {
        Known {
            facts,
            resolved: resolved.gateways.first().map(AsRef::as_ref),
            kept: resolved.kept.gateways.get(&facts.key),
            findings: &[],
            in_force: None,
            service: Ok(ServiceStatus { name: "foo".into(), ..ServiceStatus::default() }),
            nodes: NodesStatus { programmed: 1, total: 2, lagging: vec!["n2".into()] },
        }
    }

    const SPEC: &str = "label(app)(foo) && label(version)((.*))";

    #[test]
    fn routes_weights_and_times_are_told_and_remembered() {
        let mut facts = facts(&json!({ "selector": SPEC }));
        let resolved = resolved(&facts, &["1.0.3", "2.0.1"]);
        let status = status(&known(&facts, &resolved), Timestamp::UNIX_EPOCH);
        assert_eq!(status.weights.as_deref(), Some("(1.0.3)=100% (2.0.1)=0%"));
        assert_eq!((status.routes[1].state, status.routes[1].endpoints), (RouteState::Serving, 1));
        let conditions: Vec<(&str, &str)> =
            status.conditions.iter().map(|one| (one.type_.as_str(), one.status.as_str())).collect();
        assert_eq!(conditions, [("Accepted", "True"), ("ServiceReady", "True"), ("Programmed", "False")]);
        assert!(status.conditions[2].message.contains("n2"));
        facts.status = status;
        let mut kept = resolved.kept.gateways[&facts.key].clone();
        kept.since = facts.created;
        assert_eq!(remembered(&facts), kept, "a new leader goes on from there");
    }

    #[test]
    fn a_pod_with_addresses_of_both_families_is_one_endpoint_and_an_external_address_is_another() {
        let facts = facts(&json!({ "selector": SPEC, "routes": {
            "(1.0.3)": { "weight": "50%" }, "[203.0.113.1:80]": { "weight": "50%" } } }));
        let dual = |name: &str, at: u8, ready: bool| Workload {
            name: name.to_owned(),
            addresses: vec![[10, 0, 0, at].into(), [0xfd00, 0, 0, 0, 0, 0, 0, u16::from(at)].into()],
            ready,
            ..pod("1.0.3")
        };
        let resolved = resolve(&Snapshot {
            gateways: facts.spec.gateway.clone().into_iter().collect(),
            workloads: vec![dual("a", 1, true), dual("b", 2, true), dual("c", 3, false)],
            now: 1_000,
            settings: Settings { given_frontends: true, ..Settings::default() },
            ..Snapshot::default()
        });
        let status = status(&known(&facts, &resolved), Timestamp::UNIX_EPOCH);
        let counts: Vec<_> = status.routes.iter().map(|route| (route.endpoints, route.total)).collect();
        assert_eq!(counts, [(2, 3), (1, 1)]);
    }

    #[test]
    fn a_spec_that_is_wrong_is_refused_and_what_was_in_force_stays() {
        let good = facts(&json!({ "selector": SPEC }));
        let resolved = resolved(&good, &["1.0.3"]);
        let first = status(&known(&good, &resolved), Timestamp::UNIX_EPOCH);
        let mut bad = facts(&json!({ "selector": "label(app)(foo" }));
        bad.status = first.clone();
        let nothing = Resolved::default();
        let told = status(&known(&bad, &nothing), Timestamp::MAX);
        assert_eq!(told.routes, first.routes);
        let accepted = &told.conditions[0];
        assert_eq!((accepted.status.as_str(), accepted.reason.as_str()), ("False", "InvalidSelector"));
        assert!(accepted.message.starts_with("spec.selector: "), "{}", accepted.message);
        assert!(accepted.message.contains("column"), "{}", accepted.message);
    }

    #[test]
    fn times_of_conditions_change_with_their_status_alone() {
        let mut facts = facts(&json!({ "selector": SPEC }));
        let resolved = resolved(&facts, &["1.0.3"]);
        facts.status = status(&known(&facts, &resolved), Timestamp::UNIX_EPOCH);
        let mut later = known(&facts, &resolved);
        later.nodes = NodesStatus { programmed: 2, total: 2, lagging: vec![] };
        let told = status(&later, Timestamp::MAX);
        assert_eq!(told.conditions[0].last_transition_time.0, Timestamp::UNIX_EPOCH);
        assert_eq!(told.conditions[2].last_transition_time.0, Timestamp::MAX);
    }
}
