//! Mutations of seeds, the same each time.

/// Characters that mean something somewhere, or are apt to be counted wrongly.
const ODD: &[char] = &[
    '\0', '\t', '\n', '\r', ' ', '!', '"', '#', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', ':',
    '<', '>', '?', '@', '[', '\\', ']', '^', '`', '{', '|', '}', '~', '0', '9', 'a', 'Z', '\u{7f}', '\u{85}',
    '\u{a0}', 'é', 'İ', '\u{2028}', '\u{feff}', '🦀',
];
/// Longest mutation, in characters.
const LONGEST: usize = 1_000;

/// Makes texts out of seeds and the words of a dictionary.
pub(crate) struct Mutator {
    seeds: Vec<Vec<char>>,
    words: Vec<Vec<char>>,
    state: u64,
}

impl Mutator {
    pub(crate) fn new(seeds: Vec<String>, words: Vec<String>) -> Self {
        let chars = |texts: Vec<String>| texts.iter().map(|text| text.chars().collect()).collect();
        Self { seeds: chars(seeds), words: chars(words), state: 0 }
    }

    /// A seed with one to four edits.
    pub(crate) fn mutate(&mut self) -> String {
        let seed = self.below(self.seeds.len());
        let mut text = self.seeds[seed].clone();
        for _ in 0..=self.below(4) {
            self.edit(&mut text);
        }
        text.truncate(LONGEST);
        text.into_iter().collect()
    }

    fn edit(&mut self, text: &mut Vec<char>) {
        let at = self.below(text.len() + 1);
        let end = at + self.below((text.len() - at).min(16) + 1);
        match self.below(6) {
            0 => drop(text.drain(at..end)),
            1 => {
                let word = self.below(self.words.len());
                text.splice(at..at, self.words[word].clone());
            }
            2 => {
                let word = self.below(self.words.len());
                text.splice(at..end, self.words[word].clone());
            }
            3 => {
                let odd = ODD[self.below(ODD.len())];
                text.splice(at..end.min(at + 1), [odd]);
            }
            4 => {
                let other = self.below(self.seeds.len());
                let from = self.below(self.seeds[other].len() + 1);
                text.splice(at.., self.seeds[other][from..].to_vec());
            }
            _ => {
                let part = text[at..end].to_vec();
                let times = self.below(3) + 1;
                text.splice(at..at, part.repeat(times));
            }
        }
    }

    /// A number below `bound`, which is not 0. `SplitMix64` (Steele, Lea and Flood, 2014).
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
