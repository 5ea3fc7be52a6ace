//! What a watch has told, and what is new of it. A list that comes anew replaces what was known, but not by nothing: an
//! API server that just came back may say that there is nothing where there was something.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use kube::{
    Api, Resource, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;

use crate::causes;

/// Namespace (empty where there are none) and name.
pub type Key = (String, String);

/// How long an empty list is doubted where there were objects before.
const DOUBT: Duration = Duration::from_secs(30);

/// What a watch tells; `None` where the object is of no interest.
#[derive(Clone, Debug)]
pub enum Seen<T> {
    /// A list begins.
    Restart,
    /// An object is there as it is.
    Applied(Key, Option<T>),
    /// An object is gone.
    Deleted(Key),
    /// The list is whole.
    Done,
}

/// What a watch has told.
#[derive(Debug)]
pub struct Table<T> {
    items: HashMap<Key, T>,
    /// What a list has shown so far.
    listed: Option<HashSet<Key>>,
    is_known: bool,
    doubted: Option<Instant>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { items: HashMap::new(), listed: None, is_known: false, doubted: None }
    }
}

/// An object that is not as it was: what it was, and what it is.
#[derive(Debug, PartialEq, Eq)]
pub struct News<T> {
    /// Which.
    pub key: Key,
    /// As it was.
    pub old: Option<T>,
}

impl<T: Clone + PartialEq> Table<T> {
    /// Takes over what a watch tells; what is not as it was comes back.
    pub fn handle(&mut self, seen: Seen<T>, now: Instant) -> Vec<News<T>> {
        match seen {
            Seen::Restart => {
                self.listed = Some(HashSet::new());
                Vec::new()
            }
            Seen::Applied(key, value) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(key.clone());
                }
                self.set(key, value).into_iter().collect()
            }
            Seen::Deleted(key) => self.set(key, None).into_iter().collect(),
            Seen::Done => self.finish_list(now),
        }
    }

    /// Sets one object; tells where that is news.
    pub fn set(&mut self, key: Key, value: Option<T>) -> Option<News<T>> {
        if value.is_some() {
            self.doubted = None;
        }
        if self.items.get(&key) == value.as_ref() {
            return None;
        }
        let old = match value {
            Some(value) => self.items.insert(key.clone(), value),
            None => self.items.remove(&key),
        };
        Some(News { key, old })
    }

    fn finish_list(&mut self, now: Instant) -> Vec<News<T>> {
        let listed = self.listed.take().unwrap_or_default();
        self.is_known = true;
        if listed.is_empty() && !self.items.is_empty() && self.doubted.is_none() {
            self.doubted = Some(now);
            return Vec::new();
        }
        self.keep_only(&listed)
    }

    /// Believes an empty list that has been doubted for long.
    pub fn tick(&mut self, now: Instant) -> Vec<News<T>> {
        if self.doubted.is_some_and(|since| now.duration_since(since) >= DOUBT) {
            return self.keep_only(&HashSet::new());
        }
        Vec::new()
    }

    fn keep_only(&mut self, listed: &HashSet<Key>) -> Vec<News<T>> {
        self.doubted = None;
        let gone: Vec<Key> = self.items.keys().filter(|key| !listed.contains(*key)).cloned().collect();
        gone.into_iter().filter_map(|key| self.set(key, None)).collect()
    }

    /// Whether a whole list has come.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether a list was empty though there were objects before.
    pub fn is_doubtful(&self) -> bool {
        self.doubted.is_some()
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&T> {
        self.items.get(key)
    }

    /// All objects.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &T)> {
        self.items.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Watches objects for ever: errors are logged, and the watch goes on after a pause that grows.
pub fn follow<K, T>(
    api: Api<K>,
    config: watcher::Config,
    translate: impl Fn(K) -> Option<T>,
) -> impl Stream<Item = Seen<T>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    K::DynamicType: Default,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    watcher(api, config)
        .default_backoff()
        .inspect_err(move |error| {
            tracing::warn!(kind, error = causes::text_of_std(error), "watching failed; it is tried again");
        })
        .filter_map(|event| std::future::ready(event.ok()))
        .map(move |event| match event {
            watcher::Event::Init => Seen::Restart,
            watcher::Event::InitDone => Seen::Done,
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                let key = key(&object);
                Seen::Applied(key, translate(object))
            }
            watcher::Event::Delete(object) => Seen::Deleted(key(&object)),
        })
}

/// Namespace and name of an object.
pub fn key<K: Resource>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Key {
        (String::new(), name.to_owned())
    }

    fn list(table: &mut Table<u32>, names: &[(&str, u32)], now: Instant) -> usize {
        let mut news = table.handle(Seen::Restart, now).len();
        for (name, value) in names {
            news += table.handle(Seen::Applied(named(name), Some(*value)), now).len();
        }
        news + table.handle(Seen::Done, now).len()
    }

    #[test]
    fn a_list_replaces_what_was_known() {
        let (mut table, now) = (Table::default(), Instant::now());
        assert!(!table.is_known());
        assert_eq!(list(&mut table, &[("a", 1), ("b", 2)], now), 2);
        assert_eq!(list(&mut table, &[("a", 1), ("c", 3)], now), 2, "b is gone, c is new");
        assert_eq!(list(&mut table, &[("a", 1), ("c", 3)], now), 0);
        assert!(table.get(&named("b")).is_none() && table.is_known());
    }

    #[test]
    fn an_empty_list_is_doubted_until_it_comes_again_or_for_a_while() {
        let (mut table, now) = (Table::default(), Instant::now());
        list(&mut table, &[("a", 1)], now);
        assert_eq!(list(&mut table, &[], now), 0);
        assert!(table.is_doubtful() && table.len() == 1);
        assert_eq!(list(&mut table, &[], now), 1, "it was said twice");
        list(&mut table, &[("a", 1)], now);
        list(&mut table, &[], now);
        assert_eq!(table.tick(now + DOUBT / 2).len(), 0);
        assert_eq!(table.tick(now + DOUBT).len(), 1);
        list(&mut table, &[("a", 1)], now);
        list(&mut table, &[], now);
        table.handle(Seen::Applied(named("b"), Some(2)), now);
        assert!(!table.is_doubtful(), "the server knows objects again");
    }

    #[test]
    fn an_object_of_no_interest_is_as_good_as_gone() {
        let (mut table, now) = (Table::default(), Instant::now());
        list(&mut table, &[("a", 1)], now);
        let news = table.handle(Seen::Applied(named("a"), None), now);
        assert_eq!(news, [News { key: named("a"), old: Some(1) }]);
        assert!(table.handle(Seen::Deleted(named("a")), now).is_empty());
    }
}
