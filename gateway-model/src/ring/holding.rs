//! Who owns which slots.

use super::race::Race;

/// Who owns what.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    /// The slots that are given out, in ascending order. What follows calls them by their index in here.
    pub(super) slots: Vec<u32>,
    /// The owner of each.
    pub(super) owners: Vec<u32>,
    /// What each owner owns, in no order.
    pub(super) owned: Vec<Vec<u32>>,
    /// What each costs its owner.
    pub(super) costs: Vec<i64>,
    /// Where in its owner's list each slot is.
    places: Vec<u32>,
}

impl Holding {
    /// From the owner of each slot.
    pub(super) fn new(race: &Race, slots: Vec<u32>, owners: Vec<u32>) -> Self {
        let cost = |(slot, owner): (&u32, &u32)| {
            race.cost(*owner as usize, *slot, race.rank(*owner as usize, *slot))
        };
        let costs = slots.iter().zip(&owners).map(cost).collect();
        Self::with_costs(slots, owners, costs, race.len())
    }

    /// From the owner of each slot, and what it costs him.
    pub(super) fn with_costs(slots: Vec<u32>, owners: Vec<u32>, costs: Vec<i64>, contenders: usize) -> Self {
        // Nobody has many more than his part.
        let room = slots.len() / contenders * 5 / 4 + 8;
        let mut owned: Vec<Vec<u32>> = (0..contenders).map(|_| Vec::with_capacity(room)).collect();
        let mut places = vec![0; slots.len()];
        for ((owner, place), index) in owners.iter().zip(&mut places).zip(0..) {
            let list = &mut owned[*owner as usize];
            *place = list.len() as u32;
            list.push(index);
        }
        Self { slots, owners, owned, costs, places }
    }

    /// How many slots somebody owns.
    pub(super) fn count(&self, who: u32) -> u32 {
        self.owned[who as usize].len() as u32
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let lists: usize = self.owned.iter().map(|list| 4 * list.capacity() + size_of::<Vec<u32>>()).sum();
        4 * (self.slots.capacity() + self.owners.capacity() + self.places.capacity())
            + 8 * self.costs.capacity()
            + lists
    }

    /// Gives a slot to another owner, whom it costs this much more.
    pub(super) fn give(&mut self, index: u32, to: u32, extra: i64) {
        self.costs[index as usize] += extra;
        let from = std::mem::replace(&mut self.owners[index as usize], to);
        let place = self.places[index as usize];
        let list = &mut self.owned[from as usize];
        list.swap_remove(place as usize);
        if let Some(moved) = list.get(place as usize) {
            self.places[*moved as usize] = place;
        }
        let list = &mut self.owned[to as usize];
        self.places[index as usize] = list.len() as u32;
        list.push(index);
    }
}
