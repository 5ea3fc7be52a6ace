//! Who owns which slots.

/// Who owns what.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    /// The slots that are given out, in ascending order. What follows calls them by their index in here.
    pub(super) slots: Vec<u32>,
    /// Who has each.
    pub(super) held: Vec<Held>,
    /// What each owner owns, in no order.
    pub(super) owned: Vec<Vec<u32>>,
    /// Where in its owner's list each slot is.
    places: Vec<u32>,
}

/// Who has a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// Its owner.
    pub(super) owner: u32,
    /// Upper bits of what it costs him: among equals its rank.
    pub(super) upper: i32,
}

impl Holding {
    /// From who has each slot.
    pub(super) fn new(slots: Vec<u32>, held: Vec<Held>, contenders: usize) -> Self {
        // Nobody has many more than his part.
        let room = slots.len() / contenders * 5 / 4 + 8;
        let mut owned: Vec<Vec<u32>> = (0..contenders).map(|_| Vec::with_capacity(room)).collect();
        let mut places = vec![0; slots.len()];
        for ((held, place), index) in held.iter().zip(&mut places).zip(0..) {
            let list = &mut owned[held.owner as usize];
            *place = list.len() as u32;
            list.push(index);
        }
        Self { slots, held, owned, places }
    }

    /// The owner of each slot.
    pub(super) fn owners(&self) -> impl Iterator<Item = u32> {
        self.held.iter().map(|held| held.owner)
    }

    /// How many slots somebody owns.
    pub(super) fn count(&self, who: u32) -> u32 {
        self.owned[who as usize].len() as u32
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let lists: usize = self.owned.iter().map(|list| 4 * list.capacity() + size_of::<Vec<u32>>()).sum();
        4 * (self.slots.capacity() + self.places.capacity())
            + size_of::<Held>() * self.held.capacity()
            + lists
    }

    /// Gives a slot to another owner.
    pub(super) fn give(&mut self, index: u32, now: Held) {
        let from = std::mem::replace(&mut self.held[index as usize], now).owner;
        let place = self.places[index as usize];
        let list = &mut self.owned[from as usize];
        list.swap_remove(place as usize);
        if let Some(moved) = list.get(place as usize) {
            self.places[*moved as usize] = place;
        }
        let list = &mut self.owned[now.owner as usize];
        self.places[index as usize] = list.len() as u32;
        list.push(index);
    }
}
