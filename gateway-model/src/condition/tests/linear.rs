//! Reading takes steps in proportion to the text, whatever it is.

use super::*;
use crate::expression::{MAX_LENGTH, STEPS_PER_BYTE};

pub(crate) fn assert_linear(text: &str, steps: usize) {
    let most = STEPS_PER_BYTE * (text.len() + 1);
    let head: String = text.chars().take(60).collect();
    assert!(steps <= most, "{steps} steps for {} bytes: {head}", text.len());
}

/// As often as there is room for.
fn fill(part: &str) -> String {
    part.repeat(MAX_LENGTH / part.len())
}

fn half(part: &str) -> String {
    part.repeat(MAX_LENGTH / part.len() / 3)
}

#[test]
fn texts_made_to_be_slow_are_read_in_linear_time() {
    let mut slowest = 0;
    for part in [
        "(",
        ")",
        "!",
        "not ",
        "'",
        "\"",
        "''",
        "/",
        "\\",
        "<",
        ">",
        " ",
        "\u{a0}",
        "a",
        "ä",
        "-",
        "Host is a or ",
        "Host is a|",
        "(Host is a) and ",
        "IP in ::|",
        "Has Header a&",
        "Header x matches /a/ or ",
        "Host is 'a' and ",
        "Path starts with /a or ",
        "< path a > or ",
        "!< hdr(x) -i -m sub a > or ",
    ] {
        for text in [
            fill(part),
            format!("Host is {}", half(part)),
            format!("Header x is '{}", half(part).replace('\'', "''")),
            format!("< hdr(x) {}", half(part)),
            format!("{}Host is a", half(part)),
        ] {
            let steps = Condition::parse_counted(&text).1;
            assert_linear(&text, steps);
            slowest = slowest.max(steps / text.len());
        }
    }
    println!("at most {slowest} steps for a byte");
}

proptest! {
    #[test]
    fn any_text_is_read_in_linear_time(text in any::<String>()) {
        assert_linear(&text, Condition::parse_counted(&text).1);
    }

    #[test]
    fn long_texts_of_its_own_words_are_read_in_linear_time(
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..400),
    ) {
        let text = words.concat();
        assert_linear(&text, Condition::parse_counted(&text).1);
    }

    #[test]
    fn accepted_texts_are_read_in_linear_time(parts in prop::collection::vec(expression(), 1..20)) {
        let text = parts.join(" or ");
        let (parsed, steps) = Condition::parse_counted(&text);
        prop_assert!(parsed.is_ok() || text.len() > MAX_LENGTH);
        assert_linear(&text, steps);
    }

    #[test]
    fn errors_point_into_the_text(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..20)) {
        let text = words.concat();
        if let Err(error) = Condition::parse(&text) {
            let length = text.chars().count();
            prop_assert!(error.column >= 1 && error.length >= 1, "{}", text);
            prop_assert!(error.column + error.length <= length + 2, "{text}: {error:?}");
        }
    }
}
