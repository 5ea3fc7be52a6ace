//! For how many gateways is written at once: fewer while the API server answers late.
//!
//! Whoever asks for more than it can do in time gets nothing at all. A Service that was given up has cost it
//! addresses by then, which it has to take back.

use std::time::Duration;

/// At most for so many.
const MOST: usize = 32;
/// Where the writes for one take longer than this, no more are begun than before.
const LATE: Duration = Duration::from_millis(500);

/// What came of the writes for one gateway.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    /// The API server did not answer in time.
    Silence,
    /// It did, after so long.
    Answer(Duration),
}

/// How much room there is.
#[derive(Debug)]
pub(super) struct Room {
    busy: usize,
    most: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { busy: 0, most: MOST }
    }
}

impl Room {
    /// For how many more may be written now.
    pub(super) fn left(&self) -> usize {
        self.most.saturating_sub(self.busy)
    }

    /// Writes for one begin.
    pub(super) fn begin(&mut self) {
        self.busy += 1;
    }

    /// They have ended.
    pub(super) fn end(&mut self, outcome: Outcome) {
        self.busy -= 1;
        self.most = match outcome {
            Outcome::Silence => (self.most / 2).max(1),
            Outcome::Answer(took) if took > LATE => self.most,
            Outcome::Answer(_) => (self.most + 1).min(MOST),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works off `total` gateways with a server that does one after the other, each in `each`, and gives up what takes
    /// longer than two seconds, which costs it as much; how many rounds that took.
    fn rounds(total: usize, each: Duration) -> usize {
        let (mut room, mut left, mut rounds) = (Room::default(), total, 0);
        while left > 0 {
            let begun = room.left().min(left);
            assert!(begun > 0, "there is always room for one");
            (0..begun).for_each(|_| room.begin());
            for place in 1..=begun {
                let took = each * u32::try_from(place).unwrap();
                if took > Duration::from_secs(2) {
                    room.end(Outcome::Silence);
                } else {
                    room.end(Outcome::Answer(took));
                    left -= 1;
                }
            }
            rounds += 1;
            assert!(rounds < 10_000, "{left} of {total} are left");
        }
        rounds
    }

    #[test]
    fn a_server_that_answers_soon_has_all_there_is_room_for() {
        assert_eq!(rounds(320, Duration::from_millis(1)), 10);
    }

    #[test]
    fn a_slow_server_is_asked_for_what_it_can_do() {
        let mut room = Room::default();
        (0..MOST).for_each(|_| room.begin());
        (0..MOST).for_each(|_| room.end(Outcome::Silence));
        assert_eq!(room.left(), 1);
        room.begin();
        room.end(Outcome::Answer(LATE * 2));
        assert_eq!(room.left(), 1);
        room.begin();
        room.end(Outcome::Answer(LATE));
        assert_eq!(room.left(), 2);
        assert!(rounds(1_000, Duration::from_millis(150)) > 100);
    }
}
