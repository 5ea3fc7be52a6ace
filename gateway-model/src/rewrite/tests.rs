use proptest::prelude::*;

use super::*;
use crate::condition::tests::Asked;

const KINDS: [RewriteKind; 3] = [RewriteKind::Path, RewriteKind::Prefix, RewriteKind::Host];

fn parse(kind: RewriteKind, text: &str) -> Rewrite {
    Rewrite::parse(kind, text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn at(path: &'static str) -> Asked {
    Asked { path, ..Asked::default() }
}

/// The path that a rewrite gives a request to `path`.
fn path(kind: RewriteKind, text: &str, path: &'static str) -> Option<String> {
    let (rewrite, request) = (parse(kind, text), at(path));
    let rewritten = rewrite.apply(&request)?;
    assert_eq!(rewritten.host, None);
    let path = rewritten.path.expect("it is about the path");
    assert_eq!(path.len(), path.to_string().len());
    Some(path.to_string())
}

#[test]
fn a_path_is_replaced_as_a_whole_where_the_condition_holds() {
    let moved = |asked| path(RewriteKind::Path, "/new/place if Path is /old", asked);
    assert_eq!(moved("/old").as_deref(), Some("/new/place"));
    assert_eq!(moved("/older"), None);
    assert_eq!(path(RewriteKind::Path, " /new ", "/anything").as_deref(), Some("/new"));
    assert_eq!(path(RewriteKind::Path, "/", "/a/b").as_deref(), Some("/"));
    for asked in ["*", ""] {
        assert_eq!(path(RewriteKind::Path, "/new", asked), None, "no path");
        assert_eq!(path(RewriteKind::Prefix, "/ to /new", asked), None, "no path");
    }
}

#[test]
fn a_prefix_is_replaced_by_whole_elements() {
    for (text, asked, expected) in [
        ("/old to /new", "/old", Some("/new")),
        ("/old to /new", "/old/", Some("/new/")),
        ("/old to /new", "/old/x/y", Some("/new/x/y")),
        ("/old to /new", "/older", None),
        ("/old to /new", "/x/old", None),
        ("/old to /new", "/OLD", None),
        ("/old/ to /new/", "/old", Some("/new")),
        ("/old/ to /new/", "/old/x", Some("/new/x")),
        ("/old to /", "/old", Some("/")),
        ("/old to /", "/old/", Some("/")),
        ("/old to /", "/old/x", Some("/x")),
        ("/old to /", "/old//evil.example", Some("/evil.example")),
        ("/old to /new", "/old//x", Some("/new//x")),
        ("/ to /new", "/", Some("/new/")),
        ("/ to /new", "/x", Some("/new/x")),
        ("/ to /", "//x", Some("/x")),
        ("/a/b to /c/d/e", "/a/b/f", Some("/c/d/e/f")),
        ("/a/b to /c/d/e", "/a", None),
        ("/old TO /new IF Method is GET", "/old", Some("/new")),
        ("/old to /new if Method is POST", "/old", None),
        ("/to to /if if Path has to", "/to", Some("/if")),
    ] {
        assert_eq!(path(RewriteKind::Prefix, text, asked).as_deref(), expected, "{text} of {asked}");
    }
}

#[test]
fn a_host_is_replaced() {
    for (text, expected) in [
        ("internal.example.com", "internal.example.com"),
        ("Internal.Example.com:8080 if Host is foo.bar.com", "internal.example.com:8080"),
        ("my_app", "my_app"),
        ("192.0.2.1:1", "192.0.2.1:1"),
        ("[2001:DB8::1]", "[2001:db8::1]"),
        ("[::1]:65535", "[::1]:65535"),
    ] {
        let (rewrite, request) = (parse(RewriteKind::Host, text), Asked::default());
        assert_eq!(rewrite.apply(&request), Some(Rewritten { path: None, host: Some(expected) }), "{text}");
    }
    assert_eq!(parse(RewriteKind::Host, "a if Host is b").apply(&Asked::default()), None);
}

#[test]
fn of_a_list_the_first_path_and_the_first_host_that_apply_do_so_once() {
    let list = [
        parse(RewriteKind::Path, "/never if Method is POST"),
        parse(RewriteKind::Prefix, "/a to /b"),
        parse(RewriteKind::Prefix, "/b to /c"),
        parse(RewriteKind::Path, "/last"),
        parse(RewriteKind::Host, "one if Path is /b/x"),
        parse(RewriteKind::Host, "two if Path is /a/x"),
        parse(RewriteKind::Host, "three"),
    ];
    let paths = |asked: Asked| {
        let Rewritten { path, host } = apply(&list, &asked);
        (path.map(|path| path.to_string()).unwrap_or_default(), host.map(str::to_owned).unwrap_or_default())
    };
    assert_eq!(paths(at("/a/x")), ("/b/x".to_owned(), "two".to_owned()), "conditions see what was received");
    assert_eq!(paths(at("/b/x")), ("/c/x".to_owned(), "one".to_owned()));
    assert_eq!(paths(at("/x")), ("/last".to_owned(), "three".to_owned()));
    let asked = at("/x");
    assert_eq!(apply(&[], &asked), Rewritten::default());
}

#[test]
fn if_begins_the_condition_where_it_is_a_word_outside_quotes() {
    let rewrite = parse(RewriteKind::Path, "'/a''if' if Header x has ' if '");
    assert_eq!(rewrite.change(), &Change::Path("/a'if".to_owned()));
    assert_eq!(rewrite.condition(), Some(&Condition::parse("Header x has ' if '").unwrap()));
    assert_eq!(parse(RewriteKind::Path, "/if").condition(), None);
    assert_eq!(
        parse(RewriteKind::Path, "/a if(Method is GET)").condition(),
        Some(&Condition::parse("Method is GET").unwrap())
    );
}

#[test]
fn what_is_wrong_is_refused_where_it_is_with_what_was_expected() {
    use RewriteKind::{Host, Path, Prefix};
    for (kind, text, column, expected) in [
        (Path, "", 1, "a path"),
        (Path, "  ", 3, "a path"),
        (Path, "''", 1, "a path"),
        (Path, "new", 1, "begins with `/`"),
        (Path, "if Path is /x", 1, "begins with `/`"),
        (Path, "http://x/", 1, "begins with `/`"),
        (Path, "'/a b'", 4, "letters, digits"),
        (Path, "'/it''s b'", 8, "letters, digits"),
        (Path, "/a?b=c", 3, "without query"),
        (Path, "/a#b", 3, "without query"),
        (Path, "/a\u{1}b", 3, "letters, digits"),
        (Path, "'/a\r\nX: y'", 4, "letters, digits"),
        (Path, "/a\nX: y", 4, "`if`"),
        (Path, "/é", 2, "as %XX"),
        (Path, "/a\\b", 3, "letters, digits"),
        (Path, "/a%", 3, "two hexadecimal digits"),
        (Path, "/a%4", 3, "two hexadecimal digits"),
        (Path, "/a%+4", 3, "two hexadecimal digits"),
        (Path, "/a%0d%0a", 3, "no control byte"),
        (Path, "/a%é", 3, "two hexadecimal digits"),
        (Path, "//host/x", 2, "one slash"),
        (Path, "/a/../b", 4, "`..` elements"),
        (Path, "/a/./b", 4, "`..` elements"),
        (Path, "/..", 2, "`..` elements"),
        (Path, "/a/%2e%2E", 4, "`..` elements"),
        (Path, "/a%2f..%2fb", 6, "`..` elements"),
        (Path, "/a/..%5cb", 4, "`..` elements"),
        (Path, "/new%[path]", 5, "HAProxy's templates"),
        (Path, "%[path,regsub(^/a,/b)] if Path is /a", 1, "HAProxy's templates"),
        (Path, "/a unless Path is /b", 4, "`if` and a condition"),
        (Path, "/a if", 6, "a condition"),
        (Path, "/a if ", 7, "a condition"),
        (Path, "/a if Pfad is /b", 7, "a condition"),
        (Path, "/a if Path is /b and ", 22, "a condition"),
        (Path, "  '/a' if Path is", 18, "a value"),
        (Path, "/a/\u{e4} if Path is", 4, "as %XX"),
        (Path, "'/a", 1, "a closing '"),
        (Prefix, "/a", 3, "`to`"),
        (Prefix, "/a /b", 4, "`to`"),
        (Prefix, "/a to", 6, "`to`"),
        (Prefix, "/a to ", 7, "a path"),
        (Prefix, "/a to b", 7, "begins with `/`"),
        (Prefix, "a to /b", 1, "begins with `/`"),
        (Prefix, "/a to /b/../c", 10, "`..` elements"),
        (Prefix, "/a to //b", 8, "one slash"),
        (Prefix, "/a if Path is /b", 4, "`to`"),
        (Prefix, "/a to /b if", 12, "a condition"),
        (Host, "", 1, "a host name"),
        (Host, "a b", 3, "`if`"),
        (Host, "'a b'", 3, "in a host name"),
        (Host, "a/b", 2, "in a host name"),
        (Host, "user@host", 5, "in a host name"),
        (Host, "*.example.com", 1, "in a host name"),
        (Host, "bücher.example", 2, "in a host name"),
        (Host, "a..b", 3, "labels"),
        (Host, "a.", 3, "labels"),
        (Host, "-a.b", 1, "labels"),
        (Host, "a:", 3, "a port"),
        (Host, "a:0", 3, "a port"),
        (Host, "a:65536", 3, "a port"),
        (Host, "a:+1", 3, "a port"),
        (Host, "[::1", 1, "a host name"),
        (Host, "::1", 1, "in a host name"),
        (Host, "%[hdr(x)]", 1, "HAProxy's templates"),
        (Host, "a if Host is", 13, "a value"),
    ] {
        let error = Rewrite::parse(kind, text).expect_err(text);
        assert_eq!(error.column, column, "{text:?}: {error}");
        assert!(error.expected.contains(expected), "{text:?}: {error}");
    }
    let long = format!("/{}", "a".repeat(crate::expression::MAX_LENGTH));
    assert!(Rewrite::parse(Path, &long).is_err());
    assert!(Rewrite::parse(Host, &vec!["a"; 200].join(".")).is_err());
}

#[test]
fn rewrites_are_stored_as_people_write_them() {
    for (text, kind) in [
        (r#"{"path":"/new if Path == '/old'"}"#, RewriteKind::Path),
        (r#"{"prefix":"/old to /"}"#, RewriteKind::Prefix),
        (r#"{"host":"a.example:80"}"#, RewriteKind::Host),
    ] {
        let rewrite: Rewrite = serde_json::from_str(text).unwrap();
        assert_eq!(rewrite.kind(), kind);
        assert_eq!(serde_json::to_string(&rewrite).unwrap(), text);
    }
    for text in [r#"{"path":"new"}"#, r#"{"url":"/new"}"#, r#"{"path":"/a","host":"b"}"#, r#""/a""#] {
        assert!(serde_json::from_str::<Rewrite>(text).is_err(), "{text}");
    }
}

fn assert_printed_form_is_the_same(kind: RewriteKind, text: &str) -> Result<(), TestCaseError> {
    if let Ok(rewrite) = Rewrite::parse(kind, text) {
        let printed = rewrite.to_string();
        let again = Rewrite::parse(kind, &printed);
        prop_assert_eq!(again.as_ref().ok(), Some(&rewrite), "{} printed {}: {:?}", text, printed, again);
        prop_assert_eq!(again.unwrap().to_string(), printed);
    }
    Ok(())
}

#[test]
fn every_seed_is_refused_or_printed_as_the_same() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz-seeds/rewrite");
    let mut parsed = [0; 3];
    for entry in std::fs::read_dir(folder).expect("seeds are there") {
        let text = std::fs::read_to_string(entry.unwrap().path()).expect("a text");
        for (kind, parsed) in KINDS.into_iter().zip(&mut parsed) {
            assert_printed_form_is_the_same(kind, text.trim_end_matches('\n')).unwrap();
            *parsed += usize::from(Rewrite::parse(kind, text.trim_end_matches('\n')).is_ok());
        }
    }
    assert!(parsed.iter().all(|parsed| *parsed >= 4), "{parsed:?}");
}

const CONDITION: &str = "( if (Path is /[a-z]{1,5}|Has Header 'a b'|!\\(Method is GET or IP in 10\\.0\\.0\\.0/8\\)|< path_beg /x >))?";

proptest! {
    #![proptest_config(crate::tests::cases(2_000))]

    #[test]
    fn printing_and_parsing_a_rewrite_is_the_identity(
        path in "(/[a-z.()'%2~:@]{0,6}){1,4}", to in "(/[a-z]{0,3}){1,3}/?", host in "[a-zA-Z0-9-]{1,5}(\\.[a-z]{1,4}){0,3}(:[0-9]{1,5})?",
        condition in CONDITION, quoted in any::<bool>(),
    ) {
        let path = if quoted { format!("'{}'", path.replace('\'', "''")) } else { path };
        assert_printed_form_is_the_same(RewriteKind::Path, &format!("{path}{condition}"))?;
        assert_printed_form_is_the_same(RewriteKind::Prefix, &format!("{path} to {to}{condition}"))?;
        assert_printed_form_is_the_same(RewriteKind::Host, &format!("{host}{condition}"))?;
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,40}|[ a-c/%.'\"\\[\\]:é\r\n?#\\\\]{0,24}( if | to )?[ a-c/%.'\"\\[\\]:é\r\n?#\\\\]{0,12}") {
        for kind in KINDS {
            assert_printed_form_is_the_same(kind, &text)?;
            if let Err(error) = Rewrite::parse(kind, &text) {
                prop_assert!(error.column >= 1 && error.column <= text.chars().count() + 1, "{error}");
            }
        }
    }

    #[test]
    fn a_rewritten_path_is_one_that_can_be_sent(
        old in "(/[a-b]{1,2}){0,2}/?", new in "(/[a-b.%2f]{1,3}){0,2}/?", asked in "/{1,2}[a-b/]{0,8}",
    ) {
        let Ok(rewrite) = Rewrite::parse(RewriteKind::Prefix, &format!("{old} to {new}")) else { return Ok(()) };
        let asked: &'static str = asked.leak();
        let request = at(asked);
        let Some(path) = rewrite.apply(&request).and_then(|rewritten| rewritten.path) else { return Ok(()) };
        let path = path.to_string();
        prop_assert!(path.starts_with('/') && !path.starts_with("//"), "{path}");
        let trimmed = old.trim_end_matches('/');
        prop_assert!(asked == trimmed || asked[trimmed.len()..].starts_with('/'));
    }
}
