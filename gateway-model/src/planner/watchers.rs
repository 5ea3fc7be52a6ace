//! Which gateways a workload may matter to.

use std::collections::HashMap;

use crate::{gateway::Gateway, resolve::endpoints, selector::Selector, workload::Workload};

/// Selectors of all gateways, each in one place: under one of the labels that it insists on, or under its
/// gateway's namespace.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    namespaces: HashMap<String, Namespace>,
}

#[derive(Debug, Default)]
struct Namespace {
    unlabelled: Vec<Watcher>,
    by_label: HashMap<String, HashMap<String, Vec<Watcher>>>,
}

/// A selector, by the places of its gateway and, where it is a route's own, of that route.
#[derive(Clone, Copy, Debug)]
struct Watcher {
    gateway: usize,
    route: Option<usize>,
}

impl Watcher {
    fn selector(self, gateways: &[Gateway]) -> Option<&Selector> {
        let gateway = gateways.get(self.gateway)?;
        match self.route {
            Some(route) => gateway.routes.get(route)?.selector.as_ref(),
            None => gateway.selector.as_ref(),
        }
    }
}

impl Watchers {
    /// Of all gateways.
    pub(super) fn new(gateways: &[Gateway]) -> Self {
        let mut watchers = Self::default();
        for (index, gateway) in gateways.iter().enumerate() {
            watchers.add(index, gateway);
        }
        watchers
    }

    /// The gateway at this place, of the same name, is another one now.
    pub(super) fn replace(&mut self, index: usize, old: &Gateway, new: &Gateway) {
        if let Some(namespace) = self.namespaces.get_mut(&old.key.namespace) {
            old.selectors().for_each(|selector| namespace.remove(index, selector));
        }
        self.add(index, new);
    }

    fn add(&mut self, index: usize, gateway: &Gateway) {
        let namespace = self.namespaces.entry(gateway.key.namespace.clone()).or_default();
        let own = gateway.selector.as_ref().map(|selector| (None, selector));
        let routes = gateway.routes.iter().enumerate();
        let routes = routes.filter_map(|(at, route)| Some((Some(at), route.selector.as_ref()?)));
        for (route, selector) in own.into_iter().chain(routes) {
            namespace.add(Watcher { gateway: index, route }, selector);
        }
    }

    /// Calls `touch` with each gateway whose selectors find a workload, or complain of it; not with those that
    /// `is_known` says are touched already.
    pub(super) fn touched_by(
        &self,
        workload: &Workload,
        gateways: &[Gateway],
        is_known: impl Fn(&Gateway) -> bool,
        mut touch: impl FnMut(&Gateway),
    ) {
        let Some(namespace) = self.namespaces.get(&workload.namespace) else { return };
        let labelled = workload
            .labels
            .iter()
            .filter_map(|(label, value)| namespace.by_label.get(label)?.get(value))
            .flatten();
        for watcher in namespace.unlabelled.iter().chain(labelled) {
            let gateway = &gateways[watcher.gateway];
            let Some(selector) = watcher.selector(gateways) else { continue };
            if !is_known(gateway) && endpoints::concerns(selector, workload, gateway.kind()) {
                touch(gateway);
            }
        }
    }
}

impl Namespace {
    /// Under the label that fewest others are under: what many have in common tells little.
    fn add(&mut self, watcher: Watcher, selector: &Selector) {
        let labels = selector.required_labels().into_iter();
        let crowd = |(label, value): &(&str, &str)| {
            self.by_label.get(*label).and_then(|values| values.get(*value)).map_or(0, Vec::len)
        };
        match labels.min_by_key(crowd) {
            Some((label, value)) => {
                let values = self.by_label.entry(label.to_owned()).or_default();
                values.entry(value.to_owned()).or_default().push(watcher);
            }
            None => self.unlabelled.push(watcher),
        }
    }

    /// Takes out all watchers of a gateway that are where one with this selector may be.
    fn remove(&mut self, gateway: usize, selector: &Selector) {
        let is_other = |watcher: &Watcher| watcher.gateway != gateway;
        let labels = selector.required_labels();
        if labels.is_empty() {
            self.unlabelled.retain(is_other);
        }
        for (label, value) in labels {
            let Some(values) = self.by_label.get_mut(label) else { continue };
            let Some(watchers) = values.get_mut(value) else { continue };
            watchers.retain(is_other);
            if watchers.is_empty() {
                values.remove(value);
            }
        }
    }
}
