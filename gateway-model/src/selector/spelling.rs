//! Whether one text is a misspelling of another.

/// Longest text that is looked at, in bytes: as long as a label may be.
const LONGEST: usize = 63;

/// Whether the texts differ as by a slip of the hand: in case, or in one character, or two where they are long.
/// Texts that differ in digits only are versions, not slips.
pub(super) fn is_slip(one: &str, other: &str) -> bool {
    if one == other || one.len().max(other.len()) > LONGEST {
        return false;
    }
    let letters = |text: &str| -> Vec<char> {
        text.chars().filter(|c| !c.is_ascii_digit()).map(|c| c.to_ascii_lowercase()).collect()
    };
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    let (one_letters, other_letters) = (letters(one), letters(other));
    let allowed = match one.len().max(other.len()) {
        0..=2 => 0,
        3..=4 => 1,
        _ => 2,
    };
    one_letters != other_letters && distance(one, other) <= allowed
}

/// Characters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, c) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, d) in other.iter().enumerate() {
            let mut cost =
                (last[column] + usize::from(c != d)).min(last[column + 1] + 1).min(next[column] + 1);
            let swapped = row > 0 && column > 0 && *c == other[column - 1] && one[row - 1] == *d;
            if swapped {
                cost = cost.min(before[column - 1] + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_told_from_other_texts() {
        for (one, other) in [
            ("app", "ap"),
            ("version", "verison"),
            ("foo", "fooo"),
            ("Foo", "foo"),
            ("v", "V"),
            ("frontend", "frontnd"),
        ] {
            assert!(is_slip(one, other) && is_slip(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("foo", "bar"),
            ("foo", "foo"),
            ("1.0.3", "1.0.4"),
            ("v1", "v2"),
            ("v1.10", "v1.2"),
            ("a", "b"),
            ("", "a"),
        ] {
            assert!(!is_slip(one, other) && !is_slip(other, one), "{one} {other}");
        }
    }
}
