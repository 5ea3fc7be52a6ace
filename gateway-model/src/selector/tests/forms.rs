//! What is said of selectors, line by line.

use super::*;

fn captured(selector: &str, address: &str, port: usize) -> Option<Vec<String>> {
    let workload = workload();
    let candidate =
        Candidate { workload: &workload, address: Some(address.parse().unwrap()), port: Some(port) };
    let captures =
        Selector::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}")).captures(&candidate);
    captures.map(|captured| captured.into_iter().collect())
}

#[test]
fn operands_have_two_names_in_any_case() {
    for (one, other) in [
        ("namespace(a)", "GROUP(a)"),
        ("name(a)", "Id(a)"),
        ("kind(pod)", "type(pod)"),
        ("ip(a)", "HOST(a)"),
        ("port_index(1)", "Index(1)"),
        ("true", "True"),
        ("label(a)(b)", "LABEL (a) (b)"),
    ] {
        assert_eq!(Selector::parse(one), Selector::parse(other), "{one} and {other}");
    }
    for text in [
        "labels(a)(b)",
        "pod(a)",
        "version(1)",
        "selector(a)",
        "label(a)",
        "name",
        "name()()",
        "true()",
        "index(a)",
        "index(-1)",
    ] {
        assert!(Selector::parse(text).is_err(), "{text} must not parse");
    }
}

#[test]
fn every_operand_captures() {
    for (selector, text) in [
        ("namespace((def).*)", "def"),
        ("name((.*)-1)", "foo"),
        ("kind((.*))", "pod"),
        ("kind((c.*))", "container"),
        (r"image(registry/foo:(.*))", "1.0.3"),
        ("label(version)((.*))", "1.0.3"),
        (r"ip((10\..*))", "10.0.0.1"),
        ("port((80.*))", "8080"),
        ("port((ht.*))", "http"),
    ] {
        assert_eq!(captured(selector, "10.0.0.1", 0), Some(vec![text.to_owned()]), "{selector}");
    }
}

#[test]
fn captured_texts_form_a_sorted_set() {
    assert_eq!(
        captured("label(version)((.*)) && label(app)((.*)) && name((foo).*)", "10.0.0.1", 0),
        Some(vec!["1.0.3".to_owned(), "foo".to_owned()])
    );
    assert_eq!(route("name((foo).*) && kind((pod))").as_deref(), Some("(foo),(pod)"));
    assert_eq!(
        captured("image((.*):.*)", "10.0.0.1", 0),
        Some(vec!["registry/foo".to_owned(), "sidecar".to_owned()])
    );
    assert_eq!(captured("label(app)(foo)", "10.0.0.1", 0), Some(Vec::new()));
}

#[test]
fn a_value_has_one_group_at_most() {
    assert!(Selector::parse("label(a)((x)|(y))").unwrap_err().expected.contains("at most one capture group"));
    assert!(Selector::parse("label(a)((?P<n>x)(?:y))").is_ok());
    assert!(Selector::parse("label(a)((x)) && label(b)((y))").is_ok());
}

#[test]
fn a_value_must_match_whole_whatever_its_flags() {
    let matches = |source: &str, value: &str| Pattern::new(source).unwrap().is_match(value);
    for (source, value) in [
        ("a|ab", "ab"),
        ("(?i)FOO", "foo"),
        ("(?x) f o o # a comment", "foo"),
        ("(?x) f o o # a comment (with parentheses", "foo"),
        ("(?m)^foo$", "foo"),
        ("(?s).*", "a\nb"),
        ("(?U)a+", "aaa"),
        ("", ""),
        (r"a\n?", "a\n"),
    ] {
        assert!(matches(source, value), "{source} matches {value:?}");
    }
    for (source, value) in [
        ("a|b", "ab"),
        ("foo", "foo\n"),
        ("foo$", "foo\n"),
        ("(?m)foo$", "foo\nbar"),
        ("(?m)^foo", "bar\nfoo"),
        (".*", "a\nb"),
        ("(?x) f o # o", "foo"),
        ("foo", "\nfoo"),
        ("fo", "foo"),
    ] {
        assert!(!matches(source, value), "{source} does not match {value:?}");
    }
}

#[test]
fn a_value_that_undoes_its_parentheses_is_refused() {
    for source in ["a)|(?:b", "(?x)a)#(", "a(", "a)", "[a", r"a\", "(?x)[a #]"] {
        assert!(Pattern::new(source).is_err(), "{source}");
    }
}

#[test]
fn values_are_bounded_in_size() {
    let error = Selector::parse(r"name((?:\w{500}){500})").unwrap_err();
    assert_eq!((error.column, error.length), (5, 18), "{error}");
    let error = Selector::parse(&vec![r"name(\w{20})"; 900].join("|")).unwrap_err();
    assert!(error.expected.contains("smaller all together"), "{error}");
    Selector::parse(&vec!["label(a)(a[a-z0-9.]*(.*)z)"; 500].join(" or ")).unwrap();
}

#[test]
fn parentheses_in_nested_classes_do_not_count() {
    for value in ["[[:alpha:](]+", "[a[(]]", r"[\](]", "[^](]", "[]()]", "[a-z&&[^(]]+"] {
        let text = format!("name({value}) && label(a)(b)");
        let selector = Selector::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(selector.to_string(), text);
    }
    assert_eq!(Selector::parse(r"name( a\ ) || true").unwrap().to_string(), r"name(a\ ) || true");
}

#[test]
fn a_missing_label_is_not_even_everything_and_its_negation_is_true() {
    for (selector, matches) in [
        ("label(none)(.*)", false),
        ("label(none)()", false),
        ("!label(none)(.*)", true),
        ("not label(none)((.*))", true),
        ("!!label(none)(.*)", false),
        ("label(app)(.*)", true),
    ] {
        assert_eq!(route(selector).is_some(), matches, "{selector}");
    }
}

#[test]
fn the_boolean_layer_is_that_of_conditions() {
    for text in [
        "true and not false or false",
        "TRUE AND NOT FALSE OR FALSE",
        "true&!false|false",
        "true && ! false || false",
        "((true) and (not (false))) or (false)",
    ] {
        assert_eq!(Selector::parse(text), Selector::parse("(true && (!false)) || false"), "{text}");
    }
    for text in
        ["not(true)", "true and(true)", "true or(true)", "true true", "true and", "and true", "()", ""]
    {
        assert!(Selector::parse(text).is_err(), "{text} must not parse");
    }
}

#[test]
fn a_selector_keeps_its_text_and_equals_others_of_its_meaning() {
    let selector = Selector::parse("LABEL( app )(foo) AND  true").unwrap();
    assert_eq!(selector.source(), "LABEL( app )(foo) AND  true");
    assert_eq!(selector.to_string(), "label(app)(foo) && true");
    assert_eq!(selector, Selector::parse("label(app)(foo)&true").unwrap());
    let json = serde_json::to_string(&selector).unwrap();
    assert_eq!(serde_json::from_str::<Selector>(&json).unwrap().source(), selector.source());
    assert_eq!(
        (Selector::nothing().source(), Selector::nothing()),
        ("false", Selector::parse("false").unwrap())
    );
}

#[test]
fn what_is_wrong_is_marked_from_end_to_end() {
    for (text, marked) in [
        ("lable(app)(foo)", "lable"),
        ("label(app)(*) && true", "(*)"),
        ("label(app)((x)(y))", "((x)(y))"),
        ("true && index(x)", "(x)"),
        ("label(app)(foo", "("),
        ("label(app)(foo) label(x)(y)", "label"),
        ("label()(x)", "label()"),
        ("true ant false", "ant"),
        ("true)", ")"),
    ] {
        let error = Selector::parse(text).expect_err(text);
        assert_eq!(error.span().of(text), marked, "{text}: {error}");
    }
}

#[test]
fn texts_made_to_be_slow_are_read_in_linear_time() {
    let mut slowest = 0;
    for part in [
        "(",
        ")",
        "[",
        "]",
        "[^]",
        "\\",
        "!",
        "not ",
        "ä",
        " ",
        "name(",
        "name(a)|",
        "true or ",
        "label(a)(b) and ",
        "(true) or ",
        "name([(])&&",
        "name((?:a))|",
    ] {
        for text in
            [part.repeat(MAX_LENGTH / part.len()), format!("name({}", part.repeat(5_000 / part.len()))]
        {
            let steps = Selector::parse_counted(&text).1;
            assert_linear(&text, steps);
            slowest = slowest.max(steps / text.len());
        }
    }
    println!("at most {slowest} steps for a byte");
}

proptest! {
    #[test]
    fn any_text_is_read_in_linear_time(text in any::<String>()) {
        assert_linear(&text, Selector::parse_counted(&text).1);
    }

    #[test]
    fn texts_of_its_own_words_are_read_in_linear_time_and_errors_point_into_them(
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..100),
    ) {
        let text = words.concat();
        let (parsed, steps) = Selector::parse_counted(&text);
        assert_linear(&text, steps);
        if let Err(error) = parsed {
            prop_assert!(error.column >= 1 && error.length >= 1);
            prop_assert!(error.column + error.length <= text.chars().count() + 2, "{text}: {error:?}");
        }
    }

    #[test]
    fn accepted_texts_are_read_in_linear_time_and_printed_as_themselves(expression in expression()) {
        let text = expression.to_string();
        let (parsed, steps) = Selector::parse_counted(&text);
        assert_linear(&text, steps);
        prop_assert_eq!(parsed.unwrap().to_string(), text);
    }
}
