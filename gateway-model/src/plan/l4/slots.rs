//! What the slots of a ring refer to.

use std::sync::Arc;

/// Per slot a number, or [`Slots::NOBODY`]. Cheap to clone, and of one byte a slot where no number takes more: most rings
/// have few members, and an agent has thousands of rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots(Words);

// By the numbers alone one or the other, so equal slots are equal words.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Words {
    Narrow(Arc<[u8]>),
    Wide(Arc<[u16]>),
}

impl Slots {
    /// What a slot says that refers to nobody.
    pub const NOBODY: u16 = u16::MAX;

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Words::Narrow(words) => words.len(),
            Words::Wide(words) => words.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a slot says; `None` where there is no such slot.
    pub fn get(&self, slot: usize) -> Option<u16> {
        match &self.0 {
            Words::Narrow(words) => words.get(slot).copied().map(widen),
            Words::Wide(words) => words.get(slot).copied(),
        }
    }

    /// What each says.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        let (narrow, wide): (&[u8], &[u16]) = match &self.0 {
            Words::Narrow(words) => (words, &[]),
            Words::Wide(words) => (&[], words),
        };
        narrow.iter().copied().map(widen).chain(wide.iter().copied())
    }

    /// Whether both are the same memory.
    #[cfg(test)]
    pub(crate) fn is_shared_with(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Words::Narrow(one), Words::Narrow(two)) => Arc::ptr_eq(one, two),
            (Words::Wide(one), Words::Wide(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

fn widen(narrow: u8) -> u16 {
    if narrow == u8::MAX { Slots::NOBODY } else { narrow.into() }
}

impl From<Vec<u16>> for Slots {
    fn from(words: Vec<u16>) -> Self {
        let is_narrow = |word: &u16| *word < u16::from(u8::MAX) || *word == Self::NOBODY;
        Self(if words.iter().all(is_narrow) {
            // The lower half of `NOBODY` is what says so in a byte.
            Words::Narrow(words.iter().map(|word| *word as u8).collect())
        } else {
            Words::Wide(words.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back_whatever_its_width() {
        for words in [
            vec![],
            vec![0, 254, Slots::NOBODY],
            vec![0, 255, Slots::NOBODY],
            vec![256, 65_534, 0, Slots::NOBODY],
        ] {
            let slots = Slots::from(words.clone());
            assert_eq!(slots.iter().collect::<Vec<_>>(), words);
            assert_eq!((0..=words.len()).map_while(|slot| slots.get(slot)).collect::<Vec<_>>(), words);
            assert_eq!((slots.len(), slots.is_empty()), (words.len(), words.is_empty()));
        }
        let width = |words: Vec<u16>| matches!(Slots::from(words).0, Words::Narrow(_));
        assert!(width(vec![254, Slots::NOBODY]) && !width(vec![255]));
    }

    #[test]
    fn a_clone_is_the_same_memory_and_an_equal_one_is_not() {
        for word in [1, 1_000] {
            let slots = Slots::from(vec![word]);
            let equal = Slots::from(vec![word]);
            assert!(slots.clone().is_shared_with(&slots) && slots == equal && !equal.is_shared_with(&slots));
        }
    }
}
