#![expect(clippy::cast_precision_loss, reason = "counts of a test are small")]

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::weight::Weight;

pub(crate) use linear::assert_linear;

mod explained;
mod forms;
mod implied;
mod linear;
mod linted;

/// A request written out.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) path: &'static str,
    pub(crate) query: &'static str,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) client: IpAddr,
    pub(crate) sni: &'static str,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            method: "GET",
            host: "foo.bar.com",
            path: "/",
            query: "",
            headers: Vec::new(),
            client: "192.0.2.7".parse().unwrap(),
            sni: "",
        }
    }
}

impl Request for Asked {
    fn method(&self) -> &str {
        self.method
    }
    fn host(&self) -> &str {
        self.host
    }
    fn path(&self) -> &str {
        self.path
    }
    fn query(&self) -> &str {
        self.query
    }
    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.headers.iter().any(|(own, value)| own.eq_ignore_ascii_case(name) && test(value.as_bytes()))
    }
    fn client(&self) -> IpAddr {
        self.client
    }
    fn sni(&self) -> &str {
        self.sni
    }
}

fn meets(condition: &str, request: &Asked) -> bool {
    Condition::parse(condition).unwrap_or_else(|error| panic!("{condition}: {error}")).matches(request)
}

fn check(request: &Asked, met: &[&str], not_met: &[&str]) {
    for condition in met {
        assert!(meets(condition, request), "must be met: {condition}");
    }
    for condition in not_met {
        assert!(!meets(condition, request), "must not be met: {condition}");
    }
}

#[test]
fn host_is_compared_whole_without_case_and_port() {
    let request = Asked { host: "Foo.Bar.com:8080", ..Asked::default() };
    check(
        &request,
        &[
            "Host = foo.bar.com",
            "host == FOO.bar.com",
            "HOST is foo.bar.com",
            "Host has foo.bar.com",
            "Host contains foo.bar.com:80",
            "Host=foo.bar.com",
            "Host != bar.com",
            "Host ! x",
            "Host not x",
            "Host misses bar",
            "Host matches /^foo/",
            r"Host is 'foo.bar.com'",
        ],
        &[
            "Host is bar.com",
            "Host has bar",
            "Host != foo.bar.com",
            "Host misses foo.bar.com",
            "Host matches /^bar/",
        ],
    );
}

#[test]
fn user_agent_is_a_substring_or_a_known_name_without_case() {
    let agent = |value| Asked { headers: vec![("user-agent", value)], ..Asked::default() };
    let firefox = agent("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
    check(
        &firefox,
        &[
            "User-Agent is Firefox",
            "user-agent = FIREFOX",
            "User-Agent has gecko/2010",
            "User-Agent != Chrome",
            "User-Agent matches /firefox\\/1\\d\\d/",
        ],
        &["User-Agent is Safari", "User-Agent misses firefox", "User-Agent is Chrome"],
    );
    let chrome = agent(
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    );
    check(&chrome, &["User-Agent is Chrome"], &["User-Agent is Safari", "User-Agent is Edge"]);
    let safari =
        agent("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) AppleWebKit/605 Version/17.0 Mobile Safari/604.1");
    check(&safari, &["User-Agent is Safari", "User-Agent is iOS"], &["User-Agent is Android"]);
    let edge = agent("Mozilla/5.0 Chrome/120.0 Safari/537.36 Edg/120.0");
    check(&edge, &["User-Agent is Edge"], &["User-Agent is IE"]);
    check(&agent("Mozilla/4.0 (compatible; MSIE 8.0)"), &["User-Agent == ie"], &[]);
    check(
        &Asked::default(),
        &["User-Agent misses Firefox", "User-Agent != Firefox"],
        &["User-Agent has Firefox"],
    );
}

#[test]
fn headers_match_with_case_by_name_without() {
    let request = Asked { headers: vec![("X-User", "Alice"), ("x-user", "bob")], ..Asked::default() };
    check(
        &request,
        &[
            "Has Header x-user",
            "contains header X-USER",
            "Misses Header other",
            "Header X-User has lic",
            "Header X-User contains bob",
            "Header x-user == bob",
            "Header x-user is Alice",
            "Header x-user misses carol",
            "Header x-user != Bob",
            "Header x-user matches /^A.*e$/",
            "Header other misses x",
            "Header other != x",
            "Header x-user has /li/",
            "Header x-user not /carol/",
        ],
        &[
            "Misses Header x-user",
            "Has Header other",
            "Header x-user has alice",
            "Header x-user == bo",
            "Header x-user != bob",
            "Header other has x",
            "Header other == ''",
            "Header x-user misses Ali",
        ],
    );
}

#[test]
fn cookies_are_taken_apart() {
    let request = Asked {
        headers: vec![("Cookie", "a=1; beta=yes; b = 2"), ("cookie", "c=x=y;d")],
        ..Asked::default()
    };
    check(
        &request,
        &[
            "Has Cookie beta",
            "Misses Cookie Beta",
            "Cookie beta has ye",
            "Cookie beta == yes",
            "Cookie b == 2",
            "Cookie c == x=y",
            "Has Cookie d",
            "Cookie z misses 1",
            "Cookie z != 1",
            "Cookie a matches /^1$/",
        ],
        &[
            "Misses Cookie beta",
            "Cookie beta == ye",
            "Cookie beta misses yes",
            "Has Cookie x",
            "Cookie a has 2",
        ],
    );
}

#[test]
fn path_method_query_sni_and_client_are_asked() {
    let request = Asked {
        method: "POST",
        path: "/api/v1/items",
        query: "q=a%20b&page=2&empty&x=1+2&q=c",
        sni: "foo.bar.com",
        ..Asked::default()
    };
    check(
        &request,
        &[
            "Path is /api/v1/items",
            "Path starts with /api",
            "Path ENDS WITH items",
            "Path matches /^\\/api\\/v\\d/",
            "Path != /api",
            "Path has v1",
            "Method is POST",
            "Method is post",
            "Method != GET",
            "Query page is 2",
            "Query q is 'a b'",
            "Query q is c",
            "Query q has ' b'",
            "Query x == '1 2'",
            "Query empty is ''",
            "Query none != 1",
            "SNI is FOO.bar.com",
            "IP in 192.0.2.0/24",
            "IP in 192.0.2.7",
            "Percent < 100",
            "Path matches '^/api'",
        ],
        &[
            "Path is /api",
            "Path starts with /v1",
            "Path ends with /api",
            "Method is GET",
            "Query page is 3",
            "Query none is 1",
            "SNI is bar.com",
            "IP in 10.0.0.0/8",
            "IP in 2001:db8::/32",
            "Percent < 0",
        ],
    );
    let mapped = Asked { client: "::ffff:192.0.2.7".parse().unwrap(), ..Asked::default() };
    check(&mapped, &["IP in 192.0.2.0/24"], &["IP in 2001:db8::/32"]);
}

#[test]
fn percent_takes_a_fixed_share_of_clients_and_grows_one_way() {
    let clients: Vec<IpAddr> = (0..20_000_u32).map(|n| IpAddr::V4((0x0a00_0000 + n).into())).collect();
    let below = |share: &str| {
        let share: Weight = share.parse().unwrap();
        clients.iter().filter(|client| client_share(**client) < share).count()
    };
    for (share, expected) in [("1%", 200.0), ("10%", 2_000.0), ("50%", 10_000.0)] {
        let sigma = f64::sqrt(expected);
        assert!((below(share) as f64 - expected).abs() < 4.0 * sigma, "{share}: {}", below(share));
    }
    assert_eq!(below("100%"), clients.len());
}

#[test]
fn haproxy_acls_mean_what_they_mean_there() {
    let request = Asked {
        method: "POST",
        path: "/static/a.PNG",
        headers: vec![
            ("User-Agent", "Mozilla (KHTML, like Gecko) Chrome/120"),
            ("X-Tags", "red, Green"),
            ("X-Tags", "blue"),
            ("Cookie", "vga=on"),
        ],
        ..Asked::default()
    };
    check(
        &request,
        &[
            "< path_beg /static >",
            "<path_beg /static>",
            "< path_end -i .png >",
            "< path_end .jpg .PNG >",
            "< path_reg ^/static/[a-z]\\. >",
            "< path -m beg /sta >",
            "< path /static/a.PNG >",
            "< method GET POST >",
            "< src 10.0.0.0/8 192.0.2.0/24 >",
            "< src 192.0.2.7 >",
            "< hdr(x-tags) red >",
            "< hdr(X-Tags) Green >",
            "< hdr(x-tags) -i green >",
            "< hdr_sub(user-agent) -i chrome firefox >",
            "< req.hdr(x-tags) blue >",
            "< hdr_reg(x-tags) ^G >",
            "< hdr(x-tags) -m reg ^G >",
            "< hdr_cnt(x-tags) 3 >",
            "< hdr_cnt(x-tags) gt 2 >",
            "< hdr_cnt(x-tags) 1:3 >",
            "< hdr_cnt(none) 0 >",
            "< hdr_cnt(none) eq 0 >",
            "< req.hdr_cnt(x-tags) ge 3 >",
            "< cook(vga) on >",
            "< req.cook(vga) -m sub o >",
            "!< cook(vga) off >",
            "(< cook(vga) on > and Method is POST)",
            "< path_beg -- /static >",
        ],
        &[
            "< path_beg /api >",
            "< path_end .png >",
            "< method get >",
            "< src 10.0.0.0/8 >",
            "< hdr(x-tags) gree >",
            "< hdr(x-tags) green >",
            "< hdr_cnt(x-tags) 4: >",
            "< hdr_cnt(x-tags) lt 3 >",
            "< cook(vga) -m sub x >",
            "< hdr(none) x >",
        ],
    );
}

#[test]
fn boolean_layer_binds_as_documented() {
    let request = Asked { headers: vec![("a", "1"), ("b", "1")], ..Asked::default() };
    check(
        &request,
        &[
            "Has Header a and Has Header b",
            "Has Header a && !Has Header c",
            "Has Header c | Has Header a & Has Header b",
            "not Has Header c AND Has Header a",
            "!(Has Header c OR Has Header d)",
            "Has Header a or Has Header c and Has Header d",
            "(Header a has 1) and (Header b has 1)",
        ],
        &["(Has Header a or Has Header c) and Has Header d", "not (Has Header a)"],
    );
}

#[test]
fn mistakes_are_placed_and_say_what_was_expected() {
    for (text, column, expected) in [
        ("", 1, "a condition"),
        ("Hots is x", 1, "a condition"),
        ("Host x", 6, "a comparison"),
        ("Host is", 8, "a value"),
        ("Host starts with x", 6, "a comparison"),
        ("Host is 'x", 9, "a closing '"),
        ("Header", 7, "the name of a header"),
        ("Header x starts with y", 10, "a comparison"),
        ("Header x has y z", 16, "`and`, `or` or the end"),
        ("Has Nothing x", 5, "`Header` or `Cookie`"),
        ("Path matches /[/", 14, "a regular expression that compiles"),
        ("Path matches /x", 14, "a closing /"),
        ("Header x matches /(/", 18, "a regular expression that compiles"),
        ("IP in 10.0.0.0/33", 7, "an address or network"),
        ("IP is 10.0.0.1", 4, "`in`"),
        ("Percent < 101", 11, "a number from 0 to 100"),
        ("Percent > 5", 9, "`<`"),
        ("Method is GET and", 18, "white space after `and`"),
        ("Host is a and not(Host is b)", 18, "white space after `not`"),
        ("(Host is a", 11, "`and`, `or` or `)`"),
        ("< url_beg /x >", 3, "one of path"),
        ("< path_foo /x >", 3, "one of path"),
        ("< path_beg >", 1, "one value or more"),
        ("< path_beg /x", 1, "a closing >"),
        ("< path_beg -x /y >", 12, "a flag"),
        ("< path -m dom /y >", 11, "str, sub, beg, end or reg"),
        ("< src foo >", 7, "an address or network"),
        ("< src -m sub foo >", 10, "no -m flag"),
        ("< hdr_cnt(x) many >", 14, "a count"),
        ("< hdr x >", 6, "`(` and a name"),
        ("< path_reg ( >", 12, "a regular expression that compiles"),
        ("ü is x", 1, "a condition"),
        ("Host is ü ü", 11, "`and`, `or` or the end"),
    ] {
        match Condition::parse(text) {
            Ok(condition) => panic!("{text} must not parse, and is {condition}"),
            Err(error) => {
                assert_eq!(
                    (error.column, error.expected.contains(expected)),
                    (column, true),
                    "{text}: {error}"
                );
            }
        }
    }
}

/// What conditions are made of.
const WORDS: [&str; 38] = [
    "Host",
    "Header",
    "Cookie",
    " ",
    "(",
    ")",
    "!",
    "not ",
    " and ",
    "|",
    "is",
    "has",
    "<",
    ">",
    "hdr",
    "(x)",
    "-m",
    "reg",
    "/",
    "\\",
    "'",
    "\"",
    "matches",
    "Percent",
    "5",
    "IP",
    "in",
    "::/0",
    "ä",
    "=",
    "path",
    "Path",
    "starts with",
    "\u{a0}",
    "Host is a",
    " or ",
    "Has Header x",
    "Query q is ",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9./=-]{1,8}",
        "[ -~]{0,8}",
        Just("and".to_owned()),
        Just("it's".to_owned()),
        Just("/x/".to_owned()),
        Just("ä ö".to_owned())
    ]
}

fn subject() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Host",
        "User-Agent",
        "Header x",
        "Header 'a=b'",
        "Cookie c",
        "Path",
        "Method",
        "Query 'q q'",
        "SNI",
    ])
}

/// A term as a user could write it, quoted or not.
fn term() -> impl Strategy<Value = String> {
    let quoted = |value: String| format!("'{}'", value.replace('\'', "''"));
    prop_oneof![
        (subject(), prop::sample::select(vec!["==", "!=", "is", "not", "="]), value()).prop_map(
            move |(subject, comparison, value)| format!("{subject} {comparison} {}", quoted(value))
        ),
        (
            prop::sample::select(vec!["User-Agent", "Header x", "Cookie c", "Path", "Query q"]),
            prop::sample::select(vec!["has", "misses"]),
            value()
        )
            .prop_map(move |(subject, comparison, value)| format!(
                "{subject} {comparison} {}",
                quoted(value)
            )),
        (prop::sample::select(vec!["starts with", "ends with"]), value())
            .prop_map(move |(comparison, value)| format!("Path {comparison} {}", quoted(value))),
        (subject(), prop::sample::select(vec![r"/a\/b/", r"/^x+\d$/", r"'\/'", r"/\\\//", "/x y/"]))
            .prop_map(|(subject, regex)| format!("{subject} matches {regex}")),
        (prop::sample::select(vec!["Header x !=", "Query q misses", "Host not"]))
            .prop_map(|start| format!("{start} /a|b/")),
        (
            prop::sample::select(vec!["Has", "Misses"]),
            prop::sample::select(vec!["Header", "Cookie"]),
            "[!-~]{1,5}"
        )
            .prop_map(move |(verb, carrier, name)| format!("{verb} {carrier} {}", quoted(name))),
        prop::sample::select(vec!["IP in 10.0.0.0/8", "IP in ::1", "Percent < 0.5", "Percent < 100%"])
            .prop_map(str::to_owned),
        prop::sample::select(vec![
            "path_beg",
            "path_reg -i",
            "hdr(x)",
            "hdr_sub(x) -i",
            "cook(y) -m end",
            "method",
            "req.hdr(x) --"
        ])
        .prop_flat_map(move |acl| prop::collection::vec("[a-z -]{0,5}", 1..3).prop_map(
            move |values| {
                let values: Vec<String> = values.into_iter().map(quoted).collect();
                format!("< {acl} {} >", values.join(" "))
            }
        )),
        prop::sample::select(vec!["< src 10.0.0.1 ::/0 >", "< hdr_cnt(a) 1:2 :7 gt 3 le 0 >"])
            .prop_map(str::to_owned),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    term().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| format!("!({one})")),
            inner.clone().prop_map(|one| format!("not {one}")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" and "))),
            prop::collection::vec(inner, 2..4).prop_map(|all| all.join(" || ")),
        ]
    })
}

proptest! {
    #[test]
    fn printing_and_parsing_is_the_identity(text in expression()) {
        let condition = Condition::parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let printed = condition.to_string();
        prop_assert_eq!(Condition::parse(&printed), Ok(condition), "{} printed as {}", text, printed);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Condition::parse(&text);
    }

    #[test]
    fn no_text_of_its_own_words_panics(
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..20),
    ) {
        if let Ok(condition) = Condition::parse(&words.concat()) {
            let printed = condition.to_string();
            let request = Asked { headers: vec![("x", "y"), ("cookie", "a=b")], ..Asked::default() };
            let again = Condition::parse(&printed);
            prop_assert_eq!(again.as_ref(), Ok(&condition), "{}", printed);
            prop_assert_eq!(again.unwrap().matches(&request), condition.matches(&request));
        }
    }
}
