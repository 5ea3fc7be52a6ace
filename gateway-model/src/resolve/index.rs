//! Workloads by the labels that selectors insist on, so that many gateways do not each look at all of them.

use std::collections::{HashMap, HashSet};

use crate::{selector::Selector, workload::Workload};

/// All workloads of a snapshot, in the order of their identities.
pub(super) struct Workloads<'a> {
    by_namespace: HashMap<&'a str, Vec<&'a Workload>>,
    /// By namespace, label and value, for the labels that some selector insists on.
    by_label: HashMap<(&'a str, &'a str, &'a str), Vec<&'a Workload>>,
}

impl<'a> Workloads<'a> {
    /// Sorts `workloads` for `selectors`.
    pub(super) fn new(workloads: &'a [Workload], selectors: impl Iterator<Item = &'a Selector>) -> Self {
        let labels: HashSet<&str> =
            selectors.flat_map(Selector::required_labels).map(|(name, _)| name).collect();
        let mut sorted: Vec<&Workload> = workloads.iter().collect();
        sorted.sort_by_cached_key(|workload| workload.identity());
        let mut all = Self { by_namespace: HashMap::new(), by_label: HashMap::new() };
        for workload in sorted {
            all.by_namespace.entry(&workload.namespace).or_default().push(workload);
            for (name, value) in workload.labels.iter().filter(|(name, _)| labels.contains(name.as_str())) {
                let key = (workload.namespace.as_str(), name.as_str(), value.as_str());
                all.by_label.entry(key).or_default().push(workload);
            }
        }
        all
    }

    /// A superset of the workloads of a namespace that a selector matches, as small as its labels make it.
    pub(super) fn candidates<'s>(&'s self, namespace: &'s str, selector: &'s Selector) -> &'s [&'a Workload] {
        let all = self.by_namespace.get(namespace).map(Vec::as_slice).unwrap_or_default();
        let narrowed = selector.required_labels().into_iter().map(|(name, value)| {
            self.by_label.get(&(namespace, name, value)).map(Vec::as_slice).unwrap_or_default()
        });
        narrowed.min_by_key(|workloads| workloads.len()).unwrap_or(all)
    }
}
