//! Conditions keep how they were written, and tell what came of each term.

use super::*;

#[test]
fn a_condition_keeps_its_text_and_equals_others_of_its_meaning() {
    let condition = Condition::parse("host   IS foo.bar.com:80 AND (has header  X)").unwrap();
    assert_eq!(condition.source(), "host   IS foo.bar.com:80 AND (has header  X)");
    assert_eq!(condition.to_string(), "Host == foo.bar.com && Has Header x");
    assert_eq!(condition, Condition::parse(&condition.to_string()).unwrap());
    assert_eq!(String::from(condition.clone()), condition.source());
    let json = serde_json::to_string(&condition).unwrap();
    let again: Condition = serde_json::from_str(&json).unwrap();
    assert_eq!((again.source(), &again), (condition.source(), &condition));
}

#[test]
fn every_term_is_explained_in_the_order_written_with_its_place() {
    let text = "Header ü is 'ä b' or not (Has Header a and <method GET>)|Path is /";
    let condition = Condition::parse(text).unwrap();
    let request = Asked { headers: vec![("a", "1")], ..Asked::default() };
    let verdicts: Vec<_> = condition
        .explain(&request)
        .into_iter()
        .map(|one| (one.text, one.span.column, one.is_true, one.negated))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("Header ü is 'ä b'".to_owned(), 1, false, false),
            ("Has Header a".to_owned(), 27, true, true),
            ("<method GET>".to_owned(), 44, true, true),
            ("Path is /".to_owned(), 58, true, false),
        ]
    );
}

proptest! {
    #[test]
    fn terms_explained_are_those_written(text in expression()) {
        let condition = Condition::parse(&text).unwrap();
        let mut terms = Vec::new();
        condition.expression().visit(&mut |term: &Term| terms.push(term.to_string()));
        let explained: Vec<String> = condition
            .explain(&Asked::default())
            .iter()
            .map(|verdict| {
                prop_assert_eq!(verdict.span.of(&text), &verdict.text);
                Ok(Condition::parse(&verdict.text).unwrap().to_string())
            })
            .collect::<Result<_, TestCaseError>>()?;
        prop_assert_eq!(explained, terms);
    }
}
