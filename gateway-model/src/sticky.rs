//! Who gets which version, and keeps it: users are assigned to routes by hash, without any state.
//!
//! To each user every route has a cost, which is exponentially distributed over the users and depends on
//! nothing but user and route; the route with the least cost / weight is his (weighted rendezvous hashing).
//! Whole numbers only, compared exactly: every node comes to the same route, whatever the order of the routes.
//! Unlike a ring's slots nothing is repaired afterwards, so that counts are right by chance alone, and so that
//! this holds to the letter:
//!
//! * A user leaves route A for route B only if B's weight has grown against A's: `b' / a' > b / a`. So with two
//!   routes, and with any number of routes of which all but one keep their proportions, raising a weight moves
//!   users to that route and nobody else, and lowering it moves users from that route and nobody else.
//! * The same weights give every user the same route, whatever edits lie between. A route that cannot serve is
//!   left out: only its users go elsewhere, and they come back to it.
//! * A route of weight 0 has no users.
//!
//! Where others do *not* keep their proportions, users change between them as well, as few as that needs. So it
//! is when three or more routes are rebalanced in hundredths of a percent: rounding shifts each of the others by
//! less than 0.01 % of all users, and at most that part of the users, for each of them, changes between the
//! others at one edit. No function of the weights alone is free of that: if moving weight from one route to
//! another never touched a third one, the users of each route would depend on its own weight only, and those of
//! three routes with 50 % each could not be different people in pairs. Who wants it to the letter gives
//! proportions that are not rounded: [`rising`] and [`choose_by_parts`].

mod claim;
mod cookie;
mod cost;
mod user;

use std::{cmp::Ordering, net::SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use cookie::{Cookie, ID_LENGTH, KEY_LENGTH, KeyTooShort, Keys};
pub use user::{UserKey, Users};

use crate::{hash, weight::Weight};

/// What a user keeps, and by what he is known again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sticky {
    /// What he keeps.
    pub keep: Keep,
    /// By what he is known again.
    #[serde(default)]
    pub by: By,
}

/// What a user keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// His route.
    Route,
    /// His route, and his endpoint of it.
    Instance,
}

/// By what a user is known again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A signed cookie with a random id.
    #[default]
    Cookie,
    /// The client's address.
    Client,
    /// The value of a header, the first line of it.
    Header(String),
    /// A claim of the bearer token, a text or a number. The token is not verified: whoever forges one only
    /// chooses whose route he gets.
    Claim(String),
}

/// Tells apart what one user key is used for.
const ROUTES: u64 = 1;
const ENDPOINTS: u64 = 2;
const CAPTURES: u64 = 3;

/// The route of a user, as an index into `routes`; `None` if no weight is above 0.
///
/// Weights are the routes' own, not what they are lent by others: give a route that cannot serve as one of
/// weight 0 (or leave it out), and only its users go elsewhere. Does not allocate.
pub fn choose_route<'a>(user: UserKey, routes: impl IntoIterator<Item = (&'a str, Weight)>) -> Option<usize> {
    choose_by_parts(user, routes.into_iter().map(|(name, weight)| (name, u64::from(weight.hundredths()))))
}

/// As [`choose_route`], by parts of any whole: only their proportions matter.
pub fn choose_by_parts<'a>(user: UserKey, routes: impl IntoIterator<Item = (&'a str, u64)>) -> Option<usize> {
    let seed = hash::mix(user.0, ROUTES);
    let offers = routes.into_iter().enumerate().filter(|(_, (_, parts))| *parts > 0);
    let offers = offers.map(|(index, (name, parts))| {
        let cost = cost::exponential(hash::bytes(seed, name.as_bytes()));
        Offer { index, name, parts, cost }
    });
    offers.min_by(Offer::compare).map(|offer| offer.index)
}

/// What a user would pay for a route.
struct Offer<'a> {
    index: usize,
    name: &'a str,
    parts: u64,
    cost: u64,
}

impl Offer<'_> {
    /// By cost / parts: exactly, so that equal proportions compare alike whatever the whole is.
    fn compare(&self, other: &Self) -> Ordering {
        let ours = u128::from(self.cost) * u128::from(other.parts);
        let theirs = u128::from(other.cost) * u128::from(self.parts);
        ours.cmp(&theirs).then_with(|| self.name.cmp(other.name))
    }
}

/// Parts by which the route of index `riser` has `share` of everything, and the others have the rest in exactly
/// the proportions of their weights in `base`. From the same base, users only ever move to a route as it rises.
/// If the others have no weight, the riser has everything.
pub fn rising(base: &[Weight], riser: usize, share: Weight) -> Vec<u64> {
    let whole = u64::from(Weight::FULL.hundredths());
    let (share, parts) = (u64::from(share.hundredths()), |weight: &Weight| u64::from(weight.hundredths()));
    let others: u64 = base.iter().enumerate().filter(|(at, _)| *at != riser).map(|(_, one)| parts(one)).sum();
    let part = |(at, weight): (usize, &Weight)| match (at == riser, others) {
        (true, 0) => share,
        (true, _) => share * others,
        (false, _) => (whole - share) * parts(weight),
    };
    base.iter().enumerate().map(part).collect()
}

/// The endpoint of a user, as an index into `endpoints`; `None` if there are none. When one is gone only its
/// users go elsewhere, and they come back to it. Does not allocate.
pub fn choose_endpoint(user: UserKey, endpoints: &[SocketAddr]) -> Option<usize> {
    hash::rendezvous(hash::mix(user.0, ENDPOINTS), endpoints)
}

/// Whether a condition of that text (its normal form) and strength captures a user's matching requests. Raising
/// the strength adds users and lets go of none; lowering it adds none.
pub fn captures(user: UserKey, condition: &str, strength: Weight) -> bool {
    let hash = hash::bytes(hash::mix(user.0, CAPTURES), condition.as_bytes());
    // A product with 10,000, shifted down: from 0 to 9,999.
    let place = (u128::from(hash) * u128::from(Weight::FULL.hundredths())) >> 64;
    place < u128::from(strength.hundredths())
}

#[cfg(test)]
mod tests;
