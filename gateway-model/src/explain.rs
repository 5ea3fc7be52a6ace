//! Which route takes a request, and why.
//!
//! The same conditions and weights that the proxy goes by, told in full: every condition with every term, the share
//! of each route among requests like this one, and the route itself where nothing is left to chance.

use std::net::IpAddr;

use serde::Serialize;

use crate::{
    condition::Condition,
    gateway::VirtualHost,
    key::{ByRoute, Protocol, RouteName},
    matching::Request,
    resolve::{Layer, Resolved, ResolvedGateway},
    sticky::{self, Sticky, UserKey, Users},
    weight::Weight,
};

/// A request as someone describes it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method.
    pub method: String,
    /// Host without port.
    pub host: String,
    /// Port that it comes in on.
    pub port: u16,
    /// Path without query.
    pub path: String,
    /// Query without the question mark.
    pub query: String,
    /// Header fields, names in any case.
    pub headers: Vec<(String, String)>,
    /// The client's address.
    pub client: IpAddr,
    /// The TLS server name; empty without TLS.
    pub sni: String,
}

/// Which route takes a request, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The gateway that answers; none: 404 on a shared port, nobody on another.
    pub gateway: Option<String>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// The host of its that matches; none where its port does.
    pub virtual_host: Option<VirtualHost>,
    /// Who chooses.
    pub layer: Option<Layer>,
    /// The condition that matches first.
    pub condition: Option<Matched>,
    /// Share of each route among requests like this one, in percent.
    pub shares: ByRoute<f64>,
    /// The route, where nothing is left to chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteName>,
    /// Every term of every condition, in the order in which conditions are tried.
    pub terms: Vec<Verdict>,
    /// What becomes of it in gateways that routes lead to.
    #[serde(skip_serializing_if = "ByRoute::is_empty")]
    pub chained: ByRoute<Explanation>,
}

/// The condition that matches first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matched {
    /// Its route.
    pub route: RouteName,
    /// As written.
    pub expression: String,
    /// Share of the matching requests that it captures, in percent.
    pub strength: f64,
}

/// What a term of a condition says about the request.
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own, and is printed")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The condition's route.
    pub route: RouteName,
    /// The term as written.
    pub term: String,
    /// Where it begins in the condition, in characters from 1.
    pub column: usize,
    /// How long it is, in characters.
    pub length: usize,
    /// Whether it is true, without any `not` before it.
    pub matches: bool,
    /// Whether a `not` stands before it or around it.
    pub negated: bool,
    /// Whether the whole condition is.
    pub condition_matches: bool,
    /// Whether the condition is asked at all: an earlier one may have matched.
    pub tried: bool,
}

impl Request for Asked {
    fn method(&self) -> &str {
        &self.method
    }
    fn host(&self) -> &str {
        &self.host
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn query(&self) -> &str {
        &self.query
    }
    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.headers.iter().any(|(own, value)| own.eq_ignore_ascii_case(name) && test(value.as_bytes()))
    }
    fn client(&self) -> IpAddr {
        self.client
    }
    fn sni(&self) -> &str {
        &self.sni
    }
}

/// Explains; `user` tells the user from others where the gateway is sticky, before what the request says of him.
pub fn explain(resolved: &Resolved, asked: &Asked, user: Option<&str>) -> Explanation {
    match find(resolved, asked) {
        Some((gateway, host)) => {
            let mut explanation = explain_in(gateway, asked, user);
            explanation.virtual_host = host.cloned();
            explanation
        }
        None => Explanation {
            gateway: None,
            namespace: None,
            virtual_host: None,
            layer: None,
            condition: None,
            shares: ByRoute::default(),
            route: None,
            terms: Vec::new(),
            chained: ByRoute::default(),
        },
    }
}

/// The gateway of a host, or else of the port: an exact host before a wildcard, a longer wildcard before a shorter.
fn find<'a>(resolved: &'a Resolved, asked: &Asked) -> Option<(&'a ResolvedGateway, Option<&'a VirtualHost>)> {
    let host = asked.host.strip_suffix('.').unwrap_or(&asked.host).to_ascii_lowercase();
    let hosts =
        resolved.gateways.iter().flat_map(|gateway| gateway.hosts.iter().map(move |host| (gateway, host)));
    let matching = hosts.filter(|(_, own)| own.matches(&host));
    let best = matching.max_by_key(|(_, own)| (own.wildcard().is_none(), own.as_str().len()));
    let speaks_tcp = |gateway: &ResolvedGateway| gateway.kind.protocol() == Protocol::Tcp;
    let mut own =
        resolved.gateways.iter().filter(|gateway| speaks_tcp(gateway) && gateway.port == asked.port);
    let mut by_port = || own.next();
    best.map(|(gateway, host)| (&**gateway, Some(host))).or_else(|| Some((&**by_port()?, None)))
}

fn explain_in(gateway: &ResolvedGateway, asked: &Asked, user: Option<&str>) -> Explanation {
    let conditions: Vec<(usize, &Condition)> = gateway
        .order
        .iter()
        .filter_map(|index| Some((*index, gateway.routes[*index].condition.as_ref()?)))
        .collect();
    let first = conditions.iter().position(|(_, condition)| condition.matches(asked));
    let terms = conditions.iter().enumerate().flat_map(|(place, (index, condition))| {
        let tried = first.is_none_or(|first| place <= first);
        verdicts(&gateway.routes[*index].name, condition, asked, tried)
    });
    let terms = terms.collect();
    let matched = first.map(|first| conditions[first].0);
    let mut shares = shares(gateway, matched);
    let route = decide(gateway, matched, &shares, asked, user);
    shares.sort_by(|(a, _), (b, _)| a.display_order(b));
    let condition = matched.map(|index| {
        let route = &gateway.routes[index];
        let expression = route.condition.as_ref().map(Condition::source).unwrap_or_default();
        Matched {
            route: route.name.clone(),
            expression: expression.to_owned(),
            strength: route.strength.percent(),
        }
    });
    let chained = gateway.routes.iter().filter_map(|route| {
        let inner = route.chained.as_ref()?;
        Some((route.name.clone(), explain_in(inner, asked, user)))
    });
    Explanation {
        gateway: Some(gateway.key.name.clone()),
        namespace: Some(gateway.key.namespace.clone()),
        virtual_host: None,
        layer: Some(gateway.layer),
        condition,
        shares: ByRoute(shares),
        route,
        terms,
        chained: ByRoute(chained.collect()),
    }
}

fn verdicts(route: &RouteName, condition: &Condition, asked: &Asked, tried: bool) -> Vec<Verdict> {
    let condition_matches = condition.matches(asked);
    let verdict = |term: crate::condition::TermVerdict| Verdict {
        route: route.clone(),
        term: term.text,
        column: term.span.column,
        length: term.span.length,
        matches: term.is_true,
        negated: term.negated,
        condition_matches,
        tried,
    };
    condition.explain(asked).into_iter().map(verdict).collect()
}

/// The share of each route: s + (1 - s)·w for the one whose condition matched, (1 - s)·w for the others.
fn shares(gateway: &ResolvedGateway, matched: Option<usize>) -> Vec<(RouteName, f64)> {
    let whole = u32::from(Weight::FULL.hundredths());
    let captured = matched
        .filter(|index| gateway.routes[*index].serves())
        .map(|index| (index, u32::from(gateway.routes[index].strength.hundredths())));
    let rest = whole - captured.map_or(0, |(_, strength)| strength);
    let share = |(index, route): (usize, &crate::resolve::ResolvedRoute)| {
        let own = captured.filter(|(route, _)| *route == index).map_or(0, |(_, strength)| strength);
        // In hundredths of a percent of hundredths of a percent: exact up to the division.
        let share = own * whole + rest * u32::from(route.lent.hundredths());
        (route.name.clone(), f64::from(share) / 1_000_000.0)
    };
    gateway.routes.iter().enumerate().map(share).collect()
}

/// The route, where nothing is left to chance: for a known user, and where one route has everything.
fn decide(
    gateway: &ResolvedGateway,
    matched: Option<usize>,
    shares: &[(RouteName, f64)],
    asked: &Asked,
    user: Option<&str>,
) -> Option<RouteName> {
    let known = gateway.sticky.as_ref().and_then(|sticky| find_user(gateway, sticky, asked, user));
    let Some(key) = known else {
        // Shares are quotients of whole numbers: everything is exactly 100.
        return shares.iter().find(|(_, share)| *share >= 100.0).map(|(name, _)| name.clone());
    };
    let captured = matched.filter(|index| {
        let route = &gateway.routes[*index];
        let condition = route.condition.as_ref().map(ToString::to_string).unwrap_or_default();
        route.serves() && sticky::captures(key, &condition, route.strength)
    });
    let index = captured.or_else(|| sticky::choose_route(key, gateway.serving()))?;
    Some(gateway.routes[index].name.clone())
}

fn find_user(
    gateway: &ResolvedGateway,
    sticky: &Sticky,
    asked: &Asked,
    user: Option<&str>,
) -> Option<UserKey> {
    let users = Users::new(&gateway.key, sticky.by.clone());
    user.map(|user| users.key(user.as_bytes())).or_else(|| users.find(asked, None))
}
