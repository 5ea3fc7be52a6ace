//! What is said of conditions, line by line.

use super::*;

fn parse(text: &str) -> Condition {
    Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn assert_same(one: &str, other: &str) {
    assert_eq!(parse(one), parse(other), "{one} and {other}");
}

fn assert_refused(texts: &[&str]) {
    for text in texts {
        assert!(Condition::parse(text).is_err(), "{text} must not parse");
    }
}

#[test]
fn keywords_are_read_in_any_case() {
    assert_same("HOST IS a AND NOT HAS HEADER x OR IP IN ::1", "Host is a and not Has Header x or IP in ::1");
    assert_same("path STARTS With /x", "Path starts with /x");
    assert_same("uSER-aGENT cONTAINS x oR mISSES cOOKIE y", "User-Agent contains x or Misses Cookie y");
    assert_same("percent < 5 Or sni Is a oR method NOT b", "Percent < 5 or SNI is a or Method not b");
    assert_same("query n Matches /x/", "Query n matches /x/");
}

#[test]
fn not_binds_tighter_than_and_and_that_tighter_than_or() {
    let mixed = "Has Header a or ! Has Header b and Has Header c";
    for other in [
        "Has Header a || (!Has Header b) && Has Header c",
        "Has Header a | not Has Header b & Has Header c",
        "Has Header a or ((not Has Header b) and Has Header c)",
    ] {
        assert_same(mixed, other);
    }
    assert_ne!(parse(mixed), parse("(Has Header a or !Has Header b) and Has Header c"));
    assert_ne!(parse(mixed), parse("Has Header a or !(Has Header b and Has Header c)"));
}

#[test]
fn white_space_is_required_after_word_operators_only() {
    assert_same("! Host is a", "!Host is a");
    assert_same("(Host is a)&&(Host is b)||(Host is c)", "(Host is a) and (Host is b) or (Host is c)");
    assert_same("!(Host is a)", "not (Host is a)");
    assert_refused(&[
        "not(Host is a)",
        "(Host is a) and(Host is b)",
        "(Host is a) or(Host is b)",
        "(Host is a) andHost is b",
        "Host is a and",
        "Host is a or",
        "not",
    ]);
}

#[test]
fn a_bare_value_ends_at_a_blank_or_parenthesis() {
    assert_same("(Host is a)", "Host is a");
    assert_same("(Header x has a;b=c&d|e'f\"g)", "Header x has 'a;b=c&d|e''f\"g'");
    assert_refused(&["Host is a b", "Header x has a(b", "Host is (a)", "Header x has", "Header x has )"]);
}

#[test]
fn quotes_are_doubled_inside_quotes() {
    let request = Asked { headers: vec![("x", "it's \"so\"")], ..Asked::default() };
    check(
        &request,
        &[
            "Header x == 'it''s \"so\"'",
            "Header x == \"it's \"\"so\"\"\"",
            "Header x has ''''",
            "Header x has \"\"\"\"",
        ],
        &["Header x has ''''''", "Header x has '\"\"'"],
    );
    assert_refused(&["Header x has 'a'b", "Header x has 'a''", "Header x has \"a'", "Header x has '"]);
}

#[test]
fn a_slash_inside_a_regular_expression_is_escaped() {
    let request = Asked { path: "/a/b", headers: vec![("x", "a/b")], ..Asked::default() };
    check(&request, &[r"Path matches /^\/a\/b$/", r"Header x has /a\/b/", r"Header x is /^a\/b$/"], &[]);
    assert_refused(&["Header x has /a/b/", "Header x has /a", r"Header x has /a\/", "Header x has /(/"]);
}

#[test]
fn regular_expressions_are_bounded_in_size() {
    let error = Condition::parse(r"Header x matches /(\w{500}){500}/").unwrap_err();
    assert!(error.expected.contains("compile"), "{error}");
    assert_eq!((error.column, error.length), (18, 16));
    let many = vec![r"Header x matches /\w{20}/"; 500].join(" or ");
    let error = Condition::parse(&many).unwrap_err();
    assert!(error.expected.contains("smaller all together"), "{error}");
    assert_eq!(error.span().of(&many), r"/\w{20}/");
    parse(&vec!["Header x matches /^a[a-z0-9]*.z$/"; 400].join(" or "));
}

#[test]
fn host_is_compared_exactly_by_every_comparison() {
    let request = Asked { host: "Foo.bar", ..Asked::default() };
    for comparison in ["=", "==", "is", "has", "contains", "IS", "Contains"] {
        check(&request, &[&format!("Host {comparison} foo.BAR")], &[&format!("Host {comparison} foo")]);
    }
    for comparison in ["!=", "!", "not", "misses", "NOT", "Misses"] {
        check(&request, &[&format!("Host {comparison} foo")], &[&format!("Host {comparison} FOO.bar")]);
    }
    check(&request, &["Host=foo.bar", "Host==foo.bar", "Host!=foo", "Host!foo"], &[]);
    assert_refused(&["Host foo.bar", "Host : a", "Host === a", "Host equals a", "Host < a"]);
}

#[test]
fn user_agent_is_searched_by_every_comparison() {
    let request = Asked { headers: vec![("User-Agent", "Some/1.0 Robot")], ..Asked::default() };
    for comparison in ["=", "==", "is", "has", "contains"] {
        check(
            &request,
            &[&format!("User-Agent {comparison} ROBOT")],
            &[&format!("User-Agent {comparison} b0t")],
        );
    }
    for comparison in ["!=", "!", "not", "misses"] {
        check(
            &request,
            &[&format!("User-Agent {comparison} b0t")],
            &[&format!("User-Agent {comparison} robot")],
        );
    }
}

#[test]
fn known_browsers_are_named_in_any_case_and_told_apart() {
    let agents = [
        ("Chrome", "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"),
        ("Firefox", "Mozilla/5.0 (X11; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("Safari", "Mozilla/5.0 (Macintosh) AppleWebKit/605 (KHTML, like Gecko) Version/17.0 Safari/605"),
        ("IE", "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)"),
    ];
    for (name, value) in agents {
        let request = Asked { headers: vec![("user-agent", value)], ..Asked::default() };
        for (other, _) in agents {
            for written in [other.to_owned(), other.to_lowercase(), other.to_uppercase()] {
                assert_eq!(
                    meets(&format!("User-Agent is {written}"), &request),
                    name == other,
                    "{written}: {value}"
                );
                assert_eq!(
                    meets(&format!("User-Agent misses {written}"), &request),
                    name != other,
                    "{written}"
                );
            }
        }
    }
    let mobile = [
        ("iOS", "Mozilla/5.0 (iPad; CPU OS 17_0)"),
        ("Android", "Mozilla/5.0 (Linux; Android 14)"),
        ("Edge", "Chrome/120 Edg/120"),
    ];
    for (name, value) in mobile {
        let request = Asked { headers: vec![("user-agent", value)], ..Asked::default() };
        check(
            &request,
            &[&format!("User-Agent is {name}"), &format!("user-agent = '{name}'")],
            &["User-Agent is IE"],
        );
    }
}

#[test]
fn headers_and_cookies_are_there_or_missed() {
    let request = Asked { headers: vec![("X-A", ""), ("cookie", "c=")], ..Asked::default() };
    check(
        &request,
        &[
            "Has Header x-a",
            "Contains Header x-a",
            "has header X-A",
            "Misses Header y",
            "Has Cookie c",
            "Contains Cookie c",
            "Misses Cookie C",
            "Has Header 'X-A'",
        ],
        &["Misses Header x-a", "Has Cookie d", "Contains Header y", "Misses Cookie c"],
    );
    assert_refused(&["Has x", "Has Header", "Is Header x", "Has Query x", "Has Header x y"]);
}

#[test]
fn an_absent_header_or_cookie_misses_every_value_and_differs_from_it() {
    let request = Asked::default();
    for subject in ["Header x", "Cookie x", "User-Agent", "Query x"] {
        for value in ["''", "a", "/.*/"] {
            for comparison in ["misses", "!=", "!", "not"] {
                let condition = format!("{subject} {comparison} {value}");
                assert!(meets(&condition, &request), "{condition}");
            }
            for comparison in ["has", "==", "is"] {
                let condition = format!("{subject} {comparison} {value}");
                assert!(!meets(&condition, &request), "{condition}");
            }
        }
    }
}

#[test]
fn header_and_cookie_values_match_with_case_as_parts_or_whole() {
    let request = Asked { headers: vec![("x", "abC"), ("cookie", "c=abC")], ..Asked::default() };
    for subject in ["Header x", "Cookie c"] {
        let terms = |comparisons: &[&str]| -> Vec<String> {
            comparisons.iter().map(|comparison| format!("{subject} {comparison}")).collect()
        };
        let met = terms(&[
            "has bC",
            "contains a",
            "misses bc",
            "== abC",
            "is abC",
            "= abC",
            "!= abc",
            "matches /b.$/",
            "has /^a/",
            "misses /z/",
        ]);
        let not_met = terms(&["has BC", "misses b", "== ab", "!= abC", "not abC", "matches /c/", "has z"]);
        let refer = |terms: &[String]| terms.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        check(
            &request,
            &refer(&met).lines().collect::<Vec<_>>(),
            &refer(&not_met).lines().collect::<Vec<_>>(),
        );
    }
}

#[test]
fn every_acl_of_the_subset_is_read() {
    for acl in [
        "path_beg /a /b",
        "path /a",
        "path_end .png",
        "path_reg ^/a",
        "method GET POST",
        "src 10.0.0.0/8 ::1",
        "hdr(x) a",
        "hdr_sub(x) a b",
        "hdr_reg(x) ^a",
        "cook(c) a",
        "hdr_cnt(x) gt 1",
        "req.hdr(x) a",
        "req.hdr_sub(x) a",
        "req.hdr_reg(x) a",
        "req.hdr_cnt(x) 1",
        "req.cook(c) a",
        "path -m sub a",
        "path -m beg /a",
        "path -m end a",
        "path -m reg a",
        "hdr(x) -i -m sub a",
        "hdr(x) -m sub -i a",
        "path -- -i",
    ] {
        parse(&format!("< {acl} >"));
        parse(&format!("Has Header a and not <{acl}> or (< {acl} >)"));
    }
}

#[test]
fn every_other_acl_is_an_error() {
    for acl in [
        "",
        "path_beg",
        "path_dir /a",
        "path_len 3",
        "url /a",
        "url_beg /a",
        "PATH_BEG /a",
        "req.path /a",
        "req.method GET",
        "req.src ::1",
        "method_beg G",
        "src_beg 1",
        "hdr x",
        "hdr() x",
        "hdr(x,1) a",
        "hdr(x)",
        "hdr_dom(x) a",
        "cook_cnt(c) 1",
        "res.hdr(x) a",
        "ssl_fc",
        "always_true",
        "{ path /a }",
        "!path /a",
        "path -f file",
        "path -m dom a",
        "path -u 3 a",
        "src -m beg 10",
        "hdr_cnt(x) a",
        "hdr_cnt(x) gt",
        "hdr_cnt(x) gt 1:2",
        "hdr_cnt(x) gt 4294967295",
        "hdr_cnt(x) -1",
        "src a",
        "src 10.0.0.0/33",
        "path_reg (",
        "path /a <",
        "path_beg,lower /a",
        "path_beg/a",
        "hdr(x)a",
        "path-i /a",
    ] {
        assert_refused(&[&format!("< {acl} >"), &format!("< {acl}"), &format!("<{acl}>")]);
    }
    assert_refused(&["path_beg /a", "hdr(x) a", "< path_beg /a > < path_beg /b >", "<>", "<", ">"]);
}

#[test]
fn several_values_of_an_acl_are_alternatives_and_flags_hold_for_all() {
    let request = Asked { method: "PUT", path: "/B", headers: vec![("x", "One, Two")], ..Asked::default() };
    check(
        &request,
        &[
            "< method GET PUT >",
            "< path_beg -i /a /b >",
            "< hdr(x) -i three two >",
            "< src ::1 192.0.2.7 >",
            "< hdr_cnt(x) 7 2 >",
        ],
        &["< method GET POST >", "< path_beg /a /b >", "< hdr(x) three two >", "< hdr_cnt(x) 0 1 3: >"],
    );
}

#[test]
fn forms_beyond_those_of_vamp_are_read() {
    let request = Asked {
        method: "PATCH",
        path: "/a/b.txt",
        query: "n=%C3%A4&m",
        sni: "Foo.bar",
        client: "2001:db8::7".parse().unwrap(),
        ..Asked::default()
    };
    check(
        &request,
        &[
            "Path is /a/b.txt",
            "Path starts with /a/",
            "Path ends with .txt",
            "Path matches /b\\.[a-z]+$/",
            "Path matches '/b'",
            "Method is patch",
            "Query n is ä",
            "Query m is ''",
            "IP in 2001:db8::/32",
            "IP in 2001:db8::7",
            "SNI is foo.bar",
            "SNI matches /^foo/",
            "Method matches /^p/",
            "Percent < 100",
            "Percent < 100%",
            "Host matches /bar/",
            "Query n matches /^ä$/",
        ],
        &["Percent < 0", "Percent < 0%", "IP in 2001:db9::/32", "SNI is bar", "Path matches /^b/"],
    );
    assert_refused(&[
        "Percent < 100.1",
        "Percent < -1",
        "Percent < 1.234",
        "Percent <= 1",
        "Percent is 5",
        "IP is ::1",
        "IP in x",
        "Method has G",
        "Method has /G/",
        "SNI starts with a",
        "Header x starts with /a/",
        "Query is 1",
    ]);
}

#[test]
fn mapped_networks_are_ipv4_networks() {
    assert_same("IP in ::ffff:192.0.2.0/120", "IP in 192.0.2.0/24");
    assert_same("< src ::ffff:192.0.2.7 >", "< src 192.0.2.7 >");
    check(&Asked::default(), &["IP in ::ffff:192.0.2.7"], &["IP in ::/0"]);
}

#[test]
fn what_is_wrong_is_marked_from_end_to_end() {
    for (text, marked, found) in [
        ("Hots is x", "Hots", "`Hots`"),
        ("Host is x ant y", "ant", "`ant`"),
        ("Percent < 101 or Host is a", "101", "`101`"),
        ("IP in '10.0.0.0/33'", "'10.0.0.0/33'", "`'10.0.0.0/33'`"),
        ("Header x matches /(/ and Host is a", "/(/", "`/(/`"),
        ("Method has x", "has", "`has`"),
        ("< src 1.2.3.4 foo >", "foo", "`foo`"),
        ("< path_beg -x /y >", "-x", "`-x`"),
        ("< path_foo /y >", "path_foo", "`path_foo`"),
        ("Host is a)", ")", "`)`"),
        ("Host is 'a b", "'", "the end"),
        ("Has  Nothing", "Nothing", "`Nothing`"),
    ] {
        let error = Condition::parse(text).expect_err(text);
        assert_eq!((error.span().of(text), error.found.as_str()), (marked, found), "{text}: {error}");
    }
    let error = Condition::parse("Host is").unwrap_err();
    assert_eq!((error.column, error.length, error.found.as_str()), (8, 1, "the end"));
    let long = format!("Host is a {}", "x".repeat(100));
    let error = Condition::parse(&long).unwrap_err();
    assert_eq!((error.length, error.found), (100, format!("`{}…`", "x".repeat(24))));
}
