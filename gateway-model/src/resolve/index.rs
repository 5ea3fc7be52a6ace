//! Workloads by the labels that selectors insist on, so that many gateways do not each look at all of them.

use std::collections::{HashMap, HashSet};

use crate::{selector::Selector, workload::Workload};

/// Numbers of workloads, by namespace and label.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Labels that some selector insists on.
    labels: HashSet<String>,
    namespaces: HashMap<String, Namespace>,
}

#[derive(Debug, Default)]
struct Namespace {
    /// In ascending order.
    all: Vec<u32>,
    /// By label and value, for `labels` only; in ascending order.
    by_label: HashMap<String, HashMap<String, Vec<u32>>>,
}

impl Index {
    /// Takes note of the labels that these selectors insist on. Tells whether there are new ones: what was
    /// inserted before has to be inserted into an emptied index again.
    pub(crate) fn learn<'a>(&mut self, selectors: impl Iterator<Item = &'a Selector>) -> bool {
        let before = self.labels.len();
        for (label, _) in selectors.flat_map(Selector::required_labels) {
            if !self.labels.contains(label) {
                self.labels.insert(label.to_owned());
            }
        }
        self.labels.len() > before
    }

    /// Takes all workloads out.
    pub(crate) fn empty(&mut self) {
        self.namespaces.clear();
    }

    /// Adds a workload. Cheapest with a number above all others.
    pub(crate) fn insert(&mut self, number: u32, workload: &Workload) {
        let namespace = entry(&mut self.namespaces, &workload.namespace);
        insert(&mut namespace.all, number);
        for (label, value) in workload.labels.iter().filter(|(label, _)| self.labels.contains(*label)) {
            insert(entry(entry(&mut namespace.by_label, label), value), number);
        }
    }

    /// Takes out a workload that is as it was when it was inserted.
    pub(crate) fn remove(&mut self, number: u32, workload: &Workload) {
        let Some(namespace) = self.namespaces.get_mut(&workload.namespace) else { return };
        remove(&mut namespace.all, number);
        for (label, value) in workload.labels.iter() {
            let Some(values) = namespace.by_label.get_mut(label) else { continue };
            let Some(numbers) = values.get_mut(value) else { continue };
            remove(numbers, number);
            if numbers.is_empty() {
                values.remove(value);
            }
        }
        if namespace.all.is_empty() {
            self.namespaces.remove(&workload.namespace);
        }
    }

    /// A superset of the workloads of a namespace that a selector matches, as small as its labels make it.
    pub(crate) fn candidates(&self, namespace: &str, selector: &Selector) -> &[u32] {
        let Some(namespace) = self.namespaces.get(namespace) else { return &[] };
        let narrowed = selector.required_labels().into_iter().map(|(label, value)| {
            let values = namespace.by_label.get(label);
            values.and_then(|values| values.get(value)).map(Vec::as_slice).unwrap_or_default()
        });
        narrowed.min_by_key(|numbers| numbers.len()).unwrap_or(&namespace.all)
    }
}

/// The value of a key, made where it is missing; only then is the key copied.
fn entry<'a, T: Default>(map: &'a mut HashMap<String, T>, key: &str) -> &'a mut T {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), T::default());
    }
    map.get_mut(key).expect("it is there, or was made")
}

fn insert(numbers: &mut Vec<u32>, number: u32) {
    if numbers.last().is_none_or(|last| *last < number) {
        numbers.push(number);
    } else if let Err(at) = numbers.binary_search(&number) {
        numbers.insert(at, number);
    }
}

fn remove(numbers: &mut Vec<u32>, number: u32) {
    if let Ok(at) = numbers.binary_search(&number) {
        numbers.remove(at);
    }
}
