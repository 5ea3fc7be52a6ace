//! Changes at run time: applied whole, or not at all.

use gateway_model::{
    condition::Condition,
    discovery::{ChangeError, ConditionChange},
    key::{GatewayKey, RouteName},
    planner::Planner,
    weight::Weight,
};

use super::{
    super::{declared::Declared, desired::now},
    Control,
};
use crate::{
    admin::{
        Refusal,
        question::GatewayName,
        views::{GatewayView, SetCondition, SetWeights},
    },
    causes,
};

impl Control {
    /// Sets weights of a gateway's routes.
    pub(in crate::app) fn set_weights(
        &mut self,
        gateway: GatewayName,
        change: SetWeights,
    ) -> Result<GatewayView, Refusal> {
        let key = GatewayKey::new(gateway.namespace, gateway.name);
        let weights: Vec<(RouteName, Weight)> = change
            .weights
            .into_iter()
            .map(|(route, weight)| Ok((RouteName(route), parse_weight(&weight)?)))
            .collect::<Result<_, Refusal>>()?;
        let shown =
            weights.iter().map(|(route, weight)| format!("{route}={weight}")).collect::<Vec<_>>().join(" ");
        let set = |planner: &mut Planner| planner.set_weights(&key, &weights, change.rebalance, now());
        self.change(&key, set).inspect(|_| tracing::info!(gateway = %key, weights = shown, "weights set"))
    }

    /// Sets a route's condition, its strength, or both.
    pub(in crate::app) fn set_condition(
        &mut self,
        gateway: GatewayName,
        change: SetCondition,
    ) -> Result<GatewayView, Refusal> {
        let key = GatewayKey::new(gateway.namespace, gateway.name);
        let route = RouteName(change.route);
        let condition = match change.condition.as_deref() {
            None => ConditionChange::Keep,
            Some("") => ConditionChange::Set(None),
            Some(text) => {
                let parsed = Condition::parse(text);
                ConditionChange::Set(Some(parsed.map_err(|error| Refusal::Invalid(error.to_string()))?))
            }
        };
        let strength = change.strength.as_deref().map(parse_weight).transpose()?;
        let strength = strength.or_else(|| self.first_strength(&key, &route, &condition));
        let set = |planner: &mut Planner| planner.set_condition(&key, &route, condition, strength, now());
        self.change(&key, set).inspect(|view| {
            let now = view.routes.iter().find(|of| of.name == route.0).and_then(|of| of.condition.as_ref());
            let condition = now.map_or("none", |condition| &condition.value);
            tracing::info!(gateway = %key, %route, condition, "condition set");
        })
    }

    /// A condition given alone captures everything that matches, where its route had none before.
    fn first_strength(
        &self,
        key: &GatewayKey,
        route: &RouteName,
        change: &ConditionChange,
    ) -> Option<Weight> {
        let gateway = self.desired.resolved().gateways.iter().find(|gateway| gateway.key == *key)?;
        let route = gateway.routes.iter().find(|of| of.name == *route)?;
        let is_first = route.condition.is_none() && matches!(change, ConditionChange::Set(Some(_)));
        is_first.then_some(Weight::FULL)
    }

    fn change(
        &mut self,
        key: &GatewayKey,
        set: impl FnOnce(&mut Planner) -> Result<(), ChangeError>,
    ) -> Result<GatewayView, Refusal> {
        if matches!(self.desired.declared, Declared::Cluster(_)) {
            let advice = "weights and conditions are the cluster's: say them to the API server, as `weir` does without --admin";
            return Err(Refusal::Invalid(advice.to_owned()));
        }
        let before = self.desired.kept_routes(key);
        set(&mut self.desired.planner).map_err(refuse)?;
        if self.phase.kernel().is_none() {
            self.desired.planner.restore(key, before);
            return Err(Refusal::Yielding);
        }
        if let Err(error) = self.try_change() {
            self.desired.planner.restore(key, before);
            let undone = self.try_refresh();
            self.note(undone);
            return Err(Refusal::Failed(format!("{}; nothing was changed", causes::text_of(&error))));
        }
        self.note(Ok(()));
        self.tell();
        let view = self
            .gateways()
            .into_iter()
            .find(|view| (&view.namespace, &view.name) == (&key.namespace, &key.name));
        view.ok_or_else(|| Refusal::Failed(format!("gateway {key} went away with the change")))
    }
}

fn parse_weight(text: &str) -> Result<Weight, Refusal> {
    text.parse().map_err(|error: gateway_model::weight::WeightError| Refusal::Invalid(error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn refuse(error: ChangeError) -> Refusal {
    let text = error.to_string();
    match error {
        ChangeError::UnknownGateway { .. } | ChangeError::UnknownRoute { .. } => Refusal::NotFound(text),
        ChangeError::RepeatedRoute(_)
        | ChangeError::Shares { .. }
        | ChangeError::NotHttp { .. }
        | ChangeError::KernelOnly(_)
        | ChangeError::NoCondition(_) => Refusal::Invalid(text),
    }
}
