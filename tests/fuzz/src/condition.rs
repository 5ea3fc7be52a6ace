//! Conditions, and the subset of `HAProxy` ACLs in them.

use gateway_model::{condition::Condition, expression::MAX_DEPTH};

use crate::{place::assert_column, request};

/// A text is refused at a place within it, or is a condition that prints, wraps and answers as it should.
pub(crate) fn keep_promises(text: &str) {
    let condition = match Condition::parse(text) {
        Ok(condition) => condition,
        Err(error) => return assert_column(text, &error),
    };
    assert_prints(&condition);
    let nested = text.matches(['(', '!']).count() + text.to_ascii_lowercase().matches("not").count();
    if nested + 2 > MAX_DEPTH {
        return;
    }
    let wrapped = Condition::parse(&format!("({text})"));
    assert_eq!(wrapped.as_ref(), Ok(&condition), "parentheses change it");
    let negated = Condition::parse(&format!("!({text})")).expect("what parses can be negated");
    assert_eq!(negated.asks_for_client(), condition.asks_for_client());
    assert_eq!(negated.asks_for_sni(), condition.asks_for_sni());
    for request in request::SAMPLES {
        assert_ne!(condition.matches(request), negated.matches(request), "{condition}: {request:?}");
    }
}

/// The same for what stands between `<` and `>`.
pub(crate) fn keep_acl_promises(text: &str) {
    keep_promises(&format!("< {text} >"));
}

/// What is printed parses to the same condition, and prints the same.
pub(crate) fn assert_prints(condition: &Condition) {
    let printed = condition.to_string();
    let again = Condition::parse(&printed);
    assert_eq!(again.as_ref(), Ok(condition), "printed: {printed}");
    assert_eq!(again.map(|again| again.to_string()), Ok(printed));
}
