//! The objects of one kind, as the API server tells of them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::facts::{Fact, Key};

/// What a watch tells.
#[derive(Clone, Debug)]
pub enum Event<T> {
    /// All objects are listed from here on.
    Begin,
    /// One of those listed.
    Listed(T),
    /// All were listed: others are gone.
    End,
    /// It came, or changed.
    Applied(T),
    /// It is gone; the number is the version in which it went, 0 where that is not known.
    Deleted(Key, u64),
}

/// The objects of one kind.
#[derive(Debug)]
pub(in crate::control) struct Store<T> {
    items: HashMap<Key, Arc<T>>,
    /// Those that came since a list began.
    listing: Option<HashSet<Key>>,
    /// Whether a list has ended.
    is_known: bool,
    /// A list was empty though there were objects: an API server that has just begun says so as well.
    is_doubtful: bool,
}

/// An object as it is from now on, or that it is gone.
pub(in crate::control) type Fresh<T> = (Key, Option<T>);

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { items: HashMap::new(), listing: None, is_known: false, is_doubtful: false }
    }
}

impl<T> Store<T> {
    /// Takes note of an event; gives the objects to be set because of it.
    pub(in crate::control) fn note<F: Fact>(&mut self, event: Event<F>) -> Vec<Fresh<F>> {
        match event {
            Event::Begin => {
                (self.listing, self.is_doubtful) = (Some(HashSet::new()), false);
                Vec::new()
            }
            Event::Listed(object) | Event::Applied(object) => {
                let key = object.key();
                if let Some(listing) = &mut self.listing {
                    listing.insert(key.clone());
                }
                vec![(key, Some(object))]
            }
            Event::End => {
                self.is_known = true;
                let is_empty = self.listing.as_ref().is_some_and(HashSet::is_empty);
                if is_empty && !self.items.is_empty() {
                    self.is_doubtful = true;
                    return Vec::new();
                }
                self.sweep()
            }
            Event::Deleted(key, _) => vec![(key, None)],
        }
    }

    /// Those that no list names any more.
    fn sweep<F>(&mut self) -> Vec<Fresh<F>> {
        let Some(listing) = self.listing.take() else { return Vec::new() };
        self.is_doubtful = false;
        self.items.keys().filter(|key| !listing.contains(*key)).map(|key| (key.clone(), None)).collect()
    }

    /// What a list that was empty leaves out, once that is not doubted any more.
    pub(in crate::control) fn believe<F>(&mut self) -> Vec<Fresh<F>> {
        if self.is_doubtful { self.sweep() } else { Vec::new() }
    }

    /// Whether an empty list is not believed yet.
    pub(in crate::control) fn is_doubtful(&self) -> bool {
        self.is_doubtful
    }

    /// Whether all objects are known.
    pub(in crate::control) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Sets one; gives what it was.
    pub(in crate::control) fn set(&mut self, key: &Key, object: Option<Arc<T>>) -> Option<Arc<T>> {
        match object {
            Some(object) => self.items.insert(key.clone(), object),
            None => self.items.remove(key),
        }
    }

    /// How many there are.
    pub(in crate::control) fn len(&self) -> usize {
        self.items.len()
    }

    /// All, with their names.
    pub(in crate::control) fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<T>)> {
        self.items.iter()
    }

    /// One.
    pub(in crate::control) fn get(&self, key: &Key) -> Option<&Arc<T>> {
        self.items.get(key)
    }

    /// All.
    pub(in crate::control) fn values(&self) -> impl Iterator<Item = &Arc<T>> {
        self.items.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::agent::facts::NodeFacts;

    fn node(name: &str) -> NodeFacts {
        NodeFacts { name: name.to_owned(), ..NodeFacts::default() }
    }

    fn feed(store: &mut Store<NodeFacts>, events: Vec<Event<NodeFacts>>) -> Vec<(String, bool)> {
        let mut told = Vec::new();
        for event in events {
            for (key, object) in store.note(event) {
                told.push((key.1.clone(), object.is_some()));
                store.set(&key, object.map(Arc::new));
            }
        }
        told
    }

    #[test]
    fn what_a_list_does_not_name_is_gone_with_its_end() {
        let mut store = Store::default();
        feed(&mut store, vec![Event::Begin, Event::Listed(node("a")), Event::Listed(node("b")), Event::End]);
        assert!(store.is_known());
        let told = feed(&mut store, vec![Event::Begin, Event::Listed(node("b"))]);
        assert_eq!(told, [("b".to_owned(), true)], "nothing is gone before the list has ended");
        assert_eq!(feed(&mut store, vec![Event::End]), [("a".to_owned(), false)]);
    }

    #[test]
    fn an_empty_list_is_believed_only_when_asked_to() {
        let mut store = Store::default();
        feed(&mut store, vec![Event::Begin, Event::Listed(node("a")), Event::End]);
        assert_eq!(feed(&mut store, vec![Event::Begin, Event::End]), []);
        assert!(store.is_doubtful());
        assert_eq!(feed(&mut store, vec![Event::Applied(node("b"))]), [("b".to_owned(), true)]);
        let gone: Vec<_> =
            store.believe::<NodeFacts>().into_iter().map(|(key, object)| (key.1, object)).collect();
        assert_eq!(gone, [("a".to_owned(), None)]);
        assert!(store.believe::<NodeFacts>().is_empty());
    }

    #[test]
    fn a_list_that_fails_halfway_takes_nothing_away() {
        let mut store = Store::default();
        feed(&mut store, vec![Event::Begin, Event::Listed(node("a")), Event::Listed(node("b")), Event::End]);
        feed(
            &mut store,
            vec![Event::Begin, Event::Listed(node("a")), Event::Begin, Event::Listed(node("b"))],
        );
        assert_eq!(store.values().count(), 2);
        assert_eq!(feed(&mut store, vec![Event::End]), [("a".to_owned(), false)]);
    }
}
