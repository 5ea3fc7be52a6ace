//! What the proxy is to do: which gateway a request belongs to, and which of its routes takes it.

mod table;

use std::{net::SocketAddr, sync::Arc};

pub use self::table::{Entry, RouteTable};
use crate::{
    condition::Condition,
    gateway::Balance,
    hash,
    key::{GatewayKey, RouteName},
    matching::Request,
    pick::{Cycle, Picker},
    weight::{self, Weight},
};

/// A gateway as the proxy needs it.
#[derive(Debug, PartialEq, Eq)]
pub struct L7Gateway {
    /// Its name.
    pub key: GatewayKey,
    /// Its routes, in the order of their names; weights are those in force (lending applied) and add up to
    /// 100 % or to 0.
    pub routes: Vec<L7Route>,
    /// Conditions in the order in which they are tried.
    pub conditions: Vec<L7Condition>,
    /// Weights of the routes that can be picked, in hundredths, parallel to `routes`; the sum is 10,000 or 0.
    shares: Vec<u32>,
    /// In which order they are picked.
    cycle: Cycle,
    /// Differs where picks are made differently.
    revision: u64,
    /// Whether it has a ready endpoint behind a route that it would ever send somebody to.
    serves: bool,
}

/// A route as the proxy needs it.
#[derive(Debug, PartialEq, Eq)]
pub struct L7Route {
    /// Its name.
    pub name: RouteName,
    /// The weight in force.
    pub weight: Weight,
    /// How one of its endpoints is chosen.
    pub balance: Balance,
    /// Ready endpoints; none for a chained route.
    pub endpoints: Arc<[SocketAddr]>,
    /// The gateway that decides further about what this route takes.
    pub chained: Option<Arc<L7Gateway>>,
}

/// A condition that captures requests for a route.
#[derive(Debug, PartialEq, Eq)]
pub struct L7Condition {
    /// Index into [`L7Gateway::routes`].
    pub route: usize,
    /// Share of the matching requests that it captures; the others take the weighted pick over all routes.
    pub strength: Weight,
    /// Which requests match.
    pub condition: Condition,
}

impl L7Gateway {
    /// From its parts. Weights of routes without endpoints are lent to the others.
    pub fn new(key: GatewayKey, routes: Vec<L7Route>, conditions: Vec<L7Condition>) -> Self {
        let weights: Vec<Weight> = routes.iter().map(|route| route.weight).collect();
        let serves: Vec<bool> = routes.iter().map(L7Route::serves).collect();
        let shares: Vec<u32> =
            weight::lend(&weights, &serves).into_iter().map(|share| u32::from(share.hundredths())).collect();
        let mut revision = hash::bytes(0, key.to_string().as_bytes());
        for (route, share) in routes.iter().zip(&shares) {
            revision = hash::mix(hash::bytes(revision, route.name.0.as_bytes()), u64::from(*share));
        }
        for condition in &conditions {
            revision = hash::bytes(revision, condition.condition.to_string().as_bytes());
            revision = hash::mix(revision, condition.route as u64);
        }
        let captures = |one: &L7Condition| !one.strength.is_zero() && serves[one.route];
        let serves = shares.iter().any(|share| *share > 0) || conditions.iter().any(captures);
        Self { key, routes, conditions, shares, cycle: Cycle::default(), revision, serves }
    }

    /// The route that takes a request, as an index into `routes`; `None`: no route can. Where that route is
    /// chained, the gateway that it leads to decides in turn, with a picker of its own.
    ///
    /// The first condition that matches takes it with the probability that its strength says; otherwise, and
    /// where none matches, it is a weighted pick over all routes. Allocates only when the gateway has changed
    /// since the picker was last used.
    pub fn decide(&self, request: &(impl Request + ?Sized), picker: &mut Picker) -> Option<usize> {
        self.decide_matched(self.find_condition(request), picker)
    }

    /// The first condition that matches, as an index into `conditions`.
    pub fn find_condition(&self, request: &(impl Request + ?Sized)) -> Option<usize> {
        self.conditions.iter().position(|one| one.condition.matches(request))
    }

    /// The second half of [`Self::decide`]: the route for a request that `matched` this condition.
    pub fn decide_matched(&self, matched: Option<usize>, picker: &mut Picker) -> Option<usize> {
        picker.follow(self);
        if let Some(index) = matched {
            let condition = &self.conditions[index];
            if self.routes[condition.route].serves() && picker.captures(index, condition.strength) {
                return Some(condition.route);
            }
        }
        picker.pick(matched, self.picks())
    }

    /// One round of the weighted picks, as indices into `routes`; none if no route can be picked.
    pub(crate) fn picks(&self) -> &[u16] {
        self.cycle.picks(&self.shares)
    }

    /// Whether a route could be decided on, now that requests come.
    pub fn serves(&self) -> bool {
        self.serves
    }

    /// Shares of the weighted pick in hundredths of a percent, parallel to `routes`: 10,000 in all, or 0.
    pub fn shares(&self) -> &[u32] {
        &self.shares
    }

    /// Differs where picks are made differently: another weight, another condition, a route that can or cannot
    /// be picked any more.
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

impl L7Route {
    /// Whether it can be given a request: it has a ready endpoint, or leads to a gateway that has.
    pub fn serves(&self) -> bool {
        match &self.chained {
            Some(gateway) => gateway.serves,
            None => !self.endpoints.is_empty(),
        }
    }
}
