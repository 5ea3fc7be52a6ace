//! Changes at run time.

use std::sync::Arc;

use thiserror::Error;

use super::{Kept, KeptGateway, KeptRoute, Origin, Override};
use crate::{
    condition::Condition,
    gateway::{self, Level, PortType},
    key::{GatewayKey, RouteName},
    resolve::{Resolved, ResolvedGateway},
    weight::{self, ShareError, Weight},
};

/// Why a change is refused. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// No such gateway.
    #[error("there is no gateway `{gateway}`; there are: {known}")]
    UnknownGateway {
        /// The one named.
        gateway: GatewayKey,
        /// Those that exist.
        known: String,
    },
    /// No such route.
    #[error("gateway `{gateway}` has no route `{route}`; it has: {known}")]
    UnknownRoute {
        /// The gateway.
        gateway: GatewayKey,
        /// The one named.
        route: RouteName,
        /// Those that exist.
        known: String,
    },
    /// A route named twice.
    #[error("route `{0}` is named twice")]
    RepeatedRoute(RouteName),
    /// Weights that do not add up.
    #[error(
        "{error}; the others have: {others}; give theirs as well, or let them make room with --rebalance"
    )]
    Shares {
        /// What is wrong with the sum.
        error: ShareError,
        /// Routes that were not named, and their weights.
        others: String,
    },
    /// A condition where there are no requests.
    #[error("gateway `{gateway}` has a {kind} port, which has no requests to ask")]
    NotHttp {
        /// The gateway.
        gateway: GatewayKey,
        /// What it speaks.
        kind: PortType,
    },
    /// A condition where requests are not to be looked at.
    #[error(
        "gateway `{0}` has `level: kernel` and never looks at a request; write `level: auto` in its artifact"
    )]
    KernelOnly(GatewayKey),
    /// A strength for no condition.
    #[error("route `{0}` has no condition that could have a strength; give one as well")]
    NoCondition(RouteName),
}

/// What is to become of a route's condition.
#[derive(Clone, Debug, PartialEq)]
pub enum ConditionChange {
    /// It stays.
    Keep,
    /// This one, or none.
    Set(Option<Condition>),
}

impl Kept {
    /// Sets weights of a gateway's routes; `rebalance`: those not named make room in proportion. `resolved` is
    /// what is in force with this `Kept`; `now` in seconds since 1970.
    pub fn set_weights(
        &mut self,
        resolved: &Resolved,
        gateway: &GatewayKey,
        changes: &[(RouteName, Weight)],
        rebalance: bool,
        now: u64,
    ) -> Result<(), ChangeError> {
        let declared = find_gateway(resolved, gateway)?;
        let mut given = vec![None; declared.routes.len()];
        for (name, weight) in changes {
            let index = find_route(declared, name)?;
            if given[index].replace(*weight).is_some() {
                return Err(ChangeError::RepeatedRoute(name.clone()));
            }
        }
        let current: Vec<Weight> = declared.routes.iter().map(|route| route.weight).collect();
        let weights = weight::set(&current, &given, rebalance).map_err(|error| {
            let others = declared.routes.iter().zip(&given).filter(|(_, given)| given.is_none());
            let others: Vec<String> =
                others.map(|(route, _)| format!("{}={}", route.name, route.weight)).collect();
            let others = if others.is_empty() { "(none)".to_owned() } else { others.join(" ") };
            ChangeError::Shares { error, others }
        })?;
        let kept = self.gateway(declared);
        for ((route, weight), given) in declared.routes.iter().zip(weights).zip(given) {
            let entry = kept.routes.entry(route.name.clone()).or_default();
            entry.give(weight, given.is_some() || weight != entry.weight, now);
            entry.declared = route.declared.as_ref().and_then(|declared| declared.weight);
            entry.rolled_back &= given.is_none() || weight.is_zero();
            if given.is_some() && route.declared.is_some() {
                // Its time begins anew with what is now said of it.
                entry.gone_since = entry.gone_since.map(|_| now);
            }
        }
        Ok(())
    }

    /// Takes a route to 0 % and marks it, so that only a person or a new release gives it weight again; the
    /// others that have a weight take over what it had, in proportion. If none has any, all are at 0.
    pub fn roll_back(
        &mut self,
        resolved: &Resolved,
        gateway: &GatewayKey,
        route: &RouteName,
        now: u64,
    ) -> Result<(), ChangeError> {
        let declared = find_gateway(resolved, gateway)?;
        let bad = find_route(declared, route)?;
        let mut weights: Vec<Weight> = declared.routes.iter().map(|route| route.weight).collect();
        weights[bad] = Weight::ZERO;
        let kept = self.gateway(declared);
        for (index, (route, weight)) in
            declared.routes.iter().zip(weight::scale(Weight::FULL, &weights)).enumerate()
        {
            let entry = kept.routes.entry(route.name.clone()).or_default();
            entry.give(weight, weight != entry.weight, now);
            entry.declared = route.declared.as_ref().and_then(|declared| declared.weight);
            entry.rolled_back |= index == bad;
        }
        Ok(())
    }

    /// Sets a route's condition, its strength, or both.
    pub fn set_condition(
        &mut self,
        resolved: &Resolved,
        gateway: &GatewayKey,
        route: &RouteName,
        condition: ConditionChange,
        strength: Option<Weight>,
        now: u64,
    ) -> Result<(), ChangeError> {
        let declared = find_gateway(resolved, gateway)?;
        let route = &declared.routes[find_route(declared, route)?];
        let wanted = match &condition {
            ConditionChange::Keep => route.condition.is_some(),
            ConditionChange::Set(condition) => condition.is_some(),
        };
        if wanted && !can_ask(declared.kind, &condition) {
            return Err(ChangeError::NotHttp { gateway: gateway.clone(), kind: declared.kind });
        }
        if wanted && declared.level == Level::Kernel {
            return Err(ChangeError::KernelOnly(gateway.clone()));
        }
        if !wanted && strength.is_some() {
            return Err(ChangeError::NoCondition(route.name.clone()));
        }
        let file = route.declared.as_ref();
        let entry = self.gateway(declared).routes.entry(route.name.clone()).or_default();
        if let ConditionChange::Set(value) = condition {
            let base = file.and_then(|file| file.condition.clone());
            entry.condition = Some(Box::new(Override { value, base, since: now }));
        }
        if let Some(value) = strength {
            let base = file.and_then(|file| file.condition_strength);
            entry.strength = Some(Override { value: Some(value), base, since: now });
        }
        Ok(())
    }

    fn gateway(&mut self, gateway: &ResolvedGateway) -> &mut KeptGateway {
        self.gateways.entry(gateway.key.clone()).or_default()
    }
}

impl KeptRoute {
    /// Notes a weight given at run time, where it is one.
    fn give(&mut self, weight: Weight, is_given: bool, now: u64) {
        if is_given {
            (self.weight, self.origin, self.since) = (weight, Origin::Cli, now);
        }
    }
}

/// Whether a condition can be asked on such a port; one that is kept is there because it can.
fn can_ask(kind: PortType, condition: &ConditionChange) -> bool {
    match (kind, condition) {
        (PortType::Http | PortType::Https, _) | (PortType::Tls, ConditionChange::Keep) => true,
        (PortType::Tls, ConditionChange::Set(condition)) => {
            condition.as_ref().is_none_or(gateway::asks_for_connection_only)
        }
        (PortType::Tcp | PortType::Udp, _) => false,
    }
}

fn find_gateway<'a>(resolved: &'a Resolved, key: &GatewayKey) -> Result<&'a ResolvedGateway, ChangeError> {
    resolved.gateways.iter().map(Arc::as_ref).find(|gateway| gateway.key == *key).ok_or_else(|| {
        let known = resolved.gateways.iter().map(|gateway| gateway.key.to_string());
        ChangeError::UnknownGateway { gateway: key.clone(), known: list(known) }
    })
}

fn find_route(gateway: &ResolvedGateway, name: &RouteName) -> Result<usize, ChangeError> {
    gateway.routes.iter().position(|route| route.name == *name).ok_or_else(|| {
        let known = gateway.routes.iter().map(|route| route.name.to_string());
        ChangeError::UnknownRoute { gateway: gateway.key.clone(), route: name.clone(), known: list(known) }
    })
}

fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
