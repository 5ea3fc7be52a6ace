//! The life of routes: which exist, and the weight of each.
//!
//! Nothing in here turns a weight of 0 into more by itself: only the file, or someone at run time, does.
//!
//! A route that the file lists cannot leave while it is listed: when its time is over it has nothing, and should a
//! workload of it come back, it is as new as any other. One that never had a workload waits for its first.

use std::collections::BTreeMap;

use super::remember::is_over;
use crate::{
    discovery::{KeptRoute, Origin},
    gateway::Route,
    key::RouteName,
    weight::{self, Weight},
};

/// What is known of the routes of one gateway.
pub(super) struct Life<'a> {
    /// Declared routes.
    pub listed: &'a [Route],
    /// Routes that exist because workloads do, with the age of the oldest.
    pub found: BTreeMap<RouteName, u64>,
    /// Seconds since 1970.
    pub now: u64,
    /// For how long a route without workload keeps its settings.
    pub ttl: u64,
}

impl Life<'_> {
    /// Brings the recorded routes of a gateway up to date; tells what happened by itself. Weights add up to
    /// 100 % or to 0 afterwards.
    pub(super) fn settle(&self, routes: &mut BTreeMap<RouteName, KeptRoute>) -> Vec<String> {
        let mut notes = Vec::new();
        let gone = self.bury(routes, &mut notes);
        if routes.is_empty() {
            self.begin(routes);
            self.note_found(routes);
            return notes;
        }
        let news = self.read_file(routes, &mut notes);
        for name in self.found.keys().filter(|name| self.listing(name).is_none()) {
            routes.entry((*name).clone()).or_insert_with(|| {
                notes.push(format!("route {name} is new and has 0%"));
                self.fresh(Weight::ZERO, Origin::Discovery)
            });
        }
        if gone && !news {
            self.fill_up(routes);
        }
        self.note_found(routes);
        notes
    }

    /// Whether a route has been without workload for so long that it has no weight, though the file lists it.
    pub(super) fn is_over(&self, route: &KeptRoute) -> bool {
        // What was found bad stays so, whatever the file goes on saying.
        !route.rolled_back && route.gone_since.is_some_and(|since| is_over(since, self.ttl, self.now))
    }

    fn listing(&self, name: &RouteName) -> Option<&Route> {
        self.listed.iter().find(|route| route.name == *name)
    }

    fn fresh(&self, weight: Weight, origin: Origin) -> KeptRoute {
        KeptRoute { weight, origin, since: self.now, ..KeptRoute::default() }
    }

    /// The first routes of a gateway: what the file lists; else the oldest one that is found gets everything.
    fn begin(&self, routes: &mut BTreeMap<RouteName, KeptRoute>) {
        let given: Vec<Option<Weight>> = self.listed.iter().map(|route| route.weight).collect();
        // A gateway whose weights do not add up has a finding, and does not get here.
        let weights = weight::fill(&given).unwrap_or_else(|_| vec![Weight::ZERO; given.len()]);
        for (route, weight) in self.listed.iter().zip(weights) {
            let entry = KeptRoute { declared: route.weight, ..self.fresh(weight, Origin::File) };
            routes.insert(route.name.clone(), entry);
        }
        let first = self
            .found
            .iter()
            .min_by(|(a, made_a), (b, made_b)| made_a.cmp(made_b).then_with(|| a.display_order(b)));
        let first = first.map(|(name, _)| name.clone()).filter(|_| self.listed.is_empty());
        for name in self.found.keys() {
            let weight = if first.as_ref() == Some(name) { Weight::FULL } else { Weight::ZERO };
            routes.entry(name.clone()).or_insert_with(|| self.fresh(weight, Origin::Discovery));
        }
    }

    /// Removes what is over, or takes its weight where it is listed; tells whether something with a weight was.
    fn bury(&self, routes: &mut BTreeMap<RouteName, KeptRoute>, notes: &mut Vec<String>) -> bool {
        let mut gone = false;
        routes.retain(|name, route| {
            let is_listed = self.listing(name).is_some();
            if self.found.contains_key(name) {
                if is_listed && self.is_over(route) {
                    notes.push(format!("route {name} is back and has {}", route.weight));
                }
                route.gone_since = None;
                return true;
            }
            // Who never had a workload (those that lead elsewhere have none at any time) has lost none.
            if is_listed && !(route.ran && name.is_group()) {
                route.gone_since = None;
                return true;
            }
            let since = *route.gone_since.get_or_insert(self.now);
            // Only what a selector finds may come back by itself; what a file listed is gone with its listing.
            let over = if is_listed {
                self.is_over(route)
            } else {
                !name.is_group() || is_over(since, self.ttl, self.now)
            };
            if over && !(is_listed && route.weight.is_zero()) {
                gone |= !route.weight.is_zero();
                notes.push(format!("route {name} is gone; it had {}", route.weight));
                // From here on only something new that the file says of it counts.
                (route.weight, route.origin, route.since) = (Weight::ZERO, Origin::Discovery, self.now);
            }
            is_listed || !over
        });
        gone
    }

    /// Notes which of them have a workload.
    fn note_found(&self, routes: &mut BTreeMap<RouteName, KeptRoute>) {
        for name in self.found.keys() {
            if let Some(route) = routes.get_mut(name) {
                route.ran = true;
            }
        }
    }

    /// Where the file says something new about weights, it wins. Tells whether it did.
    fn read_file(&self, routes: &mut BTreeMap<RouteName, KeptRoute>, notes: &mut Vec<String>) -> bool {
        let declared = |name: &RouteName| self.listing(name).and_then(|route| route.weight);
        let changed = self.listed.iter().any(|route| !routes.contains_key(&route.name))
            || routes.iter().any(|(name, route)| route.declared != declared(name));
        if !changed {
            return false;
        }
        for route in self.listed {
            routes.entry(route.name.clone()).or_insert_with(|| self.fresh(Weight::ZERO, Origin::File));
        }
        let names: Vec<RouteName> = routes.keys().cloned().collect();
        let roles: Vec<Role> = routes.iter().map(|(name, route)| self.role(name, route)).collect();
        let weights = shares(&roles).unwrap_or_else(|| {
            // What was given at run time leaves no room for what the file says: the file alone decides.
            let strict = routes.iter().zip(&roles).map(|((name, route), role)| match declared(name) {
                Some(weight) if !route.rolled_back && !self.is_silent(name, route) => Role::Given(weight),
                Some(_) | None => *role,
            });
            let strict: Vec<Role> = strict.collect();
            // What the file leaves to a route that was rolled back goes to the others.
            shares(&strict).unwrap_or_else(|| {
                weight::scale(Weight::FULL, &strict.into_iter().map(Role::weight).collect::<Vec<_>>())
            })
        });
        for ((name, weight), role) in names.into_iter().zip(weights).zip(roles) {
            let said = declared(&name);
            let route = routes.get_mut(&name).expect("names are those of the routes");
            let from_file = matches!(role, Role::Given(_) | Role::Rest) || said == Some(weight);
            if route.origin == Origin::Cli && from_file && route.weight != weight {
                let old = route.weight;
                notes.push(format!(
                    "route {name}: the file now says {weight}, which replaces {old} given at run time"
                ));
            }
            if route.weight != weight {
                (route.weight, route.since) = (weight, self.now);
            }
            if route.declared != said && self.listing(&name).is_some() {
                // Its time begins anew with what the file now says of it.
                route.gone_since = route.gone_since.map(|_| self.now);
            }
            if from_file {
                route.origin = Origin::File;
                route.rolled_back &= weight.is_zero();
            }
            route.declared = said;
        }
        true
    }

    /// How a route takes part when the file has something new to say.
    fn role(&self, name: &RouteName, route: &KeptRoute) -> Role {
        match self.listing(name).map(|route| route.weight) {
            Some(Some(weight)) if route.declared != Some(weight) => Role::Given(weight),
            _ if route.rolled_back || self.is_silent(name, route) => Role::Keeps(Weight::ZERO),
            Some(Some(weight)) if route.origin == Origin::File => Role::Given(weight),
            Some(None) if route.origin == Origin::File => Role::Rest,
            Some(_) | None => Role::Keeps(route.weight),
        }
    }

    /// Whether the file says nothing new of a route whose time is over.
    fn is_silent(&self, name: &RouteName, route: &KeptRoute) -> bool {
        self.is_over(route) && self.listing(name).is_some_and(|listed| listed.weight == route.declared)
    }

    /// Scales what is left to exactly 100 %.
    fn fill_up(&self, routes: &mut BTreeMap<RouteName, KeptRoute>) {
        let old: Vec<Weight> = routes.values().map(|route| route.weight).collect();
        for (route, weight) in routes.values_mut().zip(weight::scale(Weight::FULL, &old)) {
            if route.weight != weight {
                (route.weight, route.since) = (weight, self.now);
            }
        }
    }
}

/// How a route takes part when weights are settled anew.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// The file says how much.
    Given(Weight),
    /// The file leaves it a part of the rest.
    Rest,
    /// It has what it has, as far as there is room.
    Keeps(Weight),
}

impl Role {
    fn weight(self) -> Weight {
        match self {
            Self::Given(weight) | Self::Keeps(weight) => weight,
            Self::Rest => Weight::ZERO,
        }
    }
}

/// Weights by role, 100 % or 0 in all; `None` where that cannot be.
fn shares(roles: &[Role]) -> Option<Vec<Weight>> {
    let of = |pick: fn(&Role) -> Option<Weight>| -> Vec<Weight> {
        roles.iter().map(|role| pick(role).unwrap_or_default()).collect()
    };
    let given = of(|role| if let Role::Given(weight) = role { Some(*weight) } else { None });
    let kept = of(|role| if let Role::Keeps(weight) = role { Some(*weight) } else { None });
    let left = u16::try_from(10_000_u32.checked_sub(weight::sum(given.iter().copied()))?).ok()?;
    let left = Weight::from_hundredths(left)?;
    let takers: Vec<u64> = roles.iter().map(|role| u64::from(*role == Role::Rest)).collect();
    let has_takers = takers.contains(&1);
    let kept_sum = weight::sum(kept.iter().copied());
    let fits = kept_sum <= u32::from(left.hundredths());
    // Nobody with a weight: only conditions route.
    let nothing = weight::sum(given.iter().copied()) + kept_sum == 0;
    let kept = if (fits && has_takers) || nothing { kept } else { weight::scale(left, &kept) };
    let rest = u32::from(left.hundredths()).checked_sub(weight::sum(kept.iter().copied()))?;
    let rest = weight::apportion(Weight::from_hundredths(u16::try_from(rest).ok()?)?, &takers);
    let all = given.iter().zip(&kept).zip(&rest);
    let all: Vec<Weight> = all.map(|((given, kept), rest)| (*given).max(*kept).max(*rest)).collect();
    matches!(weight::sum(all.iter().copied()), 0 | 10_000).then_some(all)
}
