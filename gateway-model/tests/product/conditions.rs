//! Section 2: conditions.

use std::net::{IpAddr, Ipv4Addr};

use gateway_model::condition::{Condition, client_share};

use super::*;

fn parse(condition: &str) -> Condition {
    condition.parse().unwrap_or_else(|error| panic!("{condition}: {error}"))
}

/// Asserts which of these conditions a request meets, all in `met` and none in `missed`.
fn check(asked: &Asked, met: &[&str], missed: &[&str]) {
    for condition in met {
        assert!(parse(condition).matches(asked), "must be met: {condition}");
    }
    for condition in missed {
        assert!(!parse(condition).matches(asked), "must not be met: {condition}");
    }
}

fn assert_refused(conditions: &[&str]) {
    for condition in conditions {
        assert!(condition.parse::<Condition>().is_err(), "{condition}");
    }
}

fn agent(value: &str) -> Asked {
    with_header("User-Agent", value)
}

/// What Chrome, Firefox, Safari, Edge, Internet Explorer, and browsers of iOS and Android send.
const AGENTS: [(&str, &str); 7] = [
    ("Chrome", "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"),
    ("Firefox", "Mozilla/5.0 (X11; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("Safari", "Mozilla/5.0 (Macintosh) AppleWebKit/605.1 (KHTML, like Gecko) Version/17.0 Safari/605.1"),
    ("Edge", "Mozilla/5.0 (Windows) Edge/18.0"),
    ("IE", "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)"),
    ("iOS", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Mobile/15E148"),
    ("Android", "Mozilla/5.0 (Linux; Android 14) Mobile"),
];

#[test]
fn keywords_are_in_any_case() {
    for text in ["HOST IS foo.bar.com AND NOT HAS HEADER x", "host is foo.bar.com and not has header x"] {
        assert_eq!(parse(text), parse("Host is foo.bar.com And Not Has Header x"));
    }
}

#[test]
fn not_binds_tighter_than_and_and_that_tighter_than_or() {
    let [a, b, c] = ["Has Header a", "Has Header b", "Has Header c"];
    for (not, and, or) in [("!", "&&", "||"), ("not ", "and", "or"), ("! ", "&", "|")] {
        let text = format!("{a} {or} {not}{b} {and} {c}");
        assert_eq!(parse(&text), parse(&format!("({a}) or ((not {b}) and {c})")), "{text}");
    }
}

#[test]
fn parentheses_come_first() {
    check(
        &with_header("a", ""),
        &["Has Header a or Has Header b and Has Header c"],
        &["(Has Header a or Has Header b) and Has Header c", "!(Has Header a or Has Header b)"],
    );
}

#[test]
fn white_space_is_required_after_word_operators() {
    assert_refused(&["not(Host is a)", "(Host is a) and(Host is b)", "(Host is a) or(Host is b)"]);
    parse("!(Host is a)&&(Host is b)||(Host is c)");
}

#[test]
fn a_bare_value_ends_at_a_blank_or_parenthesis() {
    assert_eq!(parse("(Header x has a'b&c)"), parse("Header x has \"a'b&c\""));
    assert_refused(&["Header x has a b", "Header x has a(b"]);
}

#[test]
fn a_quoted_value_has_its_quote_doubled_inside() {
    check(
        &with_header("x", "it's \"so\""),
        &["Header x == 'it''s \"so\"'", "Header x == \"it's \"\"so\"\"\""],
        &[],
    );
    assert_refused(&["Header x has 'it's'", "Header x has 'a"]);
}

#[test]
fn a_regular_expression_stands_between_slashes_and_has_its_own_escaped() {
    check(
        &with_header("x", "a/b7"),
        &[r"Header x has /a\/b\d/", r"Header x matches /^a/"],
        &["Header x has /^b/"],
    );
    assert_refused(&["Header x has /a/b/", "Header x has /(/"]);
}

#[test]
fn a_regular_expression_is_bounded_in_size_and_needs_linear_time() {
    assert_refused(&[
        r"Header x matches /(\w{500}){500}/",
        r"Header x matches /(a)\1/",
        "Header x matches /(?=a)/",
    ]);
    let asked = with_header("x", &"a".repeat(10_000));
    check(&asked, &[], &["Header x matches /^(a+)+$b/", "Header x matches /(a|a)*b/"]);
}

// The list of terms, first bullet.

#[test]
fn host_is_compared_exactly_and_without_case() {
    for equal in ["=", "==", "is", "has", "contains"] {
        check(&request(), &[&format!("Host {equal} FOO.bar.com")], &[&format!("Host {equal} bar.com")]);
    }
    for differs in ["!=", "!", "not", "misses"] {
        check(&request(), &[&format!("Host {differs} bar.com")], &[&format!("Host {differs} FOO.bar.com")]);
    }
}

#[test]
fn a_port_behind_the_host_is_ignored() {
    let asked = Asked { host: "foo.bar.com:8080".to_owned(), ..request() };
    check(&asked, &["Host is foo.bar.com", "Host matches /com$/"], &["Host != foo.bar.com"]);
}

#[test]
fn user_agent_is_searched_for_a_substring() {
    for has in ["=", "==", "is", "has", "contains"] {
        check(
            &agent("Robot/1.0"),
            &[&format!("User-Agent {has} bot/1")],
            &[&format!("User-Agent {has} bot/2")],
        );
    }
    for misses in ["!=", "!", "not", "misses"] {
        check(
            &agent("Robot/1.0"),
            &[&format!("User-Agent {misses} bot/2")],
            &[&format!("User-Agent {misses} bot/1")],
        );
    }
}

#[test]
fn known_browsers_are_told_apart() {
    for (name, value) in AGENTS {
        for (other, _) in AGENTS {
            let is_it = parse(&format!("User-Agent is {other}")).matches(&agent(value));
            assert_eq!(is_it, name == other, "{other}: {value}");
        }
    }
}

#[test]
fn a_header_or_cookie_is_there_or_missed() {
    let asked = Asked {
        headers: [("x", ""), ("cookie", "c=")].map(|(a, b)| (a.into(), b.into())).into(),
        ..request()
    };
    check(
        &asked,
        &[
            "Has Header X",
            "Contains Header x",
            "Misses Header y",
            "Has Cookie c",
            "Contains Cookie c",
            "Misses Cookie d",
        ],
        &["Misses Header x", "Has Header y", "Misses Cookie c", "Has Cookie d", "Contains Cookie x"],
    );
}

#[test]
fn a_header_has_contains_or_misses_a_substring() {
    check(
        &with_header("x", "one two"),
        &["Header x has ne", "Header X contains two", "Header x misses three"],
        &["Header x has three", "Header x misses one"],
    );
}

#[test]
fn a_cookie_has_contains_or_misses_a_substring() {
    check(
        &with_header("Cookie", "a=one; b=two"),
        &["Cookie a has ne", "Cookie b contains two", "Cookie a misses two"],
        &["Cookie a has two", "Cookie b misses wo"],
    );
}

// Second bullet.

#[test]
fn an_absent_header_misses_every_value_and_differs_from_it() {
    check(
        &request(),
        &[
            "Header x misses a",
            "Header x misses ''",
            "Header x != a",
            "Header x != ''",
            "User-Agent misses Firefox",
        ],
        &["Header x has a", "Header x == ''", "Header x matches /.*/"],
    );
}

#[test]
fn an_absent_cookie_misses_every_value_and_differs_from_it() {
    check(
        &with_header("Cookie", "other=a"),
        &["Cookie x misses a", "Cookie x != a", "Cookie x != ''"],
        &["Cookie x has a", "Cookie x == ''"],
    );
}

#[test]
fn known_browser_names_are_in_any_case() {
    for (name, value) in AGENTS {
        for written in [name.to_lowercase(), name.to_uppercase()] {
            check(
                &agent(value),
                &[&format!("User-Agent is {written}")],
                &[&format!("User-Agent misses {written}")],
            );
        }
    }
}

#[test]
fn user_agent_values_match_without_regard_to_case() {
    check(&agent("Robot"), &["User-Agent has robot", "User-Agent has ROBOT"], &[]);
}

#[test]
fn header_and_cookie_values_match_with_case() {
    check(&with_header("x", "One"), &["Header x has On"], &["Header x has on", "Header x == one"]);
    check(&with_header("cookie", "x=One"), &["Cookie x has On"], &["Cookie x has on", "Cookie x == one"]);
}

// Third bullet: raw ACLs.

#[test]
fn acls_ask_for_paths() {
    let asked = Asked { path: "/static/a.png".to_owned(), ..request() };
    check(
        &asked,
        &["< path_beg /static >", "< path /static/a.png >", "< path_end .png >", "< path_reg ^/s.*g$ >"],
        &["< path_beg /api >", "< path /static >", "< path_end .jpg >", "< path_reg ^s >"],
    );
}

#[test]
fn acls_ask_for_methods_and_clients() {
    check(
        &request(),
        &["< method GET >", "< src 198.51.100.0/24 >", "< src 198.51.100.7 >"],
        &["< method POST >", "< src 10.0.0.0/8 >"],
    );
}

#[test]
fn acls_ask_for_headers_and_cookies() {
    let headers = [("X", "red, green"), ("Cookie", "c=on")].map(|(name, value)| (name.into(), value.into()));
    let asked = Asked { headers: headers.into(), ..request() };
    let met = ["hdr(x) red", "hdr_sub(x) ree", "hdr_reg(x) ^gr", "cook(c) on", "hdr_cnt(x) 2"];
    let missed = ["hdr(x) re", "hdr_sub(x) blue", "hdr_reg(x) ^re.n", "cook(c) o", "hdr_cnt(x) 3"];
    for (met, missed) in met.iter().zip(missed) {
        check(&asked, &[&format!("< {met} >"), &format!("< req.{met} >")], &[&format!("< {missed} >")]);
    }
}

#[test]
fn acls_have_flags_for_case_and_for_where_to_look() {
    let asked = Asked { path: "/Static/A.png".to_owned(), ..request() };
    for flags in ["-i /static/a.PNG", "-m sub tic", "-m beg /St", "-m end png", "-m reg ^/S", "-i -m beg /st"]
    {
        check(&asked, &[&format!("< path {flags} >")], &[]);
    }
    check(&asked, &[], &["< path /static/a.png >", "< path -m beg tic >"]);
}

#[test]
fn several_values_of_an_acl_are_alternatives() {
    check(&request(), &["< method POST GET >"], &["< method POST PUT >"]);
}

#[test]
fn any_other_acl_is_an_error() {
    assert_refused(&[
        "< path_len 3 >",
        "< url /a >",
        "< hdr_dom(x) a >",
        "< path -f file >",
        "< always_true >",
        "<>",
    ]);
}

// Fourth bullet: beyond Vamp.

#[test]
fn a_path_is_starts_with_ends_with_or_matches() {
    let asked = Asked { path: "/api/v1".to_owned(), ..request() };
    check(
        &asked,
        &["Path is /api/v1", "Path starts with /api", "Path ends with v1", r"Path matches /^\/api\/v\d$/"],
        &["Path is /api", "Path starts with /v1", "Path ends with /api", "Path matches /x/"],
    );
}

#[test]
fn a_method_is() {
    check(&request(), &["Method is GET"], &["Method is POST"]);
}

#[test]
fn a_query_parameter_is() {
    let asked = Asked { query: "page=2&q=a%20b".to_owned(), ..request() };
    check(&asked, &["Query page is 2", "Query q is 'a b'"], &["Query page is 3", "Query none is 2"]);
}

#[test]
fn an_address_is_in_a_network() {
    check(&request(), &["IP in 198.51.100.0/24"], &["IP in 10.0.0.0/8", "IP in 2001:db8::/32"]);
    let asked = Asked { client: "2001:db8::1".parse().unwrap(), ..request() };
    check(&asked, &["IP in 2001:db8::/32"], &["IP in 198.51.100.0/24"]);
}

#[test]
fn header_and_cookie_values_are_compared_whole() {
    check(&with_header("x", "one"), &["Header x == one"], &["Header x == on"]);
    check(&with_header("cookie", "x=one"), &["Cookie x == one"], &["Cookie x == on"]);
}

#[test]
fn values_match_a_regular_expression() {
    let asked = with_header("cookie", "x=one");
    check(&asked, &["Cookie x matches /^o.e$/", "Host matches /^FOO/"], &["Cookie x matches /^n/"]);
}

#[test]
fn a_server_name_is() {
    let asked = Asked { sni: "foo.bar.com".to_owned(), ..request() };
    check(&asked, &["SNI is foo.bar.com"], &["SNI is bar.com"]);
}

#[test]
fn percent_is_a_fixed_part_of_the_clients_by_hash() {
    let client = |number: u32| IpAddr::from(Ipv4Addr::from(number));
    let part = parse("Percent < 25");
    let below = (0..4_000).filter(|number| part.matches(&Asked { client: client(*number), ..request() }));
    let below: Vec<u32> = below.collect();
    assert!((900..1_100).contains(&below.len()), "{}", below.len());
    assert!(below.iter().all(|number| client_share(client(*number)) < share("25%")));
    check(&request(), &["Percent < 100"], &["Percent < 0"]);
    assert_refused(&["Percent < 101", "Percent < -1", "Percent > 5"]);
}

#[test]
fn what_does_not_parse_is_refused_with_the_column_and_what_was_expected() {
    let error = "Host is a andd Host is b".parse::<Condition>().unwrap_err();
    assert_eq!(
        (error.column, error.to_string().contains("expected `and`, `or` or the end")),
        (11, true),
        "{error}"
    );
    let found = &complaints(&format!("{}routes: {{(1): {{condition: User-Agnet is x}}}}\n", on("http")))[0];
    let place = found.place.as_ref().unwrap();
    assert_eq!((found.code, place.line, place.column), ("invalid-condition", 4, 27), "{found}");
}

#[test]
fn what_does_not_parse_is_never_passed_through() {
    let text = format!("{}routes: {{(1): {{condition: hdr(x) -f file}}}}\n", on("http"));
    assert!(gateway::parse("foo.yaml", &text, "default").gateways.is_empty());
    assert_refused(&["", "path_beg /a", "{ path /a }", "anything at all"]);
}
