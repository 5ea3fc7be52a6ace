//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624, equation 3).
//!
//! One's-complement sums do not depend on byte order, as long as all words are read the same way: values here
//! are words as the machine loads them from the wire, never swapped.

/// A one's-complement sum that is not folded yet; room for far more words than a packet has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// Adds a 32-bit word.
    #[inline(always)]
    #[must_use]
    pub const fn word(self, word: u32) -> Self {
        Self(self.0 + word as u64)
    }

    /// Adds a 16-bit word.
    #[inline(always)]
    #[must_use]
    pub const fn half(self, half: u16) -> Self {
        Self(self.0 + half as u64)
    }

    /// Takes `old` out and `new` in.
    #[inline(always)]
    #[must_use]
    pub const fn replace_word(self, old: u32, new: u32) -> Self {
        self.word(!old).word(new)
    }

    /// Takes `old` out and `new` in.
    #[inline(always)]
    #[must_use]
    pub const fn replace_half(self, old: u16, new: u16) -> Self {
        self.half(!old).half(new)
    }

    /// The sum in 16 bits.
    #[inline(always)]
    pub const fn folded(self) -> u16 {
        let sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        sum as u16
    }

    /// The checksum of everything added, for a header whose checksum field counted as zero.
    #[inline(always)]
    pub const fn checksum(self) -> u16 {
        !self.folded()
    }

    /// `checksum` after the replacements in this sum.
    #[inline(always)]
    pub const fn applied_to(self, checksum: u16) -> u16 {
        self.half(!checksum).checksum()
    }

    /// The same for UDP, where zero means "no checksum": none stays none (RFC 768), and a sum that comes to zero
    /// is sent as all ones.
    #[inline(always)]
    pub const fn applied_to_udp(self, checksum: u16) -> u16 {
        if checksum == 0 {
            return 0;
        }
        match self.applied_to(checksum) {
            0 => 0xffff,
            sum => sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 1071, word by word, as slow and plain as it gets.
    fn recomputed(words: &[u16]) -> u16 {
        let mut sum = 0u32;
        for word in words {
            sum += u32::from(*word);
            if sum > 0xffff {
                sum -= 0xffff;
            }
        }
        !(sum as u16)
    }

    #[test]
    fn example_of_rfc_1624_section_4() {
        assert_eq!(Sum::default().replace_half(0x5555, 0x3285).applied_to(0xdd2f), 0x0000);
    }

    proptest! {
        #[test]
        fn incremental_update_equals_recomputation(
            mut words in prop::collection::vec(any::<u16>(), 2..700),
            at in any::<prop::sample::Index>(),
            new in any::<u16>(),
        ) {
            words[0] |= 0x4000; // as in any IP header: a sum over nothing but zeros has two representations
            let before = recomputed(&words);
            let at = 1 + at.index(words.len() - 1);
            let change = Sum::default().replace_half(words[at], new);
            words[at] = new;
            prop_assert_eq!(change.applied_to(before), recomputed(&words));
        }

        #[test]
        fn replacing_a_word_equals_replacing_its_halves(old: u32, new: u32, checksum: u16) {
            let [o0, o1, o2, o3] = old.to_ne_bytes();
            let [n0, n1, n2, n3] = new.to_ne_bytes();
            let halves = Sum::default()
                .replace_half(u16::from_ne_bytes([o0, o1]), u16::from_ne_bytes([n0, n1]))
                .replace_half(u16::from_ne_bytes([o2, o3]), u16::from_ne_bytes([n2, n3]));
            prop_assert_eq!(Sum::default().replace_word(old, new).applied_to(checksum), halves.applied_to(checksum));
        }

        #[test]
        fn udp_keeps_no_checksum_and_never_makes_one(old: u32, new: u32, checksum: u16) {
            let sum = Sum::default().replace_word(old, new).applied_to_udp(checksum);
            prop_assert_eq!(sum == 0, checksum == 0);
        }

        #[test]
        fn sum_over_words_equals_sum_over_halves(words in prop::collection::vec(any::<u32>(), 1..64)) {
            let sum = words.iter().fold(Sum::default(), |sum, word| sum.word(*word));
            let halves: Vec<u16> = words
                .iter()
                .flat_map(|word| word.to_ne_bytes().chunks(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect::<Vec<_>>())
                .collect();
            prop_assert_eq!(sum.checksum(), recomputed(&halves));
        }
    }
}
