//! The workloads that exist, by identity, by label and by address.

use std::{collections::HashMap, net::IpAddr};

use crate::{resolve::index::Index, selector::Selector, workload::Workload};

/// Workloads by number; numbers of those that are gone are given out again.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// By number; empty ones where nobody has the number.
    all: Vec<Workload>,
    free: Vec<u32>,
    numbers: HashMap<String, u32>,
    addresses: HashMap<IpAddr, Vec<u32>>,
    index: Index,
}

impl Store {
    /// By number, for `index`.
    pub(super) fn all(&self) -> &[Workload] {
        &self.all
    }

    /// Where to look for those of a selector.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Prepares for looking for what these selectors find.
    pub(super) fn learn<'a>(&mut self, selectors: impl Iterator<Item = &'a Selector>) {
        if self.index.learn(selectors) {
            self.index.empty();
            let mut numbers: Vec<u32> = self.numbers.values().copied().collect();
            numbers.sort_unstable();
            for number in numbers {
                self.index.insert(number, &self.all[number as usize]);
            }
        }
    }

    /// The workload of an identity.
    pub(super) fn get(&self, identity: &str) -> Option<&Workload> {
        self.numbers.get(identity).map(|number| &self.all[*number as usize])
    }

    /// The identities of all.
    pub(super) fn identities(&self) -> impl Iterator<Item = &String> {
        self.numbers.keys()
    }

    /// Those that have an address.
    pub(super) fn at(&self, address: IpAddr) -> impl Iterator<Item = &Workload> {
        let numbers = self.addresses.get(&address).into_iter().flatten();
        numbers.map(|number| &self.all[*number as usize])
    }

    /// Adds a workload that is not there.
    pub(super) fn insert(&mut self, identity: String, workload: Workload) {
        let number = self.free.pop().unwrap_or(self.all.len() as u32);
        self.index.insert(number, &workload);
        for address in &workload.addresses {
            let numbers = self.addresses.entry(*address).or_insert_with(|| Vec::with_capacity(1));
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        self.numbers.insert(identity, number);
        match self.all.get_mut(number as usize) {
            Some(place) => *place = workload,
            None => self.push(workload),
        }
    }

    /// Doubling the room would leave up to half of it empty for good.
    fn push(&mut self, workload: Workload) {
        if self.all.len() == self.all.capacity() {
            self.all.reserve_exact(self.all.len() / 8 + 64);
        }
        self.all.push(workload);
    }

    /// Takes a workload out.
    pub(super) fn remove(&mut self, identity: &str) -> Option<Workload> {
        let number = self.numbers.remove(identity)?;
        let workload = std::mem::take(&mut self.all[number as usize]);
        self.free.push(number);
        self.index.remove(number, &workload);
        for address in &workload.addresses {
            if let Some(numbers) = self.addresses.get_mut(address) {
                numbers.retain(|known| *known != number);
                if numbers.is_empty() {
                    self.addresses.remove(address);
                }
            }
        }
        Some(workload)
    }
}
