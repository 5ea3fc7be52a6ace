//! What is proven of conditions holds for every request of a small world in which values often coincide.

use proptest::strategy::ValueTree as _;

use super::*;

const VALUES: [&str; 7] = ["''", "a", "A", "ab", "b", "'a,b'", "' a'"];
const PATHS: [&str; 5] = ["''", "/", "/a", "/a/b", "/A"];
const REGEXES: [&str; 8] = ["/a/", "/^a/", "/^a$/", "/b$/", "/.*/", "/a|b/", "/^$/", "/^A$/"];

/// Single terms, in many forms.
fn terms() -> Vec<String> {
    let mut terms = Vec::new();
    let mut add = |subjects: &[&str], comparisons: &[&str], values: &[&str]| {
        for subject in subjects {
            for comparison in comparisons {
                terms.extend(values.iter().map(|value| format!("{subject} {comparison} {value}")));
            }
        }
    };
    add(&["Host", "Method", "SNI"], &["is", "!="], &VALUES[..5]);
    add(
        &["User-Agent"],
        &["has", "misses"],
        &["''", "a", "A", "Chrome", "Edg", "'Edge '", "Edge", "iOS", "Safari", "version"],
    );
    add(&["Header x", "Cookie c"], &["is", "!=", "has", "misses"], &VALUES);
    add(&["Query q"], &["is", "has", "misses"], &VALUES[..5]);
    add(&["Path"], &["is", "!=", "starts with", "ends with", "has", "misses"], &PATHS);
    add(&["Host", "Header x", "Cookie c", "Path", "User-Agent"], &["matches"], &REGEXES);
    add(&["Has", "Misses"], &["Header", "Cookie"], &["x", "c", "cookie", "'c=a'"]);
    add(
        &["IP"],
        &["in"],
        &["0.0.0.0/0", "::/0", "10.0.0.0/8", "10.0.0.0/9", "10.0.0.1", "::ffff:10.0.0.0/104", "fd00::/8"],
    );
    add(&["Percent"], &["<"], &["0", "30", "50", "100"]);
    add(&["< path", "< path_beg", "< path_end -i", "< path_sub"], &[""], &["/a >", "/A /b >", "'' >"]);
    add(&["< method", "< method -i"], &[""], &["a >", "A b >", "GET POST >"]);
    add(
        &["< hdr(x)", "< hdr_sub(x)", "< hdr_end(x) -i", "< hdr_beg(x)"],
        &[""],
        &["a >", "A b >", "'a,b' >", "' a' >", "'' >"],
    );
    add(&["< cook(c)", "< cook_sub(c) -i"], &[""], &["a >", "'a;b' >", "'' >"]);
    add(&["< hdr_cnt(x)", "< hdr_cnt(cookie)"], &[""], &["0 >", "1: >", "2 >", "3:1 >", "0: >", "lt 2 3 >"]);
    add(&["< hdr_reg(x)", "< path_reg -i"], &[""], &["^a$ >", "a >"]);
    add(&["< src"], &[""], &["10.0.0.1 fd00::/8 >", "0.0.0.0/0 ::/0 >"]);
    terms
}

fn request() -> impl Strategy<Value = Asked> {
    let word = || prop::sample::select(vec!["", "a", "A", "ab", "b", "aB:80"]);
    let header = prop::sample::select(vec![
        ("x", ""),
        ("X", "a"),
        ("x", "A"),
        ("x", "ab"),
        ("x", "a,b"),
        ("x", " a "),
        ("cookie", "c=a"),
        ("Cookie", "c=A; c=b"),
        ("cookie", "c; d=a"),
        ("cookie", "d=ab; c=ab"),
        ("user-agent", "a"),
        ("user-agent", "Chrome Safari"),
        ("User-Agent", "Safari Version Edge iPhone"),
        ("user-agent", "chrome EdgiOS/1"),
    ]);
    let path = prop::sample::select(vec!["", "/", "/a", "/a/b", "/A", "/b", "a"]);
    let method = prop::sample::select(vec!["GET", "POST", "a", "A", "b"]);
    let query = prop::sample::select(vec!["", "q", "q=a", "q=A&q=b", "q=%61%62", "r=a"]);
    let client = prop::sample::select(vec![
        "10.0.0.1",
        "10.200.0.1",
        "192.0.2.7",
        "192.0.2.8",
        "192.0.2.9",
        "::ffff:10.0.0.1",
        "fd00::1",
        "2001:db8::1",
    ]);
    (method, word(), path, query, prop::collection::vec(header, 0..4), client, word()).prop_map(
        |(method, host, path, query, headers, client, sni)| Asked {
            method,
            host,
            path,
            query,
            headers,
            client: client.parse().unwrap(),
            sni,
        },
    )
}

fn requests() -> impl Strategy<Value = Vec<Asked>> {
    prop::collection::vec(request(), 30)
}

fn condition() -> impl Strategy<Value = String> {
    prop::sample::select(terms()).prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| format!("!({one})")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" and "))),
            prop::collection::vec(inner, 2..4).prop_map(|all| format!("({})", all.join(" or "))),
        ]
    })
}

/// Asserts that what is said of the conditions holds for the requests.
fn assert_sound(one: &Condition, other: &Condition, requests: &[Asked]) {
    let implied = one.implies(other);
    let (never, always) = (one.never_matches(), one.always_matches());
    for request in requests {
        let matches = one.matches(request);
        assert!(!implied || !matches || other.matches(request), "{one} does not imply {other}");
        assert!(!never || !matches, "{one} can match");
        assert!(!always || matches, "{one} need not match");
    }
}

proptest! {
    #![proptest_config(crate::tests::cases(2_000))]

    #[test]
    fn what_is_implied_holds_wherever_the_condition_does(
        one in condition(), other in condition(), requests in requests(),
    ) {
        let parse = |text: &str| Condition::parse(text).unwrap();
        let (first, second) = (parse(&one), parse(&other));
        assert_sound(&first, &second, &requests);
        let (both, either) = (parse(&format!("{one} and {other}")), parse(&format!("{other} or {one}")));
        prop_assert!(first.implies(&first), "{} implies itself", first);
        prop_assert!(both.implies(&second) && first.implies(&either), "{} {}", first, second);
        assert_sound(&both, &either, &requests);
        assert_sound(&either, &both, &requests);
        assert_sound(&parse(&format!("{one} and not ({other})")), &first, &requests);
    }
}

#[test]
fn what_single_terms_imply_holds_for_every_request() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let conditions: Vec<Condition> = terms()
        .iter()
        .flat_map(|term| [term.clone(), format!("not {term}")])
        .map(|text| Condition::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")))
        .collect();
    let requests = prop::collection::vec(request(), 400).new_tree(&mut runner).unwrap().current();
    let matches: Vec<Vec<bool>> = conditions
        .iter()
        .map(|condition| requests.iter().map(|request| condition.matches(request)).collect())
        .collect();
    let (mut proven, mut seen) = (0, 0);
    for (one, one_matches) in conditions.iter().zip(&matches) {
        for (other, other_matches) in conditions.iter().zip(&matches) {
            let holds = one_matches.iter().zip(other_matches).all(|(one, other)| !one || *other);
            let implied = one.implies(other);
            assert!(!implied || holds, "{one} does not imply {other}");
            proven += usize::from(implied);
            seen += usize::from(holds);
        }
    }
    // Of what holds in this small world some does by chance; most of the rest is proven.
    assert!(proven * 3 > seen, "{proven} proven, {seen} seen to hold");
    println!("{proven} proven, {seen} seen to hold, of {}", conditions.len().pow(2));
}

#[test]
fn implications_that_users_rely_on_are_found() {
    for (one, other) in [
        ("Host is a.b", "Host is A.B"),
        ("Path starts with /api/v1", "Path starts with /api"),
        ("Path is /api/v1", "Path starts with /api"),
        ("Path is /api/v1 and Method is GET", "Path has api or Host is x"),
        (r"Path matches /^\/api\/v1$/", "< path_beg /api >"),
        ("Header x has abc", "Header x has b"),
        ("Header x == abc", "Header x matches /b|z/"),
        ("Header x has a", "Has Header X"),
        ("Cookie beta is on", "Has Cookie beta and Has Header Cookie"),
        ("Has Cookie beta", "Has Header cookie"),
        ("Misses Header x", "Header x misses a"),
        ("User-Agent is Safari", "User-Agent has version"),
        ("User-Agent has 'MSIE 8'", "User-Agent is IE"),
        ("IP in 10.1.0.0/16", "IP in 10.0.0.0/8"),
        ("IP in 10.0.0.1", "not IP in 192.0.2.0/24"),
        ("Percent < 5", "Percent < 10.5"),
        ("Host is a or Host is b", "Host is b or Host is c or Host is a"),
        ("Host is a", "Host != b"),
        ("Method is GET", "< method -i get post >"),
        ("< hdr(x) abc >", "Header x has b"),
        ("< hdr_cnt(x) 2 >", "Has Header x"),
        ("Host is x and (Method is GET or Method is PUT)", "not Method is POST"),
    ] {
        let parse = |text| Condition::parse(text).unwrap();
        assert!(parse(one).implies(&parse(other)), "{one} implies {other}");
    }
}

#[test]
fn what_does_not_follow_is_not_implied() {
    for (one, other) in [
        ("Path starts with /api", "Path starts with /api/v1"),
        ("Header x has A", "Header x has a"),
        ("Header x == a", "not Header x == b"),
        ("Method is get", "< method get >"),
        ("User-Agent is Edge", "User-Agent has 'edge '"),
        ("IP in 10.0.0.0/8", "IP in 10.1.0.0/16"),
        ("Percent < 10", "Percent < 5"),
        ("< hdr(x) a >", "Header x == a"),
        ("Has Header cookie", "Has Cookie beta"),
    ] {
        let parse = |text| Condition::parse(text).unwrap();
        assert!(!parse(one).implies(&parse(other)), "{one} does not imply {other}");
    }
}

#[test]
fn a_proof_that_takes_too_long_is_given_up() {
    let many = |joined: &str, inner: &str| {
        (0..200)
            .map(|n| format!("(Header a{n} is x {inner} Header b{n} is x)"))
            .collect::<Vec<_>>()
            .join(joined)
    };
    let one = Condition::parse(&many(" and ", "or")).unwrap();
    assert!(!one.never_matches());
    assert!(!one.implies(&Condition::parse(&many(" or ", "and")).unwrap()));
    assert!(one.lint().is_empty());
}
