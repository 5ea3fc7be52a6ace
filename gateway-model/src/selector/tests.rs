use proptest::prelude::*;

use super::*;
use crate::{condition::tests::assert_linear, expression::MAX_LENGTH, workload::WorkloadPort};

mod explained;
mod forms;
mod linted;

/// What selectors are made of.
const WORDS: [&str; 20] = [
    "label", "(", ")", "((", "))", "app", "!", "not ", " and ", "&&", "||", "true", "[", "]", "\\", "port",
    "index", "(0)", ".*", "ä",
];

fn workload() -> Workload {
    Workload {
        namespace: "default".to_owned(),
        kind: "pod".to_owned(),
        name: "foo-1".to_owned(),
        labels: [("app", "foo"), ("version", "1.0.3"), ("app.kubernetes.io/name", "foo")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        images: vec!["registry/foo:1.0.3".to_owned(), "sidecar:7".to_owned()],
        addresses: vec!["10.0.0.1".parse().unwrap()],
        ports: vec![
            WorkloadPort { name: "http".to_owned(), port: 8080 },
            WorkloadPort { name: String::new(), port: 9090 },
        ],
        ready: true,
        node: None,
        created: None,
    }
}

/// The route name, where it matches with the first port.
fn route(selector: &str) -> Option<String> {
    let workload = workload();
    let candidate =
        Candidate { workload: &workload, address: Some("10.0.0.1".parse().unwrap()), port: Some(0) };
    let captured = Selector::parse(selector).unwrap().captures(&candidate)?;
    Some(crate::key::RouteName::from_captured(&captured).0)
}

#[test]
fn capture_groups_name_the_route() {
    assert_eq!(route("label(app)(foo) && label(version)((.*))").as_deref(), Some("(1.0.3)"));
    assert_eq!(route("label(app)((f.*)) and label(version)((.*))").as_deref(), Some("(1.0.3),(foo)"));
    assert_eq!(route("label(app)(foo)").as_deref(), Some("()"));
    assert_eq!(route(r"label(version)((\d+)\..*)").as_deref(), Some("(1)"));
    assert_eq!(route("image(.*:((?:1|2).*))").as_deref(), Some("(1.0.3)"));
}

#[test]
fn a_value_is_matched_whole() {
    assert_eq!(route("label(app)(fo)"), None);
    assert_eq!(route("label(app)(f|foo)").as_deref(), Some("()"));
    assert_eq!(route("label(app)(f|o)"), None);
}

#[test]
fn a_missing_label_never_matches_and_its_negation_does() {
    assert_eq!(route("label(tier)(.*)"), None);
    assert_eq!(route("!label(tier)(.*)").as_deref(), Some("()"));
    assert_eq!(route("not label(app)(foo)"), None);
}

#[test]
fn negated_terms_capture_nothing() {
    assert_eq!(route("!label(app)((x.*)) && label(version)((.*))").as_deref(), Some("(1.0.3)"));
    assert_eq!(route("!(!label(version)((.*)))").as_deref(), Some("()"));
}

#[test]
fn failed_alternatives_capture_nothing() {
    let selector = "(label(app)((f.*)) && false) || label(version)((.*))";
    assert_eq!(route(selector).as_deref(), Some("(1.0.3)"));
}

#[test]
fn every_operand_matches_what_it_names() {
    for selector in [
        "namespace(default)",
        "group(default)",
        "name(foo-1)",
        "id(foo-.*)",
        "kind(pod)",
        "type(container)",
        "image(sidecar:7)",
        r"ip(10\.0\..*)",
        "host(10.0.0.1)",
        "port(8080)",
        "port(http)",
        "port_index(0)",
        "index(0)",
        "true",
        "TRUE",
        "Label(app)(foo)",
        "label(app.kubernetes.io/name)(foo)",
        "false or true",
        "true and not false",
        "label( app )( foo )",
    ] {
        assert!(route(selector).is_some(), "{selector}");
    }
    for selector in [
        "kind(service)",
        "port(9090)",
        "index(1)",
        "false",
        "ip(10)",
        "namespace(x)",
        "true and false or false",
    ] {
        assert!(route(selector).is_none(), "{selector}");
    }
}

#[test]
fn parentheses_balance_inside_a_value() {
    for value in [r"f(oo)", r"foo|\(", r"foo|[)]", r"foo|[^)(]", r"foo|[])(]", r"(?:f)(o)o"] {
        assert!(route(&format!("label(app)({value})")).is_some(), "{value}");
    }
}

#[test]
fn and_binds_tighter_than_or() {
    let parse = |text| Selector::parse(text).unwrap();
    assert_eq!(parse("true or true and false"), parse("true or (true and false)"));
    assert_ne!(parse("true or true and false"), parse("(true or true) and false"));
    assert_eq!(parse("!true and false"), parse("(!true) and false"));
}

#[test]
fn mistakes_are_placed_and_say_what_was_expected() {
    for (text, column, expected) in [
        ("", 1, "a selector term"),
        ("label(app)", 11, "`(`"),
        ("label(app)(foo) label(x)(y)", 17, "`and`, `or` or the end"),
        ("label(app)(foo) && ", 20, "a selector term"),
        ("lable(app)(foo)", 1, "a selector term"),
        ("label(app)(foo", 11, "a closing `)`"),
        ("label(app)([)", 11, "a closing `)`"),
        ("label(app)(*)", 11, "a regular expression that compiles"),
        ("label(a)((x)(y))", 9, "at most one capture group"),
        ("label(a)(b)|(?:c)", 14, "a selector term"),
        ("label(a)(b)|)", 13, "a selector term"),
        ("label()(x)", 1, "the name of a label"),
        ("index(x)", 6, "a number"),
        ("(true", 6, "`and`, `or` or `)`"),
        ("not(true)", 4, "white space after `not`"),
        ("true and", 9, "white space after `and`"),
        ("label(ä)(ö) x", 13, "`and`, `or` or the end"),
        ("a)|(?:b", 1, "a selector term"),
    ] {
        let error = Selector::parse(text).expect_err(text);
        assert_eq!((error.column, error.expected.contains(expected)), (column, true), "{text}: {error}");
    }
}

#[test]
fn anchors_cannot_be_escaped_from() {
    assert!(Pattern::new("a)|(?:b").is_err());
    assert!(Selector::parse(r"name(a\)|\(?:b)").is_ok());
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{}true{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(Selector::parse(&deep).is_err());
    let deep = format!("{}true{}", "(".repeat(500), ")".repeat(500));
    assert!(Selector::parse(&deep).unwrap_err().expected.contains("levels"));
    assert!(Selector::parse(&"!".repeat(10_000)).is_err());
}

fn term() -> impl Strategy<Value = Term> {
    let pattern = prop_oneof![
        Just(".*"),
        Just("(.*)"),
        Just("foo"),
        Just("a|b"),
        Just(r"\)"),
        Just("[)(]"),
        Just(r"1\.(\d+)"),
        Just("x y"),
        Just("")
    ]
    .prop_map(|source| Pattern::new(source).unwrap());
    prop_oneof![
        pattern.clone().prop_map(Term::Namespace),
        pattern.clone().prop_map(Term::Name),
        pattern.clone().prop_map(Term::Kind),
        pattern.clone().prop_map(Term::Image),
        ("[a-z./-]{1,8}", pattern.clone()).prop_map(|(name, pattern)| Term::Label(name, pattern)),
        pattern.clone().prop_map(Term::Ip),
        pattern.prop_map(Term::Port),
        (0_usize..9).prop_map(Term::Index),
        any::<bool>().prop_map(Term::Literal),
    ]
}

fn expression() -> impl Strategy<Value = Expression<Term>> {
    let place = |term| Expression::Term(Placed { term, span: Span { column: 1, length: 1 } });
    term().prop_map(place).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| Expression::Not(Box::new(one))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::All),
            prop::collection::vec(inner, 2..4).prop_map(Expression::Any),
        ]
    })
}

proptest! {
    #[test]
    fn printing_and_parsing_is_the_identity(expression in expression()) {
        let selector = Selector { source: expression.to_string(), expression };
        let text = selector.to_string();
        prop_assert_eq!(Selector::parse(&text), Ok(selector), "{}", text);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Selector::parse(&text);
    }

    #[test]
    fn no_text_of_its_own_words_panics(
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..30),
    ) {
        if let Ok(selector) = Selector::parse(&words.concat()) {
            prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
        }
    }
}

#[test]
fn labels_that_must_be_there_are_known() {
    let required = |text: &str| {
        let selector = Selector::parse(text).unwrap();
        selector.required_labels().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(required("label(app)(foo) && label(version)((.*)) && name(x)"), ["app=foo"]);
    assert_eq!(required("label(app)(foo)"), ["app=foo"]);
    assert_eq!(required("label(app)(foo) && label(tier)(a-b)"), ["app=foo", "tier=a-b"]);
    for open in [
        "label(app)(f.o)",
        "!label(app)(foo)",
        "label(app)(foo) || true",
        "true && !label(app)(foo)",
        "label(a)((b))",
    ] {
        assert_eq!(required(open), Vec::<String>::new(), "{open}");
    }
}
