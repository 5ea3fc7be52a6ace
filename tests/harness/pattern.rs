//! Bytes that can be checked at any offset: what bulk transfers carry.

use std::sync::LazyLock;

/// Length of the repeated block: a prime, so that data out of place by any segment or page size shows.
const PERIOD: usize = 65_521;

/// Largest piece that [`Pattern::piece`] hands out.
pub const PIECE: usize = 256 * 1024;

static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    let block: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
    block.iter().copied().cycle().take(PERIOD + PIECE).collect()
});

/// A place in the endless pattern.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pattern {
    offset: u64,
}

impl Pattern {
    /// The next `length` bytes (at most [`PIECE`]), without moving on.
    pub fn piece(self, length: usize) -> &'static [u8] {
        let start = usize::try_from(self.offset % PERIOD as u64).expect("smaller than the period");
        &BLOCK[start..start + length.min(PIECE)]
    }

    /// Moves on by `length` bytes.
    pub fn advance(&mut self, length: usize) {
        self.offset += length as u64;
    }

    /// Whether `received` is what comes next; moves on if so.
    ///
    /// # Errors
    /// The offset of the piece that differs.
    pub fn accept(&mut self, received: &[u8]) -> Result<(), u64> {
        for piece in received.chunks(PIECE) {
            if piece != self.piece(piece.len()) {
                return Err(self.offset);
            }
            self.advance(piece.len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_accepts_itself_in_any_cut() {
        let mut sender = Pattern::default();
        let mut receiver = Pattern::default();
        for length in [1, 1_448, 65_521, PIECE, 7] {
            receiver.accept(sender.piece(length)).unwrap();
            sender.advance(length);
        }
    }

    #[test]
    fn a_missing_segment_is_noticed() {
        let mut receiver = Pattern::default();
        receiver.accept(Pattern { offset: 0 }.piece(1_448)).unwrap();
        assert_eq!(receiver.accept(Pattern { offset: 2_896 }.piece(1_448)), Err(1_448));
    }
}
