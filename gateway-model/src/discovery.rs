//! What is remembered between snapshots: routes with their weights, what was changed at run time, ports given
//! out, and when workloads were first seen. The agent stores it; everything here is plain data.

mod change;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use change::{ChangeError, ConditionChange};

use crate::{condition::Condition, key::GatewayKey, key::RouteName, weight::Weight};

/// Everything remembered. Equal where nothing is to be stored anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// By gateway.
    pub gateways: BTreeMap<GatewayKey, KeptGateway>,
    /// When workloads were seen, by [`Workload::identity`](crate::workload::Workload::identity).
    pub workloads: BTreeMap<String, Seen>,
}

/// What is remembered of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptGateway {
    /// Since when it is declared, seconds since 1970: the oldest one has the first claim on hosts and ports.
    pub since: u64,
    /// Since when it is declared no more.
    pub gone_since: Option<u64>,
    /// The port that it answers on.
    pub port: Option<u16>,
    /// Its routes.
    pub routes: BTreeMap<RouteName, KeptRoute>,
}

/// What is remembered of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptRoute {
    /// Its own weight; over all routes of a gateway they add up to 100 % or to 0.
    pub weight: Weight,
    /// Who said so.
    pub origin: Origin,
    /// Since when, seconds since 1970.
    pub since: u64,
    /// The weight in the file when `weight` was recorded: as long as it stays, the file has nothing new to say.
    pub declared: Option<Weight>,
    /// Whether a workload of it has existed.
    pub ran: bool,
    /// Since when none exists any more.
    pub gone_since: Option<u64>,
    /// It was found bad: it gets no weight but from a person or a new release.
    pub rolled_back: bool,
    /// A condition given (or taken away) at run time. Few have one, and it is large.
    pub condition: Option<Box<Override<Option<Condition>>>>,
    /// A strength given at run time; `None` in it: the default.
    pub strength: Option<Override<Option<Weight>>>,
}

/// A value given at run time. It holds until the file says something else than it did then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Override<T> {
    /// The value.
    pub value: T,
    /// What the file said when it was given.
    pub base: T,
    /// When it was given, seconds since 1970.
    pub since: u64,
}

/// Who said that a value is what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The artifact.
    File,
    /// Someone at run time.
    Cli,
    /// The rules for routes that are found, and defaults.
    #[default]
    Discovery,
}

/// When a workload was seen, seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// For the first time.
    pub first: u64,
    /// For the last time; `None`: it exists.
    pub gone_since: Option<u64>,
}
