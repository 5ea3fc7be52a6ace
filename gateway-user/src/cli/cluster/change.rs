//! Weights and conditions, written to the resource.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use gateway_model::{
    condition::Condition,
    discovery::ConditionChange,
    key::{GatewayKey, RouteName},
    planner::Planner,
    weight::Weight,
};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Map, Value, json};

use super::{Cluster, MANAGER, managed, refused, settle::Settled};
use crate::{
    app::now,
    cli::{args::OutputArgs, output, table},
    control::resource::WeirGateway,
};

/// What is to be changed.
pub(in crate::cli) enum Change {
    /// Weights; whether routes that are not named make room.
    Weights(Vec<(RouteName, Weight)>, bool),
    /// A route's condition and strength; an empty condition takes it away.
    Condition(RouteName, Option<String>, Option<Weight>),
}

/// Writes a change, waits until every node has it, and shows the gateway.
///
/// # Errors
/// A change that makes no sense, or that the API server or the leader refuses.
pub(in crate::cli) async fn change(
    cluster: &Cluster,
    key: &GatewayKey,
    change: Change,
    timeout: Duration,
    format: OutputArgs,
) -> anyhow::Result<ExitCode> {
    let mut world = cluster.world(Some(&key.namespace)).await?;
    let before = world.view(&key.namespace, &key.name)?;
    let status = world.resources[key].status.as_ref();
    anyhow::ensure!(
        status.is_some_and(|status| status.observed_generation.is_some()),
        "gateway {key} has no routes yet: the leader has not seen it; see whether the controller runs"
    );
    let routes = match &change {
        Change::Weights(weights, rebalance) => {
            let in_force = all_weights(&world.planner, key)?;
            let wanted = weighed(&mut world.planner, key, weights, *rebalance)?;
            if wanted != in_force && says(&world.resources[key], &wanted) {
                // The spec says so already, of a route that lost its weight by itself: only what is new in a spec counts.
                let generation = cluster.write(key, &world.resources[key], in_force).await?;
                cluster.settle(key, generation, timeout).await?;
                world = cluster.world(Some(&key.namespace)).await?;
                anyhow::ensure!(world.resources.contains_key(key), "gateway {key} has just been deleted");
            }
            wanted
        }
        Change::Condition(route, condition, strength) => {
            let is_first = before.routes.iter().any(|of| of.name == route.0 && of.condition.is_none());
            conditioned(&mut world.planner, key, route, condition.as_deref(), *strength, is_first)?
        }
    };
    let generation = cluster.write(key, &world.resources[key], routes).await?;
    let settled = cluster.settle(key, generation, timeout).await?;
    let view = cluster.world(Some(&key.namespace)).await?.view(&key.namespace, &key.name)?;
    let value = serde_json::to_value(&view)?;
    output::show(format.output, &value, |_| Ok(table::gateways(std::slice::from_ref(&view))))?;
    Ok(report(&settled))
}

fn report(settled: &Settled) -> ExitCode {
    let Settled { programmed, lagging } = settled;
    if lagging.is_empty() {
        if *programmed == 0 {
            eprintln!("warning: no node has an agent that could have it; see `kubectl get weirnodes`");
        }
        return ExitCode::SUCCESS;
    }
    let names: Vec<&str> = lagging.iter().map(|(name, _)| name.as_str()).collect();
    eprintln!(
        "error: {} of {} nodes have not acknowledged it: {}; see `kubectl get weirnodes` and the agents' logs",
        lagging.len(),
        programmed + lagging.len(),
        names.join(", ")
    );
    ExitCode::FAILURE
}

/// The weights of all routes, so that they add up whatever the spec says of others.
fn weighed(
    planner: &mut Planner,
    key: &GatewayKey,
    weights: &[(RouteName, Weight)],
    rebalance: bool,
) -> anyhow::Result<Map<String, Value>> {
    planner.set_weights(key, weights, rebalance, now())?;
    all_weights(planner, key)
}

fn all_weights(planner: &Planner, key: &GatewayKey) -> anyhow::Result<Map<String, Value>> {
    let kept = planner.resolved().kept.gateways.get(key).context("a gateway with routes is remembered")?;
    let weight = |weight: Weight| json!({ "weight": weight.to_string() });
    Ok(kept.routes.iter().map(|(name, route)| (name.0.clone(), weight(route.weight))).collect())
}

/// Whether a spec gives routes these weights.
fn says(resource: &WeirGateway, weights: &Map<String, Value>) -> bool {
    let parsed = |text: &str| text.parse::<Weight>().ok();
    weights.iter().all(|(name, wanted)| {
        let said = resource.spec.routes.get(name).and_then(|route| route.as_ref()?.weight.as_deref());
        said.is_some_and(|said| parsed(said) == wanted["weight"].as_str().and_then(parsed))
    })
}

/// The condition and strength of a route; null takes them away.
fn conditioned(
    planner: &mut Planner,
    key: &GatewayKey,
    route: &RouteName,
    condition: Option<&str>,
    strength: Option<Weight>,
    is_first: bool,
) -> anyhow::Result<Map<String, Value>> {
    let parsed = match condition {
        None => ConditionChange::Keep,
        Some("") => ConditionChange::Set(None),
        Some(text) => ConditionChange::Set(Some(Condition::parse(text)?)),
    };
    planner.set_condition(key, route, parsed, strength, now())?;
    let mut fields = Map::new();
    match condition {
        Some("") => {
            fields.insert("condition".to_owned(), Value::Null);
            fields.insert("conditionStrength".to_owned(), Value::Null);
        }
        Some(text) => {
            fields.insert("condition".to_owned(), text.into());
            if is_first && strength.is_none() {
                fields.insert("conditionStrength".to_owned(), Weight::FULL.to_string().into());
            }
        }
        None => {}
    }
    if let Some(strength) = strength {
        fields.insert("conditionStrength".to_owned(), strength.to_string().into());
    }
    Ok(Map::from_iter([(route.0.clone(), Value::Object(fields))]))
}

impl Cluster {
    /// Applies fields of routes, beside those that were applied before; gives the generation of the spec then.
    async fn write(
        &self,
        key: &GatewayKey,
        resource: &WeirGateway,
        routes: Map<String, Value>,
    ) -> anyhow::Result<i64> {
        let api: Api<WeirGateway> = Api::namespaced(self.client.clone(), &key.namespace);
        let object = serde_json::to_value(resource)?;
        let mut spec = managed::applied(&object, resource.managed_fields(), MANAGER)["spec"].take();
        let taken = merge(&mut spec, &routes);
        let what = format!("gateway {key} cannot be written");
        let document = json!({
            "apiVersion": "weir.dev/v1", "kind": "WeirGateway",
            "metadata": { "name": key.name, "namespace": key.namespace },
            "spec": spec,
        });
        let params = PatchParams::apply(MANAGER).force();
        let mut written = api
            .patch(&key.name, &params, &Patch::Apply(&document))
            .await
            .map_err(|error| refused(error, &what))?;
        // What others have applied as well is still there.
        if has_any(&written, &taken)? {
            let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            let patch = json!({ "spec": { "routes": taken } });
            let patched = api.patch(&key.name, &params, &Patch::Merge(&patch)).await;
            written = patched.map_err(|error| refused(error, &what))?;
        }
        Ok(written.metadata.generation.unwrap_or(0))
    }
}

/// Adds fields of routes to a spec; gives those that are to be taken away.
fn merge(spec: &mut Value, routes: &Map<String, Value>) -> Map<String, Value> {
    let mut taken = Map::new();
    if !spec.is_object() {
        *spec = json!({});
    }
    for (name, fields) in routes {
        let Value::Object(fields) = fields else { continue };
        for (field, value) in fields {
            let route = &mut spec["routes"][name.as_str()];
            if !route.is_object() {
                *route = json!({});
            }
            if value.is_null() {
                route.as_object_mut().map(|route| route.remove(field));
                let of = taken.entry(name.clone()).or_insert_with(|| json!({}));
                of[field.as_str()] = Value::Null;
            } else {
                route[field.as_str()] = value.clone();
            }
        }
    }
    taken
}

/// Whether a gateway has any of these fields.
fn has_any(resource: &WeirGateway, fields: &Map<String, Value>) -> anyhow::Result<bool> {
    let routes = serde_json::to_value(&resource.spec.routes)?;
    Ok(fields.iter().any(|(route, fields)| {
        let names = fields.as_object().into_iter().flat_map(Map::keys);
        names.into_iter().any(|field| !routes[route.as_str()][field.as_str()].is_null())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_says_weights_however_they_are_spelt_and_only_where_it_says_all_of_them() {
        let resource: WeirGateway = serde_json::from_value(json!({
            "apiVersion": "weir.dev/v1", "kind": "WeirGateway", "metadata": {"name": "foo"},
            "spec": {"routes": {"(1)": {"weight": "95.0 %"}, "(2)": {"weight": "5%"}, "(3)": null}},
        }))
        .unwrap();
        let says = |weights: Value| says(&resource, weights.as_object().unwrap());
        assert!(says(json!({"(1)": {"weight": "95%"}, "(2)": {"weight": "5%"}})));
        assert!(!says(json!({"(1)": {"weight": "90%"}, "(2)": {"weight": "10%"}})));
        assert!(!says(json!({"(1)": {"weight": "95%"}, "(3)": {"weight": "0%"}})));
    }

    #[test]
    fn fields_are_added_beside_those_applied_before_and_null_takes_away() {
        let mut spec = json!({"routes": {"(1)": {"weight": "100%"}, "(2)": {"condition": "Has Header x"}}});
        let weights = json!({"(1)": {"weight": "95%"}, "(2)": {"weight": "5%"}});
        assert!(merge(&mut spec, weights.as_object().unwrap()).is_empty());
        let expected = json!({"routes": {"(1)": {"weight": "95%"}, "(2)": {"condition": "Has Header x", "weight": "5%"}}});
        assert_eq!(spec, expected);
        let cleared = json!({"(2)": {"condition": null}});
        let taken = merge(&mut spec, cleared.as_object().unwrap());
        assert_eq!(Value::Object(taken), json!({"(2)": {"condition": null}}));
        assert_eq!(spec["routes"]["(2)"], json!({"weight": "5%"}));
        let mut nothing = Value::Null;
        merge(&mut nothing, weights.as_object().unwrap());
        assert_eq!(nothing, json!({"routes": {"(1)": {"weight": "95%"}, "(2)": {"weight": "5%"}}}));
    }
}
