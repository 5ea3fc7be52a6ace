//! Warnings: what is legal and surely wrong is said, with its place; what may be right is not.

use super::*;

fn warned(text: &str) -> Vec<String> {
    let condition = Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    condition.lint().iter().map(|warning| format!("{} {}", warning.code, warning.span.of(text))).collect()
}

#[test]
fn conditions_that_can_never_match_are_told() {
    for text in [
        "Host is a and Host is b",
        "Method is GET and Method is POST",
        "Has Header x and Misses Header X",
        "Percent < 0",
        "IP in 10.0.0.0/8 and IP in 192.0.2.0/24",
        "Path is /a and Path starts with /b",
        "Path starts with /a and Path starts with /b",
        "Has Cookie x and not Has Cookie x",
        "Header x has abc and Header x misses b",
        "Misses Header cookie and Cookie beta is on",
        "Path is /a and (Path is /b or Path is /c)",
        "Percent < 5 and not Percent < 10",
        "SNI is a and SNI != A",
        "Path is /a and Path matches /^b/",
        "< hdr(x) 'a,b' >",
        "< hdr_cnt(x) 3:1 >",
        "< path_beg /a > and Path is /b",
        "< method GET > and Method is POST",
        "Cookie a is 'b;c'",
        "Path misses ''",
    ] {
        let warned = warned(text);
        assert_eq!(warned, [format!("condition-never-matches {text}")]);
    }
}

#[test]
fn conditions_that_always_match_are_told() {
    for text in [
        "Percent < 100",
        "Has Cookie x or not Has Cookie x",
        "IP in 0.0.0.0/0 or IP in ::/0",
        "Path has ''",
        "Path starts with ''",
        "Host matches /.*/",
        "Host is a or Host != a",
        "< hdr_cnt(x) 0: >",
        "Path != /a or Path starts with /a",
        "Host != a or Host != b",
    ] {
        assert_eq!(warned(text), [format!("condition-always-matches {text}")]);
    }
}

#[test]
fn parts_that_never_or_always_match_are_told_with_their_place() {
    assert_eq!(
        warned("Host is a or Method is GET and Method is PUT"),
        ["part-never-matches Method is GET and Method is PUT"]
    );
    assert_eq!(warned("Host is a and Percent < 100"), ["part-always-matches Percent < 100"]);
    assert_eq!(warned("Host is a and not (Percent < 0)"), ["part-never-matches Percent < 0"]);
    assert_eq!(
        warned(" not (Host is a or Has Header a and ((Host is b) and ( Host is c ) )) "),
        ["part-never-matches (Host is b) and ( Host is c )"]
    );
    assert_eq!(
        warned(" not(Percent < 0)".replace("not(", "!(").as_str()),
        ["condition-always-matches !(Percent < 0)"]
    );
    assert_eq!(
        warned("Host is a or (not (Has Header b)) and Has Header b"),
        ["part-never-matches (not (Has Header b)) and Has Header b"]
    );
    assert_eq!(warned("Host is a and (Host is b or Percent < 100)"), ["part-always-matches Percent < 100"]);
    let three = "Host is a and Has Header x and Host is b";
    let warnings = Condition::parse(three).unwrap().lint();
    assert!(
        warnings[0].message.contains("`Host is a` and `Host is b` exclude each other"),
        "{}",
        warnings[0]
    );
    assert_eq!((warnings[0].span.column, warnings[0].span.length), (1, three.len()));
    assert!(warnings[0].to_string().starts_with("column 1: warning[condition-never-matches]: "));
}

#[test]
fn a_value_that_always_passes_asks_for_presence() {
    let text = "Has Header x and Header x misses ''";
    assert_eq!(
        warned(text),
        [format!("condition-never-matches {text}"), "value-always-passes Header x misses ''".to_owned()]
    );
}

#[test]
fn names_and_values_that_no_request_has_are_told() {
    for (text, warning) in [
        ("Has Header 'x y'", "header-name-invalid Has Header 'x y'"),
        ("Host is a and Header x: has y", "header-name-invalid Header x: has y"),
        ("< hdr(a:b) x >", "header-name-invalid < hdr(a:b) x >"),
        ("Method is GTE", "unknown-method Method is GTE"),
        ("< method get >", "unknown-method < method get >"),
        ("Path is api", "path-without-slash Path is api"),
        ("Path starts with api/", "path-without-slash Path starts with api/"),
        ("< path_beg api >", "path-without-slash < path_beg api >"),
        ("Path is /a?b=c", "path-with-query Path is /a?b=c"),
        ("Path has '?x'", "path-with-query Path has '?x'"),
        ("Host is *.bar.com", "host-invalid Host is *.bar.com"),
        ("SNI is https://bar.com", "host-invalid SNI is https://bar.com"),
        ("Header x has ''", "value-always-passes Header x has ''"),
        ("Cookie x matches /.*/", "value-always-passes Cookie x matches /.*/"),
        ("< path_beg /a or path_beg /b >", "acl-operator-as-value < path_beg /a or path_beg /b >"),
    ] {
        assert_eq!(warned(text), [warning]);
    }
    let cookie = "cookie-name-invalid Has Cookie 'a b'";
    assert_eq!(warned("Has Cookie 'a b'"), [cookie]);
    let wildcard = &Condition::parse("Host is *.bar.com").unwrap().lint()[0];
    assert!(wildcard.advice.contains(r"`matches /\.bar\.com$/`"), "{wildcard}");
}

#[test]
fn what_may_be_right_is_not_warned_of() {
    for text in [
        "Method is get",
        "Method is PROPFIND",
        "Method is /^P/",
        "Path is *",
        "Path matches /api/",
        "Header x has a and Header x has b",
        "Header x == a and Header x == b",
        "Query q is a and Query q is b",
        "Host is a or Host is b",
        "SNI == ''",
        "Host is [::1]",
        "Host is foo.bar.com:8080",
        "Cookie a == ''",
        "IP in 10.0.0.0/8 and not IP in 10.1.0.0/16",
        "Percent < 5 or Has Cookie beta",
        "User-Agent is Safari and not User-Agent is Chrome",
        "User-Agent is Firefox and User-Agent is Android",
        "< hdr(x) 'or' b >",
        "< path_beg /a /b >",
        "< hdr_cnt(x) gt 1 >",
        "< path_end .or .and >",
        "Has Header x and Header x misses y",
        "IP in 0.0.0.0/0",
    ] {
        assert_eq!(warned(text), Vec::<String>::new(), "{text}");
    }
}
