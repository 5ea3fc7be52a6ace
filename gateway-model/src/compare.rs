//! What a change does to those who use a gateway: shares before and after, slots, and who moves.
//!
//! Connections that the kernel places move with their slots, which are counted; sticky users move with their hash,
//! which is asked for a fixed sample of users; of requests without either, as many move as shares differ.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Serialize, Serializer};

use crate::{
    hash,
    key::{GatewayKey, RouteName},
    plan::{
        Plan,
        l4::{L4Gateway, Ring, Target},
    },
    resolve::{Layer, Resolved, ResolvedGateway, ResolvedRoute},
    sticky::{self, UserKey},
    weight::Weight,
};

/// How many users are asked: shares of them are right within 0.5 points, nearly always within 0.3.
const USERS: u32 = 100_000;

/// One moment: what is resolved, and the plan that was made of it.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// What is declared, resolved.
    pub resolved: &'a Resolved,
    /// What is to be in force.
    pub plan: &'a Plan,
}

/// A gateway before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub gateway: String,
    /// What becomes of it.
    pub change: Change,
    /// Who chooses afterwards (before, where it is gone).
    pub layer: Layer,
    /// Its port.
    pub port: u16,
    /// Routes of before and after, in the order of versions.
    pub routes: Vec<RouteComparison>,
    /// What is counted in `moves`.
    pub unit: Unit,
    /// Who goes elsewhere; empty for a gateway that is new or gone.
    pub moves: Vec<Move>,
}

/// What becomes of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Something of it differs.
    Changed,
    /// Nothing does.
    Unchanged,
}

/// A route before and after; `None` where it is not there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteComparison {
    /// Its name.
    pub name: RouteName,
    /// Own weight before, in percent.
    #[serde(serialize_with = "percent")]
    pub weight_before: Option<Weight>,
    /// Own weight afterwards.
    #[serde(serialize_with = "percent")]
    pub weight: Option<Weight>,
    /// Weight in force before: routes without a ready endpoint lend theirs.
    #[serde(serialize_with = "percent")]
    pub in_force_before: Option<Weight>,
    /// Weight in force afterwards.
    #[serde(serialize_with = "percent")]
    pub in_force: Option<Weight>,
    /// Its condition before, as written, with its strength.
    pub condition_before: Option<String>,
    /// Its condition afterwards.
    pub condition: Option<String>,
    /// Its slots of the ring afterwards, where the kernel chooses.
    pub slots: Option<u32>,
    /// The slots of the whole ring.
    pub ring: Option<u32>,
    /// Its ready endpoints afterwards.
    pub ready: usize,
}

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// New connections, by their slots.
    Connections,
    /// Users, by their hash.
    Users,
    /// Requests: each is picked by itself.
    Requests,
}

/// A share that goes elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Move {
    /// From this route; `None`: from none, it was refused.
    pub from: Option<RouteName>,
    /// To this one; `None`: it is refused.
    pub to: Option<RouteName>,
    /// In percent of all.
    pub percent: f64,
}

/// Compares all gateways of two moments, in the order of their names.
pub fn compare(before: Moment<'_>, after: Moment<'_>) -> Vec<Comparison> {
    let of = |moment: Moment<'_>| -> BTreeMap<GatewayKey, Side> {
        let sides = moment.resolved.gateways.iter().filter_map(|gateway| {
            let planned = moment.plan.l4.gateways.get(&gateway.key)?;
            Some((gateway.key.clone(), (Arc::clone(gateway), Arc::clone(planned))))
        });
        sides.collect()
    };
    let (old, new) = (of(before), of(after));
    let mut keys: Vec<&GatewayKey> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().filter_map(|key| compare_gateway(key, old.get(key), new.get(key))).collect()
}

type Side = (Arc<ResolvedGateway>, Arc<L4Gateway>);

fn compare_gateway(key: &GatewayKey, before: Option<&Side>, after: Option<&Side>) -> Option<Comparison> {
    let (shown, _) = after.or(before)?;
    let change = match (before, after) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        (Some(before), Some(after)) if before == after => Change::Unchanged,
        (Some(_), Some(_)) => Change::Changed,
    };
    let both = before.zip(after);
    let unit = unit(shown);
    Some(Comparison {
        namespace: key.namespace.clone(),
        gateway: key.name.clone(),
        change,
        layer: shown.layer,
        port: shown.port,
        routes: compare_routes(before, after),
        unit,
        moves: both.map(|(before, after)| moves(unit, before, after)).unwrap_or_default(),
    })
}

fn unit(gateway: &ResolvedGateway) -> Unit {
    match (gateway.layer, &gateway.sticky) {
        (_, Some(_)) => Unit::Users,
        (Layer::Kernel, None) if gateway.hosts.is_empty() => Unit::Connections,
        (Layer::Kernel | Layer::Request, None) => Unit::Requests,
    }
}

fn compare_routes(before: Option<&Side>, after: Option<&Side>) -> Vec<RouteComparison> {
    let of = |side: Option<&Side>| side.map(|(gateway, _)| gateway.routes.clone()).unwrap_or_default();
    let (old, new) = (of(before), of(after));
    let mut names: Vec<&RouteName> = old.iter().chain(&new).map(|route| &route.name).collect();
    names.sort_by(|a, b| a.display_order(b));
    names.dedup();
    let ring = after.filter(|(_, planned)| planned.target == Target::Ring).map(|(_, planned)| ring(planned));
    let shares = ring.map(Ring::shares).unwrap_or_default();
    let compare = |name: &RouteName| {
        let find = |routes: &[ResolvedRoute]| routes.iter().find(|route| route.name == *name).cloned();
        let (old, new) = (find(&old), find(&new));
        RouteComparison {
            name: name.clone(),
            weight_before: old.as_ref().map(|route| route.weight),
            weight: new.as_ref().map(|route| route.weight),
            in_force_before: old.as_ref().map(|route| route.lent),
            in_force: new.as_ref().map(|route| route.lent),
            condition_before: old.as_ref().and_then(condition),
            condition: new.as_ref().and_then(condition),
            slots: ring.map(|_| shares.get(name).copied().unwrap_or(0)),
            ring: ring.map(|ring| ring.slots.len() as u32),
            ready: new.map_or(0, |route| route.endpoints.iter().filter(|endpoint| endpoint.ready).count()),
        }
    };
    names.into_iter().map(compare).collect()
}

/// `User-Agent is Firefox (50%)`.
fn condition(route: &ResolvedRoute) -> Option<String> {
    route.condition.as_ref().map(|condition| format!("{} ({})", condition.source(), route.strength))
}

/// The ring of the family that has endpoints, IPv4 where both have.
fn ring(gateway: &L4Gateway) -> &Ring {
    if gateway.ring4.members.is_empty() { &gateway.ring6 } else { &gateway.ring4 }
}

fn moves(unit: Unit, before: &Side, after: &Side) -> Vec<Move> {
    match unit {
        Unit::Connections if before.1.target == Target::Ring && after.1.target == Target::Ring => {
            moved_slots(ring(&before.1), ring(&after.1))
        }
        Unit::Users => moved_users(&before.0, &after.0),
        Unit::Connections | Unit::Requests => moved_requests(&before.0, &after.0),
    }
}

fn moved_slots(old: &Ring, new: &Ring) -> Vec<Move> {
    // A connection's slot is its hash, cut to the ring's length: rings of two sizes are compared at the larger.
    let count = old.slots.len().max(new.slots.len());
    let route =
        |ring: &Ring, slot: usize| ring.endpoint(slot % ring.slots.len()).map(|(name, _)| name.clone());
    tally(count as u32, (0..count).map(|slot| (route(old, slot), route(new, slot))))
}

fn moved_users(old: &ResolvedGateway, new: &ResolvedGateway) -> Vec<Move> {
    let route = |gateway: &ResolvedGateway, user: UserKey| {
        let index = sticky::choose_route(user, gateway.serving())?;
        gateway.routes.get(index).map(|route| route.name.clone())
    };
    let users = (0..USERS).map(|number| UserKey(hash::finish(u64::from(number))));
    tally(USERS, users.map(|user| (route(old, user), route(new, user))))
}

/// Counts those of `all` whose route differs.
fn tally(all: u32, pairs: impl Iterator<Item = (Option<RouteName>, Option<RouteName>)>) -> Vec<Move> {
    let all = f64::from(all);
    let mut counts: BTreeMap<(Option<RouteName>, Option<RouteName>), u32> = BTreeMap::new();
    for pair in pairs.filter(|(from, to)| from != to) {
        *counts.entry(pair).or_default() += 1;
    }
    let share = |((from, to), count)| Move { from, to, percent: f64::from(count) / all * 100.0 };
    counts.into_iter().map(share).collect()
}

/// What routes have less goes to those that have more, in the order of their names.
fn moved_requests(old: &ResolvedGateway, new: &ResolvedGateway) -> Vec<Move> {
    let mut balance: BTreeMap<&RouteName, i32> = BTreeMap::new();
    for (gateway, sign) in [(old, -1), (new, 1)] {
        for route in &gateway.routes {
            *balance.entry(&route.name).or_default() += sign * i32::from(route.lent.hundredths());
        }
    }
    let surplus: i32 = balance.values().sum();
    let side = |sign: i32| {
        let of = balance.iter().map(|(name, share)| (Some((*name).clone()), sign * share));
        // Where nobody can serve, all of it is refused.
        let nobody = (None, (sign * -surplus).max(0));
        of.chain([nobody]).filter(|(_, share)| *share > 0).collect::<Vec<_>>()
    };
    let (mut givers, mut takers) = (side(-1), side(1));
    let mut moves = Vec::new();
    while let (Some((from, given)), Some((to, taken))) = (givers.first_mut(), takers.first_mut()) {
        let share = (*given).min(*taken);
        moves.push(Move { from: from.clone(), to: to.clone(), percent: f64::from(share) / 100.0 });
        (*given, *taken) = (*given - share, *taken - share);
        givers.retain(|(_, share)| *share > 0);
        takers.retain(|(_, share)| *share > 0);
    }
    moves
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "what serde hands over")]
fn percent<S: Serializer>(weight: &Option<Weight>, serializer: S) -> Result<S::Ok, S::Error> {
    weight.map(Weight::percent).serialize(serializer)
}
